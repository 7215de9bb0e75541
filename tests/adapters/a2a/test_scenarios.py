"""The stores beside those of a2a-sdk: each scenario over all of them, and what each was seen to answer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from a2a.server.tasks import (
    DatabasePushNotificationConfigStore,
    DatabaseTaskStore,
    InMemoryPushNotificationConfigStore,
    InMemoryTaskStore,
)
from sqlalchemy.ext.asyncio import create_async_engine

import tenure.asyncio
import tenure.sync
from tenure.adapters.a2a import TenurePushConfigStore, TenureTaskStore

from .scenarios import DIFFERS, SCENARIOS, Seen

THEIRS = ("memory", "database")
OURS = ("asyncio", "sync")


@asynccontextmanager
async def opened(which: str, folder: Path) -> AsyncIterator[Seen]:
    path = folder / f"{which}.db"
    if which == "memory":
        yield Seen(InMemoryTaskStore(), InMemoryPushNotificationConfigStore())
    elif which == "database":
        engine = create_async_engine(f"sqlite+aiosqlite:///{path}")
        yield Seen(DatabaseTaskStore(engine), DatabasePushNotificationConfigStore(engine))
        await engine.dispose()
    elif which == "asyncio":
        async with tenure.asyncio.open_store(path) as store:
            yield Seen(TenureTaskStore(store), TenurePushConfigStore(store))
    else:
        with tenure.sync.open_store(path) as store:
            yield Seen(TenureTaskStore(store), TenurePushConfigStore(store))


async def answers(which: str, name: str, folder: Path) -> list[Any]:
    async with asyncio.timeout(120), opened(which, folder) as seen:
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
        assert "memory" not in differs, f"{name}: no store of theirs says what is right"
    agree = {which: sum([which not in differs for differs in DIFFERS.values()]) for which in THEIRS}
    record_property("suite", f"a2a-sdk stores: {len(DIFFERS)} scenarios, {len(divergences)} divergences; as {agree}")
    assert not divergences
