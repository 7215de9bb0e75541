"""The stores beside those of a2a-sdk: each scenario over all of them, and what each was seen to answer."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

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
from tests.adapters.comparing import compare

from .scenarios import Seen, scenario

THEIRS = ("memory", "database")


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


@pytest.mark.slow
def test_every_scenario_is_answered_as_theirs_answer_it(
    tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    record_property("suite", f"a2a-sdk stores: {compare(scenario, opened, THEIRS, tmp_path)}")
