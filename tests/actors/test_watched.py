"""A watched value behaves as an AsyncValue and is one only once somebody waits."""

from __future__ import annotations

import trio
import trio.testing

from tenure.actors.watched import Watched


def is_positive(value: int) -> bool:
    return value > 0


async def test_waiting_for_what_is_already_true_returns_it() -> None:
    watched = Watched(3)

    assert await watched.wait_value(is_positive) == 3


async def test_a_waiter_sees_a_value_that_was_there_for_a_moment_only(nursery: trio.Nursery) -> None:
    watched = Watched(0)
    seen: list[int] = []

    async def wait() -> None:
        seen.append(await watched.wait_value(is_positive))

    nursery.start_soon(wait)
    await trio.testing.wait_all_tasks_blocked()
    watched.value = 5
    watched.value = -1
    await trio.testing.wait_all_tasks_blocked()

    assert seen == [5]
    assert watched.value == -1


async def test_values_set_before_anybody_waited_are_what_the_first_waiter_begins_with() -> None:
    watched = Watched(0)
    watched.value = 7

    assert await watched.wait_value(is_positive) == 7


async def test_a_cancelled_wait_leaves_the_others_waiting(nursery: trio.Nursery) -> None:
    watched = Watched(0)
    seen: list[int] = []

    async def wait() -> None:
        seen.append(await watched.wait_value(is_positive))

    nursery.start_soon(wait)
    with trio.move_on_after(0):
        await watched.wait_value(is_positive)
    watched.value = 1
    await trio.testing.wait_all_tasks_blocked()

    assert seen == [1]
