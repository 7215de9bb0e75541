"""Put aside: a run that waits long costs no memory, and goes on from its record when its wait ends (design §20)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import AskFailed, RunEnded
from tenure.supervisor.supervisor import host_of
from tests.kit.alone import ALONE
from tests.kit.hosting import cut_off, host, peek

AFTER_S = 1.0

Work = Callable[[tenure.Run], Awaitable[Any]]


class Agent:
    """A behaviour that counts how often it is entered, and how many of it execute."""

    def __init__(self, work: Work) -> None:
        self.entered: list[tuple[str, float]] = []
        self._work = work

    async def __call__(self, run: tenure.Run) -> Any:
        self.entered.append((run.runtime_id, round(trio.current_time(), 1)))
        return await self._work(run)

    @property
    def times(self) -> list[float]:
        return [when for _, when in self.entered]

    @property
    def behaviour(self) -> tenure.Behaviour:
        return tenure.Behaviour(self, aside_after_s=AFTER_S)


def aside(database: Path) -> list[str]:
    return [row[0] for row in peek(database, "SELECT runtime_id FROM runtimes WHERE aside = 1 ORDER BY runtime_id")]


def owned(supervisor: tenure.Supervisor) -> list[str]:
    return sorted(facts.runtime_id for facts in host_of(supervisor).owned.all)


async def result(ticket: tenure.Ticket) -> Any:
    with trio.fail_after(5_000):
        outcome = await ticket.wait_outcome()
    assert outcome.phase == "consumed", outcome
    return outcome.result


async def test_a_run_that_sleeps_long_is_put_aside_and_enters_again_at_its_time_with_what_it_has_done(
    database: Path, autojump_clock: MockClock
) -> None:
    did: list[str] = []

    async def work(run: tenure.Run) -> str:
        await run.step("before", lambda: did.append("before"), repeat="never")
        await run.sleep(10)
        await run.step("after", lambda: did.append("after"), repeat="never")
        return "slept"

    agent = Agent(work)
    async with host(database, {"kind": agent.behaviour}, limits=ALONE) as one:
        ticket = await (await one.spawn("a", "kind")).accept({})
        await trio.sleep(AFTER_S - 0.1)
        assert not aside(database)
        assert owned(one) == ["a"]
        await trio.sleep(0.2)
        assert aside(database) == ["a"]
        assert owned(one) == []
        assert peek(database, "SELECT owner FROM runtimes") == [[None]]
        assert await result(ticket) == "slept"
        assert not aside(database)
    assert did == ["before", "after"]
    assert agent.times == pytest.approx([0, 10], abs=0.2)


async def test_an_approval_from_another_process_wakes_who_waits_for_it(
    database: Path, autojump_clock: MockClock
) -> None:
    async def work(run: tenure.Run) -> Any:
        return [each.payload for each in await run.wait_steered()]

    agent = Agent(work)
    async with host(database, {"kind": agent.behaviour}) as one, host(database, {}) as web:
        ticket = await (await one.spawn("a", "kind")).accept({})
        await trio.sleep(10)
        assert aside(database) == ["a"]
        await web.accept("a", "approved", lane="steer")
        with trio.fail_after(5):
            assert await result(ticket) == ["approved"]
    assert len(agent.entered) == 2


async def test_what_does_not_end_the_wait_lets_it_go_on(database: Path, autojump_clock: MockClock) -> None:
    async def work(run: tenure.Run) -> Any:
        answers = await run.wait_steered(correlation_id="yes")
        return [[each.payload for each in answers], [each.payload for each in run.steered()]]

    agent = Agent(work)
    async with host(database, {"kind": agent.behaviour}, limits=ALONE) as one:
        ticket = await (await one.spawn("a", "kind")).accept({})
        await trio.sleep(5)
        await one.accept("a", "are you there?", lane="steer", correlation_id="other")
        await trio.sleep(5)
        assert aside(database) == ["a"]
        await one.accept("a", "approved", lane="steer", correlation_id="yes")
        assert await result(ticket) == [["approved"], ["are you there?"]]
    assert len(agent.entered) == 3


async def test_the_timeout_of_a_wait_counts_from_its_beginning(database: Path, autojump_clock: MockClock) -> None:
    async def work(run: tenure.Run) -> Any:
        return len(await run.wait_steered(timeout_s=30))

    agent = Agent(work)
    async with host(database, {"kind": agent.behaviour}, limits=ALONE) as one:
        ticket = await (await one.spawn("a", "kind")).accept({})
        assert await result(ticket) == 0
        assert trio.current_time() == pytest.approx(30, abs=0.5)
    assert agent.times == pytest.approx([0, 30], abs=0.5)


async def test_who_asks_is_put_aside_and_woken_by_the_answer_or_by_its_time(
    database: Path, autojump_clock: MockClock
) -> None:
    async def ask(run: tenure.Run) -> Any:
        try:
            return await run.ask("expert", {}, "expert", timeout_s=run.inputs[0].payload)
        except AskFailed as exc:
            return exc.reason

    async def answer(run: tenure.Run) -> Any:
        await run.sleep(20)
        return 42

    asker, expert = Agent(ask), Agent(answer)
    async with host(database, {"asker": asker.behaviour, "expert": expert.behaviour}, limits=ALONE) as one:
        patient = await (await one.spawn("patient", "asker")).accept(None)
        await trio.sleep(1)
        hurried = await (await one.spawn("hurried", "asker")).accept(10.0)
        await trio.sleep(5)
        assert aside(database) == ["expert", "hurried", "patient"]
        assert owned(one) == []
        assert await result(hurried) == "late"
        assert trio.current_time() == pytest.approx(11, abs=0.5)
        assert await result(patient) == 42
    assert len(expert.entered) == 2
    assert [name for name, _ in asker.entered] == ["patient", "hurried", "hurried", "patient"]


async def test_side_by_side_all_must_wait_and_the_first_end_wakes_the_run(
    database: Path, autojump_clock: MockClock
) -> None:
    did: list[str] = []

    async def work(run: tenure.Run) -> Any:
        async def short() -> str:
            await run.sleep(10)
            await run.step("short", lambda: did.append("short"), repeat="never")
            return "short"

        async def long() -> str:
            await run.sleep(30)
            return "long"

        async def busy() -> str:
            await run.step("busy", trio.sleep, 5, repeat="freely")
            return "busy"

        return await run.gather(short, long, busy)

    agent = Agent(work)
    async with host(database, {"kind": agent.behaviour}, limits=ALONE) as one:
        ticket = await (await one.spawn("a", "kind")).accept({})
        await trio.sleep(5.5)
        assert not aside(database)
        await trio.sleep(1)
        assert aside(database) == ["a"]
        assert await result(ticket) == ["short", "long", "busy"]
    assert did == ["short"]
    assert agent.times == pytest.approx([0, 10, 30], abs=0.5)


async def test_a_wait_under_a_deadline_that_is_in_memory_alone_stays_there(
    database: Path, autojump_clock: MockClock
) -> None:
    async def work(run: tenure.Run) -> Any:
        async with run.move_on_after(10) as scope:
            await run.wait_steered()
        with trio.move_on_after(10):
            await run.sleep(100)
        return scope.cancelled_caught

    agent = Agent(work)
    async with host(database, {"kind": agent.behaviour}, limits=ALONE) as one:
        ticket = await (await one.spawn("a", "kind")).accept({})
        assert await result(ticket) is True
        assert trio.current_time() == pytest.approx(20, abs=0.5)
    assert len(agent.entered) == 1


async def test_a_run_with_an_ephemeral_input_keeps_its_owner(database: Path, autojump_clock: MockClock) -> None:
    async def work(run: tenure.Run) -> Any:
        await run.sleep(10)
        return "slept"

    agent = Agent(work)
    async with host(database, {"kind": agent.behaviour}, limits=ALONE) as one:
        ticket = await (await one.spawn("a", "kind")).accept({}, durability="ephemeral")
        assert await result(ticket) == "slept"
    assert len(agent.entered) == 1


async def test_none_is_never_put_aside(database: Path, autojump_clock: MockClock) -> None:
    async def work(run: tenure.Run) -> Any:
        await run.sleep(40)

    agent = Agent(work)
    async with host(database, {"kind": tenure.Behaviour(agent, aside_after_s=None)}, limits=ALONE) as one:
        await result(await (await one.spawn("a", "kind")).accept({}))
    assert len(agent.entered) == 1


async def test_each_is_put_aside_after_its_own_time_also_where_another_began_to_wait_before(
    database: Path, autojump_clock: MockClock
) -> None:
    async def work(run: tenure.Run) -> None:
        await run.sleep(1_000)

    behaviours = {
        name: tenure.Behaviour(work, aside_after_s=after_s) for name, after_s in (("slow", 300), ("quick", 2))
    }
    async with host(database, behaviours, limits=ALONE) as one:
        for name in behaviours:
            await one.accept(name, {}, kind=name)
            await trio.sleep(1)
        await trio.sleep(3)
        assert aside(database) == ["quick"]
        await trio.sleep(300)
        assert aside(database) == ["quick", "slow"]


async def test_from_then_on_the_run_is_closed_and_what_its_behaviour_does_is_ignored(
    database: Path, autojump_clock: MockClock
) -> None:
    found: list[Any] = []

    async def work(run: tenure.Run) -> Any:
        if run.inputs[0].payload == "woken" or found:
            await run.sleep(10)
            return "right"
        try:
            await run.sleep(10)
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(5)  # it lingers, and its runtime is not entered meanwhile
                with pytest.raises(RunEnded) as caught:
                    run.send("other", {})
                found.append(caught.value)
            raise ValueError

    agent = Agent(work)
    async with host(database, {"kind": agent.behaviour}, limits=ALONE) as one:
        ticket = await (await one.spawn("a", "kind")).accept({})
        assert await result(ticket) == "right"
        assert peek(database, "SELECT attempts, error FROM runs") == [[0, None]]
    assert len(found) == 1
    assert agent.times == pytest.approx([0, 10], abs=0.5)


async def test_those_that_are_due_at_once_execute_in_turn_and_the_others_stay_in_the_file(
    database: Path, autojump_clock: MockClock
) -> None:
    at_once, most, kept = 0, 0, 0

    async def work(run: tenure.Run) -> None:
        await run.sleep(max(100 - trio.current_time(), 0.0))
        await run.step("work", busy, repeat="freely")

    async def busy() -> None:
        nonlocal at_once, most, kept
        at_once += 1
        most, kept = max(most, at_once), max(kept, sum(facts.aside for facts in host_of(one).owned.all))
        await trio.sleep(1)
        at_once -= 1

    behaviour = tenure.Behaviour(work, aside_after_s=AFTER_S, max_running=3)
    async with host(database, {"kind": behaviour}, limits=ALONE) as one:
        tickets = [await one.accept(f"r{number:02}", {}, kind="kind") for number in range(30)]
        await trio.sleep(50)
        assert len(aside(database)) == 30
        assert owned(one) == []
        for ticket in tickets:
            await result(ticket)
        assert trio.current_time() == pytest.approx(110, abs=1)
    assert most == 3
    assert kept <= 3


async def test_a_host_takes_over_none_that_is_aside_and_wakes_each_at_its_time(
    database: Path, autojump_clock: MockClock
) -> None:
    async def work(run: tenure.Run) -> Any:
        await run.sleep(10)
        return "slept"

    agent = Agent(work)

    async def begin(one: tenure.Supervisor) -> None:
        for name in ("a", "b"):
            await (await one.spawn(name, "kind")).accept({}, idempotency_key="k")
        await trio.sleep(5)

    await cut_off(database, {"kind": agent.behaviour}, begin)
    async with host(database, {"kind": agent.behaviour}, limits=ALONE) as one:
        await trio.sleep(2)
        assert owned(one) == []
        assert len(agent.entered) == 2
        await result(await one.ticket("a", idempotency_key="k"))
        await result(await one.ticket("b", idempotency_key="k"))
    await trio.sleep(10)
    assert sorted(name for name, _ in agent.entered) == ["a", "a", "b", "b"]


async def test_what_fell_due_while_no_host_lived_is_woken_by_the_next(
    database: Path, autojump_clock: MockClock
) -> None:
    async def work(run: tenure.Run) -> Any:
        await run.sleep(10)
        return "slept"

    agent = Agent(work)

    async def begin(one: tenure.Supervisor) -> None:
        await (await one.spawn("a", "kind")).accept({}, idempotency_key="k")
        await trio.sleep(5)

    await cut_off(database, {"kind": agent.behaviour}, begin)
    await trio.sleep(500)
    async with host(database, {"kind": agent.behaviour}, limits=ALONE) as one:
        began = trio.current_time()
        await result(await one.ticket("a", idempotency_key="k"))
        assert trio.current_time() - began < 1


async def test_of_two_hosts_one_wakes_it(database: Path, autojump_clock: MockClock) -> None:
    async def work(run: tenure.Run) -> Any:
        await run.sleep(10)
        await run.step("once", trio.sleep, 5, repeat="never")
        return "slept"

    agent = Agent(work)
    async with host(database, {"kind": agent.behaviour}) as one, host(database, {"kind": agent.behaviour}) as other:
        tickets = [await one.accept(f"r{number}", {}, kind="kind") for number in range(10)]
        await trio.sleep(5)
        assert owned(one) == owned(other) == []
        for ticket in tickets:
            assert await result(ticket) == "slept"
    assert len(agent.entered) == 20
