"""Deadlines: what is not done in time is abandoned, wherever it stands by then (design §20)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidInput
from tenure.persistence.facets.runs.runs import StageSteered
from tests.kit.hosting import CutOff, cut_off, echo, forever, host, peek
from tests.kit.worlds import Host, supervisor
from tests.persistence.contracts.owners.owned import Owner

ANSWERED_S = 60.0


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "agents.db"


async def ended(ticket: tenure.Ticket) -> tuple[str, str | None]:
    with trio.fail_after(ANSWERED_S):
        outcome = await ticket.wait_outcome()
    return outcome.phase, outcome.reason


LATE = ("abandoned", "deadline_exceeded")
DONE = ("consumed", None)


async def test_an_input_that_waits_past_its_deadline_is_abandoned_and_its_neighbours_are_not(
    database: Path, autojump_clock: MockClock
) -> None:
    ran: list[Any] = []

    async def slow(run: tenure.Run) -> None:
        ran.append(run.inputs[0].payload)
        await trio.sleep(10)

    async with host(database, {"kind": slow}) as one:
        runtime = await one.spawn("a", "kind")
        first = await runtime.accept("first")
        await trio.sleep(1)  # the first look at the store is over
        began = trio.current_time()
        late = await runtime.accept("late", deadline_s=3)
        last = await runtime.accept("last", deadline_s=100)
        assert await ended(late) == LATE
        assert trio.current_time() - began == pytest.approx(3, abs=0.2)
        assert [await ended(first), await ended(last)] == [DONE, DONE]
        assert ran == ["first", "last"]
        assert [(each.input_id, each.reason) for each in await one.dead_letters("a")] == [
            (late.input_id, "deadline_exceeded")
        ]
        assert one.statistics().dead_letters == 1


async def test_a_run_over_a_late_input_alone_is_cancelled(database: Path, autojump_clock: MockClock) -> None:
    cancelled = trio.Event()

    async def slow(run: tenure.Run) -> None:
        try:
            await trio.sleep_forever()
        finally:
            cancelled.set()

    async with host(database, {"kind": slow}) as one:
        runtime = await one.spawn("a", "kind")
        ticket = await runtime.accept("x", deadline_s=3)
        assert await ended(ticket) == LATE
        await cancelled.wait()
        await runtime.wait_state("attached")
        assert peek(database, "SELECT outcome FROM runs") == [["deadline_exceeded"]]


class Batches:
    """A behaviour that takes what came while its first run waited as one batch, and works on it as `work` says."""

    def __init__(self, work: Any) -> None:
        self.go_on = trio.Event()
        self.work = work
        self.behaviour = tenure.Behaviour(self, batch=5)

    async def __call__(self, run: tenure.Run) -> None:
        if run.inputs[0].payload == "gate":
            await self.go_on.wait()
        else:
            await self.work(run)

    async def accept(self, runtime: tenure.Runtime, *deadlines: float | None) -> list[tenure.Ticket]:
        await runtime.accept("gate")
        await runtime.wait_state("running")
        tickets = [await runtime.accept(number, deadline_s=each) for number, each in enumerate(deadlines)]
        self.go_on.set()
        return tickets


async def test_a_late_member_of_a_batch_ends_with_the_next_boundary_and_the_others_go_on(
    database: Path, autojump_clock: MockClock
) -> None:
    open_then: list[bool] = []

    async def work(run: tenure.Run) -> None:
        await trio.sleep(10)
        open_then.append(tickets[1].outcome is None)
        await run.checkpoint()
        open_then.append(tickets[1].outcome is None)
        run.reject(run.inputs[1], "it has ended already")
        await run.checkpoint(consume=run.inputs[1:2])
        await trio.sleep(20)

    batches = Batches(work)
    async with host(database, {"kind": batches.behaviour}) as one:
        runtime = await one.spawn("a", "kind")
        tickets = await batches.accept(runtime, None, 5, 25, 100)
        assert [await ended(each) for each in tickets] == [DONE, LATE, LATE, DONE]
    assert open_then == [True, False]
    assert peek(database, "SELECT count(*) FROM runs WHERE outcome = 'finished' AND attempts = 0") == [[2]]


async def test_a_run_ends_when_the_last_of_its_members_is_late(database: Path, autojump_clock: MockClock) -> None:
    async def work(run: tenure.Run) -> None:
        await run.checkpoint(consume=run.inputs[:1])
        await trio.sleep_forever()

    batches = Batches(work)
    async with host(database, {"kind": batches.behaviour}) as one:
        tickets = await batches.accept(await one.spawn("a", "kind"), None, 5, 8)
        assert [await ended(each) for each in tickets] == [DONE, LATE, LATE]
        assert trio.current_time() == pytest.approx(8, abs=0.5)


async def test_a_failed_run_that_waits_to_be_tried_again_is_dropped_at_the_deadline(
    database: Path, autojump_clock: MockClock
) -> None:
    async def broken(run: tenure.Run) -> None:
        if run.inputs[0].payload == "broken":
            raise ValueError("broken")

    slow = tenure.RestartPolicy(backoff_s=1_000, backoff_limit_s=1_000)
    async with host(database, {"kind": tenure.Behaviour(broken, restart=slow)}) as one:
        runtime = await one.spawn("a", "kind")
        late, other = await runtime.accept("broken", deadline_s=50), await runtime.accept("fine")
        with trio.fail_after(100):
            assert (await late.wait_outcome()).reason == "deadline_exceeded"
            assert await ended(other) == DONE


async def test_what_is_late_when_a_host_opens_is_abandoned_and_never_runs(
    database: Path, autojump_clock: MockClock
) -> None:
    ran: list[str] = []

    async def note(run: tenure.Run) -> None:
        ran.append(run.inputs[0].payload)

    async def body(first: tenure.Supervisor) -> None:
        runtime = await first.spawn("a", "kind")
        await runtime.accept("in flight", deadline_s=5, idempotency_key="in flight")
        await runtime.wait_state("running")
        await runtime.accept("waits", deadline_s=5, idempotency_key="waits")
        await runtime.accept("in time", deadline_s=1_000, idempotency_key="in time")
        raise CutOff

    await cut_off(database, {"kind": forever}, body)
    await trio.sleep(20)
    async with host(database, {"kind": note}) as one:
        for ticket in [await one.ticket("a", idempotency_key=each) for each in ("in flight", "waits", "in time")]:
            await ended(ticket)
        assert sorted(each.reason for each in await one.dead_letters("a")) == ["deadline_exceeded"] * 2
    assert ran in (["in time"], ["in flight", "in time"])  # the first may enter before it is dropped


async def test_a_retried_dead_letter_has_no_deadline_any_more(database: Path, autojump_clock: MockClock) -> None:
    async with host(database, {"kind": echo, "slow": forever}) as one:
        runtime = await one.spawn("a", "slow")
        await runtime.accept("gate")
        late = await runtime.accept("late", deadline_s=1)
        assert await ended(late) == LATE
        await runtime.retry(late.input_id)
        await runtime.cancel()
        await trio.sleep(100)
        assert (await one.ticket("a", input_id=late.input_id)).outcome is None


async def test_the_deadlines_of_a_runtime_that_no_host_owns_are_kept_by_any(
    database: Path, autojump_clock: MockClock
) -> None:
    async with supervisor(database, {}) as web, supervisor(database, {}) as other:
        ticket = await web.accept("a", 1, kind="unknown", deadline_s=3)
        seen = await other.ticket("a", input_id=ticket.input_id)
        assert [await ended(ticket), await ended(seen)] == [LATE, LATE]


async def test_a_deadline_that_another_process_gave_is_kept_by_the_owner(
    database: Path, autojump_clock: MockClock
) -> None:
    async with supervisor(database, {"kind": forever}) as owner, supervisor(database, {}) as web:
        runtime = await owner.spawn("a", "kind")
        await runtime.accept("gate")
        ticket = await web.accept("a", 1, deadline_s=3)
        began = trio.current_time()
        assert await ended(ticket) == LATE
        assert trio.current_time() - began == pytest.approx(3, abs=0.5)


async def test_the_deadlines_of_a_host_that_dies_are_kept_by_the_next(
    database: Path, autojump_clock: MockClock
) -> None:
    dying = Host()
    async with supervisor(database, {"kind": forever}, dying) as dead, supervisor(database, {"kind": forever}) as heir:
        await (await dead.spawn("a", "kind")).accept("x", deadline_s=30)
        ticket = await heir.ticket("a", input_id=(await (await heir.find("a")).accept("y", deadline_s=20)).input_id)
        dying.gate.freeze()
        dying.locks.die()
        with trio.fail_after(60):
            assert (await ticket.wait_outcome()).reason == "deadline_exceeded"


async def test_a_deadline_is_a_number_of_seconds_above_0(database: Path, autojump_clock: MockClock) -> None:
    async with host(database, {"kind": echo}) as one:
        runtime = await one.spawn("a", "kind")
        for wrong in (0, -1.0, float("nan"), float("inf"), "soon", True):
            hostile: Any = wrong
            with pytest.raises(InvalidInput) as refused:
                await runtime.accept(1, deadline_s=hostile)
            assert refused.value.field == "deadline_s"
        assert await ended(await runtime.accept(1, deadline_s=1e308)) == DONE


async def test_no_run_begins_with_what_is_late_and_not_abandoned_yet_and_none_is_steered_by_it() -> None:
    now = [1_000.0]
    async with tenure.open_store(":memory:", seams=tenure.Seams(wall_clock=lambda: now[0])) as store:
        owner = Owner(store, "a")
        await owner.own()
        await owner.accept("late", deadline_s=1.0)
        await owner.accept("in time", deadline_s=100.0)
        await owner.accept("late too", deadline_s=1.0, lane=tenure.Lane.STEER)
        await owner.accept("steers", deadline_s=100.0, lane=tenure.Lane.STEER)
        now[0] += 2.0

        begun = await owner.begin("run", batch=3)

        assert [each.input_id for each in begun.inputs] == ["a in time"]
        joined = (await owner.write(StageSteered(runtime_id=owner.runtime_id, run_id=begun.run_id)))[0]
        assert [each.input_id for each in joined] == ["a steers"]
        assert (await owner.begin("run")).more is False
