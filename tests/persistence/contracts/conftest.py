"""Every contract test runs on both stores: a file, and memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from tenure import Store
from tests.kit.seen import open_seen_store
from tests.kit.shares import share

KINDS = ["memory", "file"]


@pytest.fixture(params=KINDS)
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Store]:
    async with opened(request.param, tmp_path) as opened_one:
        yield opened_one


@pytest.fixture(params=share(KINDS, 2))
async def store_of_turn(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Store]:
    """One of the two, for the sweeps: in the next turn it is the other."""
    async with opened(request.param, tmp_path) as opened_one:
        yield opened_one


def opened(kind: str, folder: Path) -> AbstractAsyncContextManager[Store]:
    return open_seen_store(":memory:" if kind == "memory" else str(folder / "agents.db"))
