"""The session service beside those of the framework: each scenario over all of them, and what each was seen to answer."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from google.adk.platform import time as platform_time, uuid as platform_uuid
from google.adk.sessions.base_session_service import BaseSessionService
from google.adk.sessions.database_session_service import DatabaseSessionService
from google.adk.sessions.in_memory_session_service import InMemorySessionService
from google.adk.sessions.sqlite_session_service import SqliteSessionService

import tenure.asyncio
import tenure.sync
from tenure.adapters.adk import TenureSessionService

from .scenarios import DIFFERS, SCENARIOS, Seen

THEIRS = ("memory", "sqlite", "database")
OURS = ("asyncio", "sync")


@asynccontextmanager
async def opened(which: str, folder: Path) -> AsyncIterator[BaseSessionService]:
    path = folder / f"{which}.db"
    if which == "memory":
        yield InMemorySessionService()
    elif which == "sqlite":
        yield SqliteSessionService(str(path))
    elif which == "database":
        async with DatabaseSessionService(f"sqlite+aiosqlite:///{path}") as service:
            yield service
    elif which == "asyncio":
        async with tenure.asyncio.open_store(path) as store:
            yield TenureSessionService(store)
    else:
        with tenure.sync.open_store(path) as store:
            yield TenureSessionService(store)


async def answers(which: str, name: str, folder: Path) -> list[Any]:
    ids = itertools.count()
    async with asyncio.timeout(120), opened(which, folder) as service:
        seen = Seen(service)
        platform_time.set_time_provider(lambda: 1_000.0 + seen.created)
        platform_uuid.set_id_provider(lambda: f"id-{next(ids)}")
        await SCENARIOS[name](seen)
        return seen.notes


@pytest.mark.slow
def test_every_scenario_is_answered_as_theirs_answer_it(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    divergences: list[str] = []
    for name, differs in DIFFERS.items():
        (folder := tmp_path / name).mkdir()
        theirs = {which: asyncio.run(answers(which, name, folder)) for which in THEIRS}
        for which in OURS:
            ours = asyncio.run(answers(which, name, folder))
            divergences += [
                f"{name}: {which} and {other}: {differs.get(other, 'they do not agree')}"
                for other, notes in theirs.items()
                if (ours == notes) is (other in differs)
            ]
        assert len(differs) < len(THEIRS), f"{name}: no service of theirs says what is right"
    agree = {which: sum([which not in differs for differs in DIFFERS.values()]) for which in THEIRS}
    record_property(
        "suite", f"google-adk sessions: {len(DIFFERS)} scenarios, {len(divergences)} divergences; as {agree}"
    )
    assert not divergences
