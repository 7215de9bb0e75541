"""The terms of an accept: what replaces what still waits, what recovery drops, what no run sees; and who is told."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import InvalidInput, NotFound
from tenure.supervisor.runs.behaviour import as_behaviours
from tenure.supervisor.supervisor import host_of
from tests.kit.hosting import (
    CutOff,
    cut_off,
    echo,
    forever,
    host,
    peek,
)
from tests.kit.past import write_past

ANSWERED_S = 60.0
"""Virtual seconds in which whoever waits is answered."""

SUPERSEDE = tenure.PolicyDecision(queue_mode=tenure.QueueMode.SUPERSEDE)


class Blocked:
    """A behaviour whose runs wait for a word, so that what comes in meanwhile waits."""

    def __init__(self) -> None:
        self.go_on = trio.Event()

    async def __call__(self, run: tenure.Run) -> None:
        await self.go_on.wait()
        await echo(run)


@pytest.mark.parametrize(("policy", "phase"), [(None, "coalesced"), (SUPERSEDE, "superseded")])
async def test_whoever_waits_for_an_input_that_is_replaced_is_told(
    target: Path | str, policy: tenure.PolicyDecision | None, phase: str, autojump_clock: trio.testing.MockClock
) -> None:
    blocked = Blocked()
    async with host(target, {"kind": blocked}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        first = await runtime.accept("first")
        old = await runtime.accept("old", supersession_key="weather")
        other = await runtime.accept("other", supersession_key="traffic")
        new = await runtime.accept("new", supersession_key="weather", policy=policy)

        with trio.fail_after(ANSWERED_S):
            outcome = await old.wait_outcome()
        assert (outcome.phase, outcome.receipt) == (phase, None)
        found = await supervisor.ticket("alice", input_id=old.input_id)
        assert (await found.wait_outcome()).phase == phase
        blocked.go_on.set()
        for ticket in (first, other, new):
            assert (await ticket.wait_outcome()).phase == "consumed"
        assert await supervisor.read_session("alice") == ["first", "other", "new"]


async def test_what_a_run_has_is_not_replaced(target: Path | str, autojump_clock: trio.testing.MockClock) -> None:
    blocked = Blocked()
    async with host(target, {"kind": blocked}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        old = await runtime.accept("old", supersession_key="weather")
        await runtime.wait_state("running")
        await runtime.accept("new", supersession_key="weather")
        blocked.go_on.set()

        assert (await old.wait_outcome()).phase == "consumed"


async def test_what_is_routed_to_steer_joins_the_run_that_waits_for_it(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def steered(run: tenure.Run) -> None:
        run.session.append([entry.payload for entry in await run.wait_steered()])

    async with host(target, {"kind": steered}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept("go")
        await trio.testing.wait_all_tasks_blocked()
        await runtime.accept("left", policy=tenure.PolicyDecision(routing=tenure.Routing.STEER))

        with trio.fail_after(ANSWERED_S):
            assert (await ticket.wait_outcome()).phase == "consumed"
        assert await supervisor.read_session("alice") == [["left"]]


async def test_priority_goes_to_the_front(target: Path | str, autojump_clock: trio.testing.MockClock) -> None:
    blocked = Blocked()
    async with host(target, {"kind": blocked}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.accept("first")
        await runtime.wait_state("running")
        last = await runtime.accept("last")
        await runtime.accept("urgent", policy=tenure.PolicyDecision(queue_mode=tenure.QueueMode.PRIORITY))
        blocked.go_on.set()
        await last.wait_outcome()

        assert await supervisor.read_session("alice") == ["first", "urgent", "last"]


async def test_an_input_that_no_run_sees_is_consumed_with_a_receipt_of_its_own(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    on_accept = tenure.PolicyDecision(consume_point=tenure.ConsumePoint.ON_ACCEPT)
    async with host(target, {"kind": echo}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept("noted", policy=on_accept, idempotency_key="k")
        outcome = await ticket.wait_outcome()
        again = await runtime.accept("noted", policy=on_accept, idempotency_key="k")

        assert outcome.phase == "consumed"
        assert outcome.receipt is not None
        assert outcome.receipt.boundary == "immediate"
        assert (again.deduplicated, await again.wait_outcome()) == (True, outcome)
        assert await supervisor.read_session("alice") == []


async def test_recovery_drops_what_is_ephemeral_and_keeps_the_rest(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    given: list[tenure.Ticket] = []

    async def leave(supervisor: tenure.Supervisor) -> None:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.accept("kept")
        await runtime.wait_state("running")
        given.append(await runtime.accept("fleeting", durability="ephemeral"))
        given.append(await runtime.accept("kept too", correlation_id="c-1"))

    await cut_off(database, {"kind": forever}, leave)
    async with host(database, {"kind": echo}) as supervisor:
        await (await supervisor.ticket("alice", input_id=given[1].input_id)).wait_outcome()

        assert await supervisor.read_session("alice") == ["kept", "kept too"]
        with pytest.raises(NotFound):
            await supervisor.ticket("alice", input_id=given[0].input_id)


async def test_terms_hold_for_a_runtime_that_nobody_owns_yet(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(database, {"kind": echo}) as supervisor:
        await (await supervisor.spawn("alice", "kind")).retire()
        await supervisor.runtime("alice").recycle()
    async with host(database, {}) as supervisor:
        old = await supervisor.accept("alice", "old", supersession_key="weather")
        new = await supervisor.accept("alice", "new", supersession_key="weather", policy=SUPERSEDE)

        with trio.fail_after(ANSWERED_S):
            assert (await old.wait_outcome()).phase == "superseded"
        assert new.outcome is None


@pytest.mark.parametrize(
    ("terms", "field"),
    [
        ({"durability": "ephemeral", "idempotency_key": "k"}, "idempotency_key"),
        ({"durability": "derived"}, "durability"),
        ({"durability": "for ever"}, "durability"),
        ({"lane": "fast"}, "lane"),
        ({"lane": "steer", "policy": tenure.PolicyDecision()}, "lane"),
        ({"idempotency_key": ""}, "idempotency_key"),
        ({"idempotency_key": "tenure:mine"}, "idempotency_key"),
        ({"supersession_key": ""}, "supersession_key"),
        ({"supersession_key": "a\0b"}, "supersession_key"),
        ({"correlation_id": "\ud800"}, "correlation_id"),
        ({"correlation_id": "x" * 501}, "correlation_id"),
        ({"policy": tenure.PolicyDecision(routing=tenure.Routing.DROP)}, "policy"),
        ({"policy": tenure.PolicyDecision(consume_point=tenure.ConsumePoint.EXPLICIT_ACK)}, "policy"),
        ({"policy": tenure.PolicyDecision(policy_version=9)}, "policy"),
        ({"policy": tenure.PolicyDecision(queue_mode="fast")}, "policy"),  # type: ignore[arg-type]
    ],
)
async def test_terms_that_do_not_fit_are_refused_and_nothing_is_written(
    terms: dict[str, Any], field: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(":memory:", {"kind": echo}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        commits = supervisor.statistics().commits
        with pytest.raises(InvalidInput) as caught:
            await runtime.accept("go", **terms)

        assert caught.value.field == field
        assert supervisor.statistics().commits == commits


# --- Every waiter is answered


async def test_whoever_waits_for_an_input_that_no_run_can_take_is_told(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    blocked = Blocked()
    async with host(database, {"kind": blocked}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.accept("first")
        await runtime.wait_state("running")
        ticket = await runtime.accept("damaged")
        good = await runtime.accept("good")
        [[key]] = peek(database, f"SELECT input FROM inputs WHERE input_id = '{ticket.input_id}'")
        write_past(database, "DELETE FROM payloads WHERE input = ?", key)
        blocked.go_on.set()

        with trio.fail_after(ANSWERED_S):
            outcome = await ticket.wait_outcome()
        assert (outcome.phase, outcome.reason) == ("abandoned", "max_attempts_exhausted")
        assert outcome.error is not None
        assert "payload is gone" in outcome.error
        assert (await good.wait_outcome()).phase == "consumed"


async def test_whoever_waits_for_an_input_that_the_repair_at_a_takeover_ends_is_told(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    given: list[tenure.Ticket] = []

    async def leave(supervisor: tenure.Supervisor) -> None:
        runtime = await supervisor.spawn("alice", "kind")
        given.append(await runtime.accept("fleeting", durability="ephemeral"))
        raise CutOff

    await cut_off(database, {"kind": forever}, leave)
    behaviours: dict[str, Any] = {}
    async with host(database, behaviours) as supervisor:
        ticket = await supervisor.ticket("alice", input_id=given[0].input_id)
        learnt = as_behaviours({"kind": echo})
        for part in ("_kinds", "_offers"):  # the host hears of the kind only now, so that the ticket is there before
            vars(host_of(supervisor).behaviours)[part].update(vars(learnt)[part])
        await supervisor.spawn("alice", "kind")

        with trio.fail_after(ANSWERED_S), pytest.raises(NotFound):
            await ticket.wait_outcome()
