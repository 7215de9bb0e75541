"""A host on virtual time, as the tests of runs have it; and a store with one input, for tests that bring none of their own."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

from tenure.persistence.opening import open_store
from tests.kit import alone
from tests.kit.stores import message, own

open_host = alone.open_host


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A file with one runtime, which has one input."""
    path = tmp_path / "a.db"

    async def fill() -> None:
        async with open_store(path) as store:
            await own(store)
            await store.commit(message(store, "m-1"))

    trio.run(fill)
    return path
