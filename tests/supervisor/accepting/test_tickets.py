"""Tickets: found again by id and key, and everybody who waits is answered."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import Closed, InvalidInput, NotFound
from tenure.persistence.model.values import InputId, InputPhase, LogicalRuntimeId
from tenure.supervisor.accepting.tickets import Outcome, Ticket, Tickets
from tests.kit.hosting import (
    CutOff,
    Gate,
    cut_off,
    echo,
    forever,
    host,
    nothing,
)


async def test_a_ticket_is_found_again_by_id_and_by_key_after_a_restart(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(database, {"kind": echo}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept("go", idempotency_key="k")
        outcome = await ticket.wait_outcome()
    async with host(database, {"kind": echo}) as supervisor:
        by_id = await supervisor.ticket("alice", input_id=ticket.input_id)
        by_key = await supervisor.ticket("alice", idempotency_key="k")

        assert by_id.input_id == by_key.input_id == ticket.input_id
        assert await by_id.wait_outcome() == await by_key.wait_outcome() == outcome
        assert by_id.outcome == outcome


async def test_a_ticket_that_is_found_before_the_end_hears_of_it(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def leave(supervisor: tenure.Supervisor) -> None:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.accept("go", idempotency_key="k")

    async def slow(run: tenure.Run) -> None:
        await trio.sleep(5)

    await cut_off(database, {"kind": forever}, leave)
    outcomes: list[tenure.Outcome] = []

    async def wait(supervisor: tenure.Supervisor) -> None:
        outcomes.append(await (await supervisor.ticket("alice", idempotency_key="k")).wait_outcome())

    async with host(database, {"kind": slow}) as supervisor, trio.open_nursery() as nursery:
        nursery.start_soon(wait, supervisor)
        nursery.start_soon(wait, supervisor)

    assert [outcome.phase for outcome in outcomes] == ["consumed", "consumed"]
    assert outcomes[0] == outcomes[1]


async def test_a_ticket_that_nobody_was_given_is_not_found(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"kind": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept("go", idempotency_key="k")
        await supervisor.spawn("bob", "kind")
        for runtime_id, wanted in (("alice", "other"), ("bob", "k"), ("nobody", "k")):
            with pytest.raises(NotFound):
                await supervisor.ticket(runtime_id, idempotency_key=wanted)
        for runtime_id, input_id in (("alice", "other"), ("bob", ticket.input_id)):
            with pytest.raises(NotFound):
                await supervisor.ticket(runtime_id, input_id=input_id)
        with pytest.raises(InvalidInput):
            await supervisor.ticket("alice")
        with pytest.raises(InvalidInput):
            await supervisor.ticket("alice", input_id=ticket.input_id, idempotency_key="k")


async def test_a_cancelled_wait_ends_the_wait_and_nothing_else(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def slow(run: tenure.Run) -> None:
        await trio.sleep(10)

    async with host(target, {"kind": slow}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept("go")
        with trio.move_on_after(1) as scope:
            await ticket.wait_outcome()
        outcome = await ticket.wait_outcome()

        assert scope.cancelled_caught
        assert outcome.phase == "consumed"


async def wait_for_ticket(runtime: tenure.Runtime) -> None:
    await (await runtime.accept("waits", idempotency_key="k")).wait_outcome()


async def wait_for_repeated_ticket(runtime: tenure.Runtime) -> None:
    first = await runtime.accept("waits", idempotency_key="k")
    again = await runtime.accept("waits", idempotency_key="k")
    assert again is not first
    await again.wait_outcome()


async def wait_for_state(runtime: tenure.Runtime) -> None:
    await runtime.wait_state("retired")


@pytest.mark.parametrize("normally", [True, False])
@pytest.mark.parametrize("wait", [wait_for_ticket, wait_for_repeated_ticket, wait_for_state])
async def test_everybody_who_still_waits_is_answered_when_the_host_closes(
    wait: Callable[[tenure.Runtime], Awaitable[None]],
    normally: bool,  # noqa: FBT001 - a parameter of the test
    target: Path | str,
    autojump_clock: trio.testing.MockClock,
) -> None:
    answers: list[type[Exception]] = []

    async def outside(runtime: tenure.Runtime) -> None:
        with pytest.raises(Closed) as caught:
            await wait(runtime)
        answers.append(caught.type)

    async with trio.open_nursery() as nursery:  # its tasks outlive the host
        with suppress(CutOff):
            async with host(target, {"kind": forever}) as supervisor:
                runtime = await supervisor.spawn("alice", "kind")
                nursery.start_soon(outside, runtime)
                await trio.testing.wait_all_tasks_blocked()
                if not normally:
                    raise CutOff

    assert answers == [Closed]


async def test_a_verb_and_an_accept_that_the_closing_host_cuts_off_are_answered(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    gate = Gate()
    answers: list[str] = []

    async def checkpoints(run: tenure.Run) -> None:
        gate.shut()
        await run.checkpoint()

    async def outside(name: str, ask: Callable[[], Awaitable[object]]) -> None:
        try:
            await ask()
            answers.append(f"{name} done")
        except Closed:
            answers.append(f"{name} closed")

    async def accept_and_wait(runtime: tenure.Runtime) -> None:
        ticket = await runtime.accept("late")
        await outside("its ticket", ticket.wait_outcome)

    async def open_later() -> None:
        await trio.sleep(5)
        gate.open()

    async with trio.open_nursery() as nursery:  # its tasks outlive the host
        with suppress(CutOff):
            async with host(target, {"kind": checkpoints}, gate=gate) as supervisor:
                runtime = await supervisor.spawn("alice", "kind")
                await runtime.accept("go")
                await runtime.wait_state("running")
                await trio.testing.wait_all_tasks_blocked()
                # The run's commit is on its way: the retirement waits for its turn after it, the accept waits for the writer.
                nursery.start_soon(outside, "retire", runtime.retire)
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(outside, "accept", partial(accept_and_wait, runtime))
                await trio.testing.wait_all_tasks_blocked()
                nursery.start_soon(open_later)
                raise CutOff

    # The accept went with the group after that of the run; its ticket does not wait for a host that is gone.
    assert sorted(answers) == ["accept done", "its ticket closed", "retire closed"]


async def test_a_handle_is_of_no_use_when_its_host_is_closed(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"kind": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
    for ask in (lambda: runtime.accept("late"), runtime.retire, runtime.stop, lambda: runtime.wait_state("stopped")):
        with pytest.raises(Closed):
            await ask()


KEY = LogicalRuntimeId("alice"), InputId("i")


@pytest.mark.parametrize("before", range(4))
async def test_a_ticket_that_comes_while_the_last_one_is_dropped_in_another_thread_hears_of_the_end(
    *, before: int
) -> None:
    async with tenure.open_store(":memory:") as store:
        tickets = Tickets(store)
        first, came, lines = [tickets.issue(*KEY, InputPhase.QUEUED, deduplicated=False)], list[Ticket](), 0

        def come(_frame: FrameType, event: str, _: object) -> Callable[..., Any]:
            nonlocal lines
            if event == "line":  # of whatever Python executes for a drop: the loop may come in before any
                if lines == before:
                    sys.settrace(None)
                    came.append(tickets.issue(*KEY, InputPhase.QUEUED, deduplicated=True))
                lines += 1
            return come

        sys.settrace(come)
        first.clear()
        sys.settrace(None)
        last = came or [tickets.issue(*KEY, InputPhase.QUEUED, deduplicated=True)]
        tickets.settle(*KEY, Outcome(phase=InputPhase.CONSUMED))

        assert [each.outcome is not None for each in last] == [True]


async def test_a_ticket_that_was_dropped_is_waited_for_no_longer() -> None:
    async with tenure.open_store(":memory:") as store:
        tickets = Tickets(store)
        held = [tickets.issue(*KEY, InputPhase.QUEUED, deduplicated=False)]
        assert tickets.any_waiting
        assert tickets.waiting() == [KEY]

        held.clear()

        assert not tickets.any_waiting
        assert not tickets.waiting()
