"""Room before the writer: bounded, first come first served, and left without a trace by who is cancelled."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial

import pytest
import trio
import trio.testing

from tenure.errors import Closed
from tenure.persistence.opening import open_store
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams
from tenure.persistence.store import Store, ground_of
from tenure.persistence.writing.room import Room
from tests.kit.hosting import Gate
from tests.kit.stores import message, own


async def test_whoever_comes_when_all_places_are_taken_waits_and_nobody_overtakes(nursery: trio.Nursery) -> None:
    room = Room(2, 100)
    entered: list[str] = []

    async def enter(name: str, weight: int) -> None:
        await room.enter(weight, lambda: entered.append(name))

    for name in ("a", "b", "c", "d"):
        nursery.start_soon(enter, name, 1)
        await trio.testing.wait_all_tasks_blocked()
    assert (entered, room.waiting) == (["a", "b"], 2)
    room.leave(1)
    nursery.start_soon(enter, "e", 1)
    await trio.testing.wait_all_tasks_blocked()
    assert (entered, room.waiting) == (["a", "b", "c"], 2)
    for _ in range(3):
        room.leave(1)
        await trio.testing.wait_all_tasks_blocked()

    assert entered == ["a", "b", "c", "d", "e"]
    assert (room.commits, room.size) == (1, 1)


async def test_bytes_count_as_well_and_one_that_alone_is_too_large_has_its_place_when_no_other_waits(
    nursery: trio.Nursery,
) -> None:
    room = Room(10, 100)
    entered: list[int] = []

    async def enter(weight: int) -> None:
        await room.enter(weight, lambda: entered.append(weight))

    for weight in (60, 50, 1_000):
        nursery.start_soon(enter, weight)
        await trio.testing.wait_all_tasks_blocked()
    assert entered == [60]
    room.leave(60)
    await trio.testing.wait_all_tasks_blocked()
    assert entered == [60, 50]
    room.leave(50)
    await trio.testing.wait_all_tasks_blocked()

    assert entered == [60, 50, 1_000]


async def test_who_is_cancelled_in_front_of_others_leaves_them_the_room_that_there_is(nursery: trio.Nursery) -> None:
    room = Room(10, 100)
    entered: list[int] = []
    await room.enter(60, lambda: entered.append(60))
    scope = trio.CancelScope()

    async def too_large() -> None:
        with scope:
            await room.enter(50, lambda: entered.append(50))

    nursery.start_soon(too_large)
    await trio.testing.wait_all_tasks_blocked()
    nursery.start_soon(room.enter, 40, lambda: entered.append(40))
    await trio.testing.wait_all_tasks_blocked()
    assert room.waiting == 2
    scope.cancel()
    await trio.testing.wait_all_tasks_blocked()

    assert scope.cancelled_caught
    assert entered == [60, 40]
    assert (room.commits, room.size, room.waiting) == (2, 100, 0)


async def test_those_who_are_let_in_together_enter_in_their_order(nursery: trio.Nursery) -> None:
    room = Room(8, 100)
    entered: list[int] = []
    await room.enter(100, lambda: None)
    for n in range(8):
        nursery.start_soon(room.enter, 1, partial(entered.append, n))
        await trio.testing.wait_all_tasks_blocked()
    room.leave(100)

    assert entered == list(range(8))


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
async def narrow(gate: Gate) -> AsyncGenerator[Store]:
    """A store where three commits may wait."""
    limits = Limits(waiting_commits=3, group_commits=2)
    async with open_store(":memory:", limits=limits, seams=Seams(writer_executor=lambda: gate)) as store:
        await own(store)
        yield store
        gate.open()


async def test_commits_beyond_the_limit_wait_for_room_and_land_in_their_order(
    narrow: Store, gate: Gate, nursery: trio.Nursery
) -> None:
    landed: list[int] = []

    async def commit(n: int) -> None:
        await ground_of(narrow).commit(message(narrow, f"m-{n}"), lambda _: landed.append(n))

    gate.shut()
    for n in range(8):
        nursery.start_soon(commit, n)
        await trio.testing.wait_all_tasks_blocked()
    # The first was taken alone, and is on its way to the disk.
    seen = narrow.statistics()
    gate.open()
    await trio.testing.wait_all_tasks_blocked()

    assert (seen.waiting, seen.waiting_for_room) == (3, 4)
    assert landed == list(range(8))
    assert (narrow.statistics().waiting, narrow.statistics().waiting_for_room) == (0, 0)


async def test_who_waits_for_room_when_the_store_closes_hears_it_and_wrote_nothing(gate: Gate) -> None:
    limits = Limits(waiting_commits=1)
    refused: list[int] = []
    seams = Seams(writer_executor=lambda: gate)
    async with trio.open_nursery() as nursery, open_store(":memory:", limits=limits, seams=seams) as store:
        await own(store)

        async def commit(n: int) -> None:
            try:
                await store.commit(message(store, f"m-{n}"))
            except Closed:
                refused.append(n)

        gate.shut()
        for n in range(4):
            nursery.start_soon(commit, n)
            await trio.testing.wait_all_tasks_blocked()
        nursery.start_soon(store.shutdown)
        await trio.testing.wait_all_tasks_blocked()
        assert sorted(refused) == [2, 3], "one is on its way, one has its place"
        gate.open()

    assert sorted(refused) == [2, 3]
