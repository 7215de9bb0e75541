"""The session service beside those of the framework: each scenario over all of them, and what each was seen to answer."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from google.adk.platform import time as platform_time, uuid as platform_uuid
from google.adk.sessions.base_session_service import BaseSessionService
from google.adk.sessions.database_session_service import DatabaseSessionService
from google.adk.sessions.in_memory_session_service import InMemorySessionService
from google.adk.sessions.sqlite_session_service import SqliteSessionService

import tenure.asyncio
import tenure.sync
from tenure.adapters.adk import TenureSessionService
from tests.adapters.comparing import compare

from .scenarios import Seen, scenario

THEIRS = ("memory", "sqlite", "database")


@asynccontextmanager
async def service_of(which: str, folder: Path) -> AsyncIterator[BaseSessionService]:
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


@asynccontextmanager
async def opened(which: str, folder: Path) -> AsyncIterator[Seen]:
    ids = itertools.count()
    async with service_of(which, folder) as service:
        seen = Seen(service)
        platform_time.set_time_provider(lambda: 1_000.0 + seen.created)
        platform_uuid.set_id_provider(lambda: f"id-{next(ids)}")
        yield seen


@pytest.mark.slow
def test_every_scenario_is_answered_as_theirs_answer_it(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    record_property("suite", f"google-adk sessions: {compare(scenario, opened, THEIRS, tmp_path)}")
