"""What a host does to Python's collector: nothing, unless it is asked, and then it brings back what was there."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path

import pytest

import tenure
import tenure.sync
from tenure.supervisor.collector import RAISED
from tests.kit.hosting import nothing


@pytest.fixture(autouse=True)
def as_it_comes() -> Iterator[None]:
    before = gc.get_threshold()
    gc.set_threshold(700, 10, 10)
    yield
    gc.set_threshold(*before)


async def test_the_thresholds_are_raised_from_the_first_host_that_asks_to_the_last(tmp_path: Path) -> None:
    behaviours = {"kind": nothing}
    async with tenure.open_supervisor(tmp_path / "a.db", behaviours=behaviours):
        assert gc.get_threshold() == (700, 10, 10), "nobody has asked"
        async with tenure.open_supervisor(tmp_path / "b.db", behaviours=behaviours, tune_collector=True):
            assert gc.get_threshold() == RAISED
            with tenure.sync.open_supervisor(tmp_path / "c.db", behaviours=behaviours, tune_collector=True):
                assert gc.get_threshold() == RAISED
            assert gc.get_threshold() == RAISED, "one that asked is open still"

        assert gc.get_threshold() == (700, 10, 10)


async def test_what_the_program_sets_goes_before(tmp_path: Path) -> None:
    behaviours = {"kind": nothing}
    gc.set_threshold(0, 10, 1_000)
    async with tenure.open_supervisor(tmp_path / "a.db", behaviours=behaviours, tune_collector=True):
        assert gc.get_threshold() == (0, RAISED[1], 1_000), "it is off, and stays so"
        gc.set_threshold(5_000)

    assert gc.get_threshold()[0] == 5_000, "it was set while the host was open"
