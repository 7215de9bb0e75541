"""A store on every engine mode."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from tenure.persistence.store import Store
from tests.store.faulty_vfs import FaultyVfs
from tests.store.world import MODES, OpenMode


@pytest.fixture(params=MODES)
def open_mode(request: pytest.FixtureRequest, tmp_path: Path) -> OpenMode:
    return OpenMode(request.param, tmp_path / "agents.db")


@pytest.fixture(params=["file", "one connection"])
def open_file(request: pytest.FixtureRequest, tmp_path: Path) -> OpenMode:
    return OpenMode(request.param, tmp_path / "agents.db")


@pytest.fixture
async def store(open_mode: OpenMode) -> AsyncGenerator[Store]:
    async with open_mode() as store:
        yield store


@pytest.fixture
def vfs() -> Generator[FaultyVfs]:
    vfs = FaultyVfs()
    yield vfs
    vfs.heal()
    vfs.unregister()
