"""What people and programs do to a run that is put aside: every verb reaches it, and none enters it too early."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
import tenure.asyncio
from tests.kit.alone import ALONE
from tests.kit.hosting import cut_off, host, peek

from .test_aside import AFTER_S, Agent, aside, owned, result

LIMITS = tenure.Limits(lease_s=1e6, renew_s=1e5, poll_s=1e5, passivate_s=4.0)


async def steered(run: tenure.Run) -> Any:
    return [[each.payload for each in await run.wait_steered()], run.retiring]


async def slept(run: tenure.Run) -> Any:
    await run.sleep(10)
    return "slept"


async def put_aside(one: tenure.Supervisor) -> tuple[tenure.Runtime, tenure.Ticket]:
    runtime = await one.spawn("a", "kind")
    ticket = await runtime.accept({})
    await trio.sleep(AFTER_S + 0.5)
    assert owned(one) == []
    return runtime, ticket


async def test_retiring_wakes_who_waits_for_a_person_and_lets_a_sleep_go_on(
    database: Path, autojump_clock: MockClock
) -> None:
    waiter, sleeper = Agent(steered), Agent(slept)
    async with host(database, {"kind": waiter.behaviour, "sleeper": sleeper.behaviour}, limits=ALONE) as one:
        asleep = await one.spawn("s", "sleeper")
        later = await asleep.accept({})
        runtime, ticket = await put_aside(one)
        await runtime.retire()
        await asleep.retire()
        assert await result(ticket) == [[], True]
        assert runtime.state == asleep.state == "retired"
        assert trio.current_time() < 3
        assert len(sleeper.entered) == 1
        assert await result(later) == "slept"


@pytest.mark.parametrize("verb", ["stop", "destroy", "reset", "cancel"])
async def test_a_verb_that_ends_it_abandons_its_batch_and_it_never_enters_again(
    database: Path, autojump_clock: MockClock, verb: str
) -> None:
    agent = Agent(slept)
    async with host(database, {"kind": agent.behaviour}, limits=ALONE) as one:
        runtime, ticket = await put_aside(one)
        await getattr(runtime, verb)()
        outcome = await ticket.wait_outcome()
        assert outcome.phase == "abandoned"
        assert not aside(database)
        assert peek(database, "SELECT count(*) FROM asides") == [[0]]
        await trio.sleep(20)
    assert len(agent.entered) == 1


async def test_a_program_without_behaviours_ends_it_too(database: Path, autojump_clock: MockClock) -> None:
    agent = Agent(slept)

    async def begin(one: tenure.Supervisor) -> None:
        await put_aside(one)

    await cut_off(database, {"kind": agent.behaviour}, begin)
    async with host(database, {}, limits=ALONE) as shell:
        found = await shell.find("a")
        assert await found.cancel()
        assert not aside(database)
        assert (await shell.why("a"))["run"] is None
    async with host(database, {"kind": agent.behaviour}, limits=ALONE):
        await trio.sleep(20)
    assert len(agent.entered) == 1


async def test_a_handle_that_is_held_goes_on_and_sees_it_come_back(database: Path, autojump_clock: MockClock) -> None:
    agent = Agent(steered)
    async with host(database, {"kind": agent.behaviour}, limits=ALONE) as one:
        runtime, ticket = await put_aside(one)
        assert runtime.state == "idle"
        assert await runtime.wait_state("idle") == "idle"
        states: list[str] = []

        async def watch() -> None:
            states.append(await runtime.wait_state("retired"))

        async with trio.open_nursery() as nursery:  # owned by this test
            nursery.start_soon(watch)
            await trio.sleep(3)
            await runtime.accept("go on", lane="steer")
            assert await result(ticket) == [["go on"], False]
            await runtime.retire()
        assert states[-1] == "retired"
        assert (await one.spawn("a", "kind")).state == runtime.state == "retired"


async def test_what_it_was_taken_for_is_done_without_entering_it_and_it_is_let_go_of_again(
    database: Path, autojump_clock: MockClock
) -> None:
    agent = Agent(slept)
    async with host(database, {"kind": agent.behaviour}, limits=LIMITS) as one:
        runtime, ticket = await put_aside(one)
        assert await runtime.cancel("no such input") is False
        assert owned(one) == ["a"]
        later = await runtime.accept("in the queue")
        await trio.sleep(6)
        assert owned(one) == []
        assert len(agent.entered) == 1
        assert await result(ticket) == "slept"
        assert await result(later) == "slept"
    assert agent.times == pytest.approx([0, 10, 10, 20], abs=0.5)


async def test_what_a_spawn_has_taken_over_wakes_at_its_time_all_the_same(
    database: Path, autojump_clock: MockClock
) -> None:
    agent = Agent(slept)
    async with host(database, {"kind": agent.behaviour}, limits=ALONE) as one:
        _, ticket = await put_aside(one)
        await one.spawn("a", "kind")
        assert owned(one) == ["a"]
        assert await result(ticket) == "slept"
    assert agent.times == pytest.approx([0, 10], abs=0.5)


async def test_a_hold_keeps_what_is_due_from_entering_until_it_ends(database: Path, autojump_clock: MockClock) -> None:
    agent = Agent(slept)
    async with host(database, {"kind": agent.behaviour}, limits=ALONE) as one:
        _, ticket = await put_aside(one)
        await one.hold(kind="kind", note="no power")
        await trio.sleep(20)
        assert len(agent.entered) == 1
        await one.resume(kind="kind")
        assert await result(ticket) == "slept"
    assert agent.times == pytest.approx([0, 21.5], abs=0.5)


async def test_a_deadline_that_passes_meanwhile_ends_the_run(database: Path, autojump_clock: MockClock) -> None:
    agent = Agent(steered)
    async with host(database, {"kind": agent.behaviour}, limits=ALONE) as one:
        ticket = await (await one.spawn("a", "kind")).accept({}, deadline_s=10)
        outcome = await ticket.wait_outcome()
        assert (outcome.phase, outcome.reason) == ("abandoned", "deadline_exceeded")
        assert trio.current_time() == pytest.approx(10, abs=0.5)
        assert not aside(database)


async def test_a_delayed_input_that_steers_wakes_it_when_it_is_due(database: Path, autojump_clock: MockClock) -> None:
    agent = Agent(steered)
    async with host(database, {"kind": agent.behaviour}, limits=ALONE) as one:
        runtime, ticket = await put_aside(one)
        await runtime.accept("later", lane="steer", after_s=20)
        assert await result(ticket) == [["later"], False]
    assert agent.times == pytest.approx([0, 21.5], abs=0.5)


async def test_a_way_out_that_changes_the_run_enters_it_at_once(database: Path, autojump_clock: MockClock) -> None:
    agent = Agent(slept)
    async with host(database, {"kind": agent.behaviour}, limits=ALONE) as one:
        runtime, ticket = await put_aside(one)
        await runtime.resume(restart_run=True)
        assert await result(ticket) == "slept"
    assert agent.times[:2] == pytest.approx([0, 1.5], abs=0.5)


async def test_an_older_version_leaves_it_and_one_that_can_go_on_wakes_it(
    database: Path, autojump_clock: MockClock
) -> None:
    old, new = Agent(slept), Agent(slept)

    def version(agent: Agent, name: str) -> tenure.Behaviour:
        return tenure.Behaviour(agent, version=name, aside_after_s=AFTER_S)

    async with host(database, {"kind": version(old, "1")}, limits=ALONE) as one:
        await one.spawn("other", "kind")

    async def begin(one: tenure.Supervisor) -> None:
        await (await one.spawn("a", "kind")).accept({}, idempotency_key="k")
        await trio.sleep(2)

    await cut_off(database, {"kind": version(new, "2")}, begin)
    async with host(database, {"kind": version(old, "1")}, limits=ALONE) as one:
        await trio.sleep(20)
        assert [(each.runtime_id, each.reason) for each in await one.unowned()] == [("a", "version")]
    assert not old.entered
    async with host(database, {"kind": version(new, "2")}, limits=ALONE) as one:
        assert await result(await one.ticket("a", idempotency_key="k")) == "slept"


async def test_who_follows_sees_no_restart(database: Path, autojump_clock: MockClock) -> None:
    async def work(run: tenure.Run) -> None:
        await run.emit("before")
        await run.sleep(10)
        await run.emit("after")

    agent = Agent(work)
    async with host(database, {"kind": agent.behaviour}, limits=ALONE) as one:
        runtime = await one.spawn("a", "kind")
        ticket = await runtime.accept({})
        seen = [(entry.kind, entry.value) async for entry in runtime.follow(ticket=ticket)]
    assert [each for each in seen if each[0] != "ended"] == [("begun", None), ("data", "before"), ("data", "after")]
    assert len(agent.entered) == 2


async def test_operators_see_that_it_is_aside_since_when_until_when_and_for_what(
    database: Path, autojump_clock: MockClock
) -> None:
    waiter, sleeper = Agent(steered), Agent(slept)
    async with host(database, {"kind": waiter.behaviour, "sleeper": sleeper.behaviour}, limits=ALONE) as one:
        await (await one.spawn("s", "sleeper")).accept({})
        await put_aside(one)
        assert [(each.runtime_id, each.aside) for each in await one.list()] == [("a", True), ("s", True)]
        why = await one.why("s")
        assert why["because"] == "its run is put aside, for 0 s: it sleeps, at main/1, for another 8 s"
        assert why["run"]["aside"]["wake_at"] == why["run"]["sleeps_until"]
        assert (await one.why("a"))["because"] == "its run is put aside, for 0 s: it waits to be steered, at main/1"


async def test_from_asyncio_it_is_the_same(tmp_path: Path) -> None:
    entered: list[float] = []

    @tenure.asyncio.behaviour
    async def work(run: tenure.asyncio.Run) -> str:
        entered.append(0.0)
        await run.sleep(0.3)
        return "slept"

    async def main() -> Any:
        behaviour = tenure.Behaviour(work, aside_after_s=0.0)
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={"kind": behaviour}) as one:
            runtime = await one.spawn("a", "kind")
            return (await (await runtime.accept({})).wait_outcome()).result

    assert await trio.to_thread.run_sync(asyncio.run, main()) == "slept"
    assert len(entered) == 2
