"""Waits for what steers: with a time that is on disk, for one answer among others, and never after nothing can come."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import InvalidInput
from tests.kit.hosting import cut_off, host

QUICK = tenure.RestartPolicy(backoff_s=0.001, jitter=0.0)


async def outcome_of(runtime: tenure.Runtime, payload: Any) -> tenure.Outcome:
    return await (await runtime.accept(payload)).wait_outcome()


async def approves(run: tenure.Run) -> list[Any]:
    began = trio.current_time()
    answers = await run.wait_steered(timeout_s=60)
    return [[each.payload for each in answers], trio.current_time() - began]


async def test_a_wait_gives_up_when_its_time_is_over(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"kind": approves}) as supervisor:
        heard, waited = (await outcome_of(await supervisor.spawn("alice", "kind"), "go")).result

        assert heard == []
        assert 60 <= waited < 61


async def test_what_comes_in_time_ends_the_wait(target: Path | str, autojump_clock: trio.testing.MockClock) -> None:
    async with host(target, {"kind": approves}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept("go")
        await trio.sleep(30)
        await runtime.accept("yes", lane="steer")

        heard, waited = (await ticket.wait_outcome()).result
        assert heard == ["yes"]
        assert waited < 31


async def test_a_wait_that_gave_up_gives_up_again_where_its_run_enters_again(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    entered: list[int] = []

    async def waits(run: tenure.Run) -> list[Any]:
        first = await run.wait_steered(timeout_s=60)
        entered.append(run.attempts)
        if run.attempts < 1:
            raise ValueError
        second = await run.wait_steered(timeout_s=60)
        return [[each.payload for each in found] for found in (first, second)]

    behaviour = tenure.Behaviour(waits, version="1", restart=tenure.RestartPolicy(backoff_s=20, jitter=0))
    async with host(target, {"kind": behaviour}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept("go")
        await trio.sleep(70)
        await runtime.accept("late", lane="steer")

        assert (await ticket.wait_outcome()).result == [[], ["late"]]
        assert entered == [0, 1]


async def test_a_restart_does_not_lengthen_a_wait(database: Path, autojump_clock: trio.testing.MockClock) -> None:
    async def begin(supervisor: tenure.Supervisor) -> None:
        await (await supervisor.spawn("alice", "kind")).accept("go", idempotency_key="k")
        await trio.sleep(40)

    began = trio.current_time()
    await cut_off(database, {"kind": approves}, begin)
    async with host(database, {"kind": approves}) as supervisor:
        outcome = await (await supervisor.ticket("alice", idempotency_key="k")).wait_outcome()

        assert outcome.result[0] == []
        assert 60 <= trio.current_time() - began < 65


@pytest.mark.slow
async def test_what_is_stored_when_the_time_is_over_wins_over_the_clock(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def begin(supervisor: tenure.Supervisor) -> None:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.accept("go", idempotency_key="k")
        await trio.sleep(40)

    await cut_off(database, {"kind": approves}, begin)
    async with host(database, {}) as supervisor:
        await (await supervisor.find("alice")).accept("in time", lane="steer")
        await trio.sleep(100)
    async with host(database, {"kind": approves}) as supervisor:
        outcome = await (await supervisor.ticket("alice", idempotency_key="k")).wait_outcome()

        assert outcome.result[0] == ["in time"]


async def test_a_wait_for_one_answer_leaves_the_others_for_later(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def waits(run: tenure.Run) -> list[Any]:
        approval = await run.wait_steered(correlation_id="approval")
        rest = run.steered()
        if run.attempts < 1:
            raise ValueError
        return [[each.payload for each in found] for found in (approval, rest)]

    async with host(target, {"kind": tenure.Behaviour(waits, version="1", restart=QUICK)}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept("go")
        await trio.testing.wait_all_tasks_blocked()
        await runtime.accept("are you there?", lane="steer")
        await trio.sleep(5)
        assert ticket.outcome is None
        await runtime.accept("yes", lane="steer", correlation_id="approval")

        assert (await ticket.wait_outcome()).result == [["yes"], ["are you there?"]]


@pytest.mark.parametrize("timeout_s", [None, 1_000])
async def test_a_retired_runtime_waits_for_nothing_that_it_refuses(
    target: Path | str, autojump_clock: trio.testing.MockClock, timeout_s: float | None
) -> None:
    async def waits(run: tenure.Run) -> list[Any]:
        assert not run.retiring
        heard = await run.wait_steered(timeout_s=timeout_s)
        if run.attempts < 1:
            raise ValueError
        return [len(heard), run.retiring]

    async with host(target, {"kind": tenure.Behaviour(waits, version="1", restart=QUICK)}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept("go")
        await trio.testing.wait_all_tasks_blocked()
        await runtime.retire()
        with trio.fail_after(10):
            assert (await ticket.wait_outcome()).result == [0, True]
            await runtime.wait_state("retired")


async def test_a_run_that_was_retired_in_its_wait_ends_after_a_restart(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def waits(run: tenure.Run) -> list[Any]:
        return [len(await run.wait_steered()), run.retiring]

    async def begin(supervisor: tenure.Supervisor) -> None:
        await (await supervisor.spawn("alice", "kind")).accept("go", idempotency_key="k")
        await trio.testing.wait_all_tasks_blocked()

    await cut_off(database, {"kind": waits}, begin)
    async with host(database, {}) as supervisor:
        await (await supervisor.find("alice")).retire()
    async with host(database, {"kind": waits}) as supervisor:
        with trio.fail_after(10):
            assert (await (await supervisor.ticket("alice", idempotency_key="k")).wait_outcome()).result == [0, True]


async def test_a_sleep_that_can_be_steered_ends_early_and_leaves_what_came(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def sleeps(run: tenure.Run) -> list[Any]:
        began = trio.current_time()
        await run.sleep(60, steerable=True)
        first = trio.current_time() - began
        came = [each.payload for each in run.steered()]
        await run.sleep(60, steerable=True)
        return [first, came, trio.current_time() - began - first]

    async with host(target, {"kind": sleeps}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept("go")
        await trio.sleep(30)
        await runtime.accept("hello", lane="steer")
        first, came, second = (await ticket.wait_outcome()).result

        assert (came, 29 < first < 32, 59 < second < 62) == (["hello"], True, True)


@pytest.mark.parametrize("terms", [{"timeout_s": -1}, {"timeout_s": float("nan")}, {"correlation_id": ""}])
async def test_terms_of_a_wait_that_there_are_not_are_refused(
    terms: dict[str, Any], autojump_clock: trio.testing.MockClock
) -> None:
    async def waits(run: tenure.Run) -> str:
        with pytest.raises(InvalidInput):
            await run.wait_steered(**terms)
        return "refused"

    async with host(":memory:", {"kind": waits}) as supervisor:
        assert (await outcome_of(await supervisor.spawn("alice", "kind"), "go")).result == "refused"
