"""The turn of a commit channel: from hand to hand, in the order of asking."""

from __future__ import annotations

from functools import partial

import trio
import trio.testing

from tenure.actors.commit_channel import Turn


async def test_a_turn_goes_to_those_who_ask_in_their_order_and_passes_by_one_that_was_cancelled() -> None:
    turn, order, scope = Turn(), list[str](), trio.CancelScope()

    async def take(name: str) -> None:
        async with turn:
            order.append(name)
            await trio.lowlevel.checkpoint()
            order.append(name)

    async def give_up() -> None:
        with scope:
            await take("given up")

    async with trio.open_nursery() as nursery, turn:
        for waiter in (give_up, partial(take, "a"), partial(take, "b")):
            nursery.start_soon(waiter)
            await trio.testing.wait_all_tasks_blocked()
        scope.cancel()
        await trio.testing.wait_all_tasks_blocked()
        assert not order

    assert order == ["a", "a", "b", "b"]


async def test_a_turn_that_was_handed_to_one_who_is_cancelled_meanwhile_goes_on() -> None:
    turn, order = Turn(), list[str]()

    async def take(name: str, scope: trio.CancelScope) -> None:
        with scope:
            async with turn:
                await trio.lowlevel.checkpoint()
                order.append(name)

    first, second = trio.CancelScope(), trio.CancelScope()
    async with trio.open_nursery() as nursery:
        async with turn:
            for name, scope in (("first", first), ("second", second)):
                nursery.start_soon(take, name, scope)
                await trio.testing.wait_all_tasks_blocked()
        first.cancel()  # it has the turn by now, and has not run yet

    assert order == ["second"]
    async with turn:  # and it is free again
        pass
