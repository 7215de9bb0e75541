"""Promotions that are killed at any call: one of both ends is open or none, and promoting again ends it."""

from __future__ import annotations

import random
import shutil
import signal
from pathlib import Path

import pytest

import tenure
from tenure.errors import PromotionUnfinished, StorePromoted
from tenure.persistence.upkeep.promoting.promote import promote
from tests.kit import postgres
from tests.kit.promoting import Promoting, Rows, Way, bytes_of, carried, is_open, is_server, promoting, rows_of
from tests.kit.shares import TURN, few
from tests.kit.stores import landed, message, own

KILLS = few(120, 20)
"""So many calls at which it is killed, each way; and the last one."""

LAST = 60
"""The last calls: what closes the source and opens the target is among them."""


async def open_end(place: str, key: str) -> bool:
    """Whether a host can open what is there; it writes to it."""
    try:
        async with tenure.open_store(place) as store:
            await store.commit(message(store, key, "z"))
    except (StorePromoted, PromotionUnfinished):
        return False
    return True


def begun(place: str) -> bool:
    """Whether there is more than nothing, or tables without rows."""
    if not is_server(place) and not Path(place).exists():
        return False
    try:
        rows = rows_of(place)
    except Exception:  # noqa: BLE001 - no tables yet, in the words of either engine
        return False
    return any(rows.values())


async def fresh(way: Way, base: Path, folder: Path, number: int) -> Way:
    """The same way between other places, with the store at its source."""
    file = str(folder / f"source-{number}.db")
    shutil.copy(base, file)
    shutil.copytree(f"{base}-attachments", f"{file}-attachments")
    source, target = (
        postgres.new_database(tables=False) if is_server(place) else other
        for place, other in ((way.source, file), (way.target, str(folder / f"target-{number}.db")))
    )
    here = Way(source=source, target=target)
    if source != file:
        await here.put(file)
    return here


@pytest.mark.slow
@pytest.mark.process
async def test_a_promotion_that_is_killed_leaves_one_end_open_and_is_ended_by_the_next(
    way: Way, filled: Path, tmp_path: Path
) -> None:
    async with tenure.open_store(filled) as store:
        await own(store, "z")
    before = carried(rows_of(str(filled)))
    with promoting() as promote_in_process:
        await every_kill(way, filled, tmp_path, before, promote_in_process)


async def every_kill(way: Way, filled: Path, tmp_path: Path, before: Rows, promoting: Promoting) -> None:
    ended, calls = promoting(await fresh(way, filled, tmp_path, 0))
    assert ended == 0
    source = random.Random(TURN)
    early, late = range(1, calls - LAST), range(calls - LAST, calls + 1)
    chosen = sorted({*source.sample(early, KILLS // 2), *source.sample(late, KILLS // 2), calls})
    open_ends: set[tuple[bool, bool]] = set()
    for number, at in enumerate(chosen, 1):
        here = await fresh(way, filled, tmp_path, number)
        assert promoting(here, at) == (-signal.SIGKILL, 0), at

        ends = (await open_end(here.source, "late"), begun(here.target) and await open_end(here.target, "later"))
        assert ends != (True, True), at
        open_ends.add(ends)
        known = carried(rows_of(here.target if ends[1] else here.source))
        assert ends[0] or ends[1] or known == before, at
        promotion = await here.go()

        assert is_open(here.target), at
        assert not is_open(here.source), at
        assert promotion.was_done is ends[1]
        if not ends[1]:
            assert carried(rows_of(here.target)) == known, at
        assert bytes_of(here.target) == bytes_of(str(filled)), at
        async with tenure.open_store(here.target) as store:
            assert await landed(store, "late", "later", runtime_id="z") == [
                key for key, there in zip(("late", "later"), ends, strict=True) if there
            ], at
        with pytest.raises(StorePromoted):
            await promote(here.source, tmp_path / "elsewhere.db")
        postgres.drop([postgres.name_of(each) for each in (here.source, here.target) if is_server(each)])

    assert {(True, False), (False, True)} <= open_ends
