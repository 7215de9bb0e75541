"""Every contract test runs on both stores: a file, and memory."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

import tenure
from tenure import Store


@pytest.fixture(params=["memory", "file"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Store]:
    target = ":memory:" if request.param == "memory" else str(tmp_path / "agents.db")
    async with tenure.open_store(target) as opened:
        yield opened
