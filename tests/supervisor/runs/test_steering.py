"""Inputs that steer a run: they join at its checkpoints, in every replay at the same one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import trio
import trio.testing

import tenure
from tests.kit.hosting import (
    cut_off,
    host,
)


async def wait_twice(run: tenure.Run) -> None:
    """Note what is sent to steer, two waits of it, and sleep before the end while it has to."""
    for _ in range(2):
        joined = await run.wait_steered()
        run.session.append([entry.payload for entry in joined])
    await run.checkpoint()
    await run.sleep(100.0)


async def started(supervisor: tenure.Supervisor) -> tenure.Runtime:
    runtime = await supervisor.spawn("alice", "kind")
    await runtime.accept("order", idempotency_key="order")
    await trio.testing.wait_all_tasks_blocked()
    return runtime


async def steer(runtime: tenure.Runtime, payload: str) -> None:
    await runtime.accept(payload, lane="steer", idempotency_key=payload)
    await trio.testing.wait_all_tasks_blocked()


async def ended(database: Path, behaviour: Any) -> list[Any]:
    """Open the host anew, let the order come to its end, and give the conversation."""
    async with host(database, {"kind": behaviour}) as supervisor:
        ticket = await (await supervisor.spawn("alice", "kind")).accept("order", idempotency_key="order")
        with trio.fail_after(1_000):
            assert (await ticket.wait_outcome()).phase == "consumed"
        return await supervisor.read_session("alice")


async def test_a_wait_that_was_answered_before_a_restart_is_answered_the_same_way_after_it(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def body(supervisor: tenure.Supervisor) -> None:
        runtime = await started(supervisor)
        await steer(runtime, "one")
        await steer(runtime, "two")

    await cut_off(database, {"kind": wait_twice}, body)

    assert await ended(database, wait_twice) == [["one"], ["two"]]


async def test_what_came_in_to_steer_just_before_a_restart_is_joined_after_it(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def deaf(run: tenure.Run) -> None:
        await run.checkpoint()  # it has looked into the inbox, and found nothing yet
        await trio.sleep_forever()

    async def wait_once(run: tenure.Run) -> None:
        await run.checkpoint()
        run.session.append([entry.payload for entry in await run.wait_steered()])

    async def body(supervisor: tenure.Supervisor) -> None:
        await steer(await started(supervisor), "one")

    await cut_off(database, {"kind": deaf}, body)

    assert await ended(database, wait_once) == [["one"]]


async def test_what_joined_at_a_checkpoint_is_given_by_the_next_wait(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def busy(run: tenure.Run) -> None:
        await run.sleep(1.0)
        await run.checkpoint()
        run.session.append([entry.payload for entry in await run.wait_steered()])
        await run.checkpoint()
        await run.sleep(100.0)

    async def body(supervisor: tenure.Supervisor) -> None:
        await steer(await started(supervisor), "one")
        await trio.sleep(10.0)

    await cut_off(database, {"kind": busy}, body)

    assert await ended(database, busy) == [["one"]]


async def test_the_receipt_of_the_end_names_what_joined_also_after_a_restart(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def wait_once(run: tenure.Run) -> None:
        await run.wait_steered()
        await run.sleep(100.0)

    async def body(supervisor: tenure.Supervisor) -> None:
        await steer(await started(supervisor), "one")

    await cut_off(database, {"kind": wait_once}, body)
    async with host(database, {"kind": wait_once}) as supervisor:
        tickets = [await supervisor.ticket("alice", idempotency_key=key) for key in ("order", "one")]
        outcomes = [await ticket.wait_outcome() for ticket in tickets]

    receipts = [outcome.receipt for outcome in outcomes if outcome.receipt is not None]
    assert [receipt.contributing_input_ids for receipt in receipts] == [tuple(each.input_id for each in tickets)] * 2


async def test_what_steers_by_its_policy_wakes_the_run_that_waits_for_it(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def body(run: tenure.Run) -> None:
        run.session.append([entry.payload for entry in await run.wait_steered()])

    async with host(database, {"kind": body}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept("order")
        await trio.testing.wait_all_tasks_blocked()
        await runtime.accept("this way", policy=tenure.PolicyDecision(routing=tenure.Routing.STEER))
        await trio.testing.wait_all_tasks_blocked()

        with trio.move_on_after(0):  # at once, with no look at other hosts
            await ticket.wait_outcome()
        assert await supervisor.read_session("alice") == [["this way"]]


async def test_what_joined_and_was_never_handed_out_is_queued_again_by_the_end_of_its_run(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    seen: list[Any] = []
    go_on = trio.Event()

    async def deaf_at_first(run: tenure.Run) -> None:
        seen.extend(entry.payload for entry in run.inputs)
        if run.inputs[0].payload == "order":
            await go_on.wait()
            await run.checkpoint()  # it joins here, and nobody asks for it

    async with host(target, {"kind": deaf_at_first}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        order = await runtime.accept("order")
        await trio.testing.wait_all_tasks_blocked()
        word = await runtime.accept("a word", lane="steer")
        go_on.set()
        done, heard = await order.wait_outcome(), await word.wait_outcome()

    assert seen == ["order", "a word"]
    assert done.receipt is not None
    assert heard.receipt is not None
    assert heard.phase == "consumed"
    assert word.input_id not in done.receipt.contributing_input_ids
    assert heard.receipt.contributing_input_ids == (word.input_id,)
    assert heard.receipt.run_id != done.receipt.run_id


async def test_what_has_joined_can_be_had_without_waiting(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    had: list[list[Any]] = []
    go_on = trio.Event()

    async def asking(run: tenure.Run) -> None:
        had.append([entry.payload for entry in run.steered()])
        await go_on.wait()
        await run.checkpoint()
        had.append([entry.payload for entry in run.steered()])
        had.append([entry.payload for entry in run.steered()])

    async with host(target, {"kind": asking}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        order = await runtime.accept("order")
        await trio.testing.wait_all_tasks_blocked()
        word = await runtime.accept("a word", lane="steer")
        go_on.set()
        done, heard = await order.wait_outcome(), await word.wait_outcome()

    assert had == [[], ["a word"], []]
    assert heard.receipt == done.receipt
    assert done.receipt is not None
    assert word.input_id in done.receipt.contributing_input_ids


async def test_what_was_handed_out_before_a_restart_is_consumed_and_what_was_not_is_queued_again(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    seen: list[Any] = []

    async def one_of_two(run: tenure.Run) -> None:
        seen.append([entry.payload for entry in run.inputs])
        if run.inputs[0].payload == "order":
            seen.append([entry.payload for entry in await run.wait_steered()])
            await run.sleep(10.0)
            await run.checkpoint()
            await run.sleep(60.0)

    async def body(supervisor: tenure.Supervisor) -> None:
        runtime = await started(supervisor)
        await steer(runtime, "one")
        await steer(runtime, "two")
        await trio.sleep(20.0)

    await cut_off(database, {"kind": one_of_two}, body)
    seen.clear()
    async with host(database, {"kind": one_of_two}) as supervisor:
        ends = [await (await supervisor.ticket("alice", idempotency_key=key)).wait_outcome() for key in ("one", "two")]

    assert seen == [["order"], ["one"], ["two"]]
    assert [end.phase for end in ends] == ["consumed", "consumed"]
    assert ends[0].receipt != ends[1].receipt
