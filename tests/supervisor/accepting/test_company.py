"""The begin of a run in one commit with the accept of its input: when it goes along, and what comes of it when it may not."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import Closed, InboxFull, RuntimeDestroyed
from tests.kit.hosting import Gate, consumed, host, nothing, peek
from tests.kit.past import write_past

RUNS = "SELECT run_id, attempts, outcome FROM runs ORDER BY run"


async def commits_of(supervisor: tenure.Supervisor, runtime: tenure.Runtime, **terms: object) -> int:
    """The commits of one input, from its accept to its end."""
    await trio.testing.wait_all_tasks_blocked()
    before = supervisor.statistics().commits
    ticket = await runtime.accept("work", **terms)  # type: ignore[arg-type]
    await ticket.wait_outcome()
    return supervisor.statistics().commits - before


async def test_the_begin_goes_along_with_the_accept_of_an_idle_runtime_alone(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    behaviours = {"kind": nothing, "few": tenure.Behaviour(nothing, max_running=2)}
    async with host(target, behaviours) as supervisor:
        runtime, few = await supervisor.spawn("alice", "kind"), await supervisor.spawn("bob", "few")

        assert await commits_of(supervisor, runtime) == 2
        assert await commits_of(supervisor, runtime, idempotency_key="k") == 2
        assert await commits_of(supervisor, runtime, after_s=5.0) > 2
        assert await commits_of(supervisor, few) == 3, "it waits for a slot first"


async def test_inputs_that_come_together_are_one_batch_with_the_last_of_them(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    batches: list[list[object]] = []

    async def note(run: tenure.Run) -> None:
        batches.append([each.payload for each in run.inputs])

    async with host(target, {"kind": tenure.Behaviour(note, batch=10)}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        before = supervisor.statistics().commits
        async with trio.open_nursery() as nursery:
            for number in range(5):
                nursery.start_soon(consumed, runtime, number)

        assert [sorted(each, key=str) for each in batches] == [[0, 1, 2, 3, 4]]
        assert supervisor.statistics().commits - before == 6, "five accepts, one of them with the begin, and the end"


async def test_a_known_key_begins_nothing_and_what_came_with_it_is_worked_off(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"kind": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await (await runtime.accept("once", idempotency_key="k")).wait_outcome()
        tickets: list[tenure.Ticket] = []

        async def accept(payload: str, key: str) -> None:
            tickets.append(await runtime.accept(payload, idempotency_key=key))

        async with trio.open_nursery() as nursery:
            for payload, key in (("new", "j"), ("once", "k")):
                nursery.start_soon(accept, payload, key)

        assert sorted(each.deduplicated for each in tickets) == [False, True]
        assert {(await each.wait_outcome()).phase for each in tickets} == {"consumed"}


async def test_what_is_refused_in_company_is_judged_alone(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"kind": nothing}, limits=tenure.Limits(inbox_inputs=1, poll_s=1.0)) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        refused: list[Exception] = []

        async def accept(number: int) -> None:
            try:
                await consumed(runtime, number)
            except InboxFull as exc:
                refused.append(exc)

        async with trio.open_nursery() as nursery:
            for number in range(3):
                nursery.start_soon(accept, number)

        assert len(refused) == 2
        assert await consumed(runtime, "again")


async def test_an_accept_lands_where_the_token_is_anothers_by_now(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(database, {"kind": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await consumed(runtime, "it has worked before")
        write_past(database, "UPDATE runtimes SET fence_token = fence_token + 1000")
        ticket = await runtime.accept("for whoever has it")

        assert not ticket.deduplicated
        with pytest.raises(Closed):
            await runtime.retire()

    [*_, [phase]] = peek(database, "SELECT phase FROM inputs ORDER BY input")
    assert phase == "queued"
    assert len(peek(database, RUNS)) == 1, "no run of a stale token"


async def test_a_verb_waits_for_the_begin_that_is_on_its_way(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    gate, order = Gate(), list[str]()

    async def hangs(run: tenure.Run) -> None:
        order.append("began")
        await trio.sleep_forever()

    async with host(database, {"kind": hangs}, gate=gate) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        gate.shut()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runtime.accept, "work")
            await trio.testing.wait_all_tasks_blocked()
            nursery.start_soon(runtime.stop)
            await trio.testing.wait_all_tasks_blocked()
            gate.open()

        assert runtime.state == "stopped"
    assert [outcome for _, _, outcome in peek(database, RUNS)] == ["stopped"]


async def test_a_caller_that_gives_up_before_the_writer_takes_it_leaves_the_runtime_free(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    gate = Gate()
    async with host(target, {"kind": nothing}, gate=gate) as supervisor:
        alice, bob = await supervisor.spawn("alice", "kind"), await supervisor.spawn("bob", "kind")
        gate.shut()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(bob.accept, "is taken"))
            await trio.testing.wait_all_tasks_blocked()
            with trio.move_on_after(1):
                await alice.accept("waits behind it")
            gate.open()

        assert await consumed(alice, "again")
        assert supervisor.statistics().commits < 10


async def test_a_runtime_that_is_gone_by_then_refuses_the_accept_as_ever(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"kind": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.destroy()

        with pytest.raises(RuntimeDestroyed):
            await runtime.accept("too late")
