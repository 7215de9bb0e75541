"""Accept: on disk before it returns, once by key, and refused without a trace."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import (
    IdempotencyConflict,
    InboxFull,
    InvalidInput,
    NotAccepting,
    PayloadTooLarge,
    RuntimeDestroyed,
)
from tests.kit.hosting import (
    Gate,
    consumed,
    echo,
    forever,
    host,
    nothing,
    peek,
)

INBOX = """
    SELECT r.runtime_id, i.idempotency_key, i.phase, CAST(p.payload AS TEXT)
    FROM inputs i JOIN runtimes r ON r.runtime = i.runtime JOIN payloads p ON p.input = i.input ORDER BY i.admission
"""


@pytest.mark.sqlite("casts bytes to text")
async def test_another_process_reads_what_was_accepted_as_soon_as_accept_returned(database: Path) -> None:
    # Real threads, a real fsync: the host as users have it.
    async with tenure.open_supervisor(database, behaviours={"kind": forever}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.accept({"n": 1}, idempotency_key="first")
        [[runtime_id, key, _, payload]] = peek(database, INBOX)
        await runtime.accept({"n": 2})
        second = peek(database, INBOX)[1]
        await runtime.stop()

    assert (runtime_id, key, json.loads(payload)) == ("alice", "first", {"n": 1})
    assert second[1] is None
    assert json.loads(second[3]) == {"n": 2}


async def test_a_repeat_by_key_returns_the_first_input_while_it_waits_and_when_it_is_consumed(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"kind": echo}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        first = await runtime.accept({"a": 1, "b": 2}, idempotency_key="k")
        # The order of an object's keys is no difference.
        again = await runtime.accept({"b": 2, "a": 1}, idempotency_key="k")
        outcome = await first.wait_outcome()
        late = await runtime.accept({"a": 1, "b": 2}, idempotency_key="k")

        assert (first.deduplicated, again.deduplicated, late.deduplicated) == (False, True, True)
        assert {first.input_id, again.input_id, late.input_id} == {first.input_id}
        assert await again.wait_outcome() == await late.wait_outcome() == outcome
        assert await supervisor.read_session("alice") == [{"a": 1, "b": 2}]


async def test_a_known_key_with_another_payload_is_a_conflict_and_writes_nothing(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"kind": echo}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept({"n": 1}, idempotency_key="k")
        with pytest.raises(IdempotencyConflict) as caught:
            await runtime.accept({"n": 2}, idempotency_key="k")
        await ticket.wait_outcome()

        assert (caught.value.runtime_id, caught.value.key) == ("alice", "k")
        assert await supervisor.read_session("alice") == [{"n": 1}]


async def test_a_key_is_unique_in_its_runtime_only(target: Path | str, autojump_clock: trio.testing.MockClock) -> None:
    async with host(target, {"kind": nothing}) as supervisor:
        alice = await (await supervisor.spawn("alice", "kind")).accept(1, idempotency_key="k")
        bob = await (await supervisor.spawn("bob", "kind")).accept(2, idempotency_key="k")

        assert alice.input_id != bob.input_id
        assert not bob.deduplicated


async def test_a_key_is_known_after_a_restart_and_in_the_next_generation(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(database, {"kind": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        first = await runtime.accept("text", idempotency_key="k")
        before = await first.wait_outcome()
        await runtime.reset()
    async with host(database, {"kind": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        again = await runtime.accept("text", idempotency_key="k")

        assert (again.input_id, again.deduplicated) == (first.input_id, True)
        assert await again.wait_outcome() == before
        with pytest.raises(IdempotencyConflict):
            await runtime.accept("another", idempotency_key="k")


@pytest.mark.parametrize("verb", ["retire", "stop"])
async def test_retired_and_stopped_runtimes_accept_nothing_new_and_still_know_their_keys(
    target: Path | str, verb: str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"kind": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        first = await runtime.accept("text", idempotency_key="k")
        await first.wait_outcome()
        await getattr(runtime, verb)()
        again = await runtime.accept("text", idempotency_key="k")
        with pytest.raises(NotAccepting):
            await runtime.accept("more", idempotency_key="new")
        with pytest.raises(IdempotencyConflict):
            await runtime.accept("another", idempotency_key="k")

        assert (again.input_id, again.deduplicated) == (first.input_id, True)
        assert (await again.wait_outcome()).phase == "consumed"


async def test_a_destroyed_runtime_accepts_nothing_not_even_a_known_key(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"kind": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.accept("text", idempotency_key="k")
        await runtime.destroy()
        for key in ("k", "new", None):
            with pytest.raises(RuntimeDestroyed):
                await runtime.accept("text", idempotency_key=key)


@pytest.mark.parametrize("key", ["", "\0", "x" * 501, "tenure:send:1:1", "\ud800"])
async def test_a_key_that_nobody_may_give_is_refused(key: str, autojump_clock: trio.testing.MockClock) -> None:
    async with host(":memory:", {"kind": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        with pytest.raises(InvalidInput) as caught:
            await runtime.accept("text", idempotency_key=key)

        assert caught.value.field == "idempotency_key"


async def test_what_has_no_json_form_or_is_too_large_is_refused_and_its_neighbours_land(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    limits = tenure.Limits(payload_bytes=100)
    async with host(target, {"kind": echo}, limits=limits) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        with pytest.raises(InvalidInput):
            await runtime.accept(object())
        with pytest.raises(PayloadTooLarge) as caught:
            await runtime.accept("x" * 99)
        await consumed(runtime, "x" * 98)

        assert (caught.value.size, caught.value.limit) == (101, 100)
        assert await supervisor.read_session("alice") == ["x" * 98]


async def test_a_full_inbox_refuses_until_something_ends(autojump_clock: trio.testing.MockClock) -> None:
    async with host(":memory:", {"kind": forever}, limits=tenure.Limits(inbox_inputs=3)) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        tickets = [await runtime.accept(n, idempotency_key=str(n)) for n in range(3)]
        with pytest.raises(InboxFull) as caught:
            await runtime.accept(3)
        again = await runtime.accept(1, idempotency_key="1")
        await runtime.stop()
        await supervisor.spawn("alice", "kind")
        await runtime.accept(3)

        assert caught.value.limit == 3
        assert again.input_id == tickets[1].input_id
        await runtime.stop()


async def test_accepts_that_wait_together_share_a_group_and_keep_their_order(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    gate = Gate()
    async with host(target, {"kind": echo}, gate=gate) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        before = supervisor.statistics().groups
        gate.shut()
        async with trio.open_nursery() as nursery:
            for n in range(10):
                nursery.start_soon(runtime.accept, n)
                await trio.testing.wait_all_tasks_blocked()
            gate.open()
        # The first was taken alone; all that came while it was on its way went together.
        groups = supervisor.statistics().groups - before
        await (await runtime.accept("last")).wait_outcome()

        assert groups <= 3
        assert await supervisor.read_session("alice") == [*range(10), "last"]


async def test_an_accept_that_is_cancelled_before_it_is_taken_never_happened(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    gate = Gate()
    async with host(target, {"kind": echo}, gate=gate) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        gate.shut()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runtime.accept, "taken")
            await trio.testing.wait_all_tasks_blocked()
            with trio.move_on_after(1) as scope:
                await runtime.accept("waiting", idempotency_key="k")
            gate.open()
        ticket = await runtime.accept("waiting", idempotency_key="k")
        await ticket.wait_outcome()

        assert scope.cancelled_caught
        assert not ticket.deduplicated
        assert await supervisor.read_session("alice") == ["taken", "waiting"]


async def test_an_accept_that_is_cancelled_once_it_is_taken_delivers_its_ticket_and_is_cancelled_behind(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    gate = Gate()
    async with host(target, {"kind": echo}, gate=gate) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        gate.shut()
        async with trio.open_nursery() as nursery:

            async def open_later() -> None:
                await trio.sleep(5)
                gate.open()

            nursery.start_soon(open_later)
            ticket = None
            with trio.move_on_after(1) as scope:
                ticket = await runtime.accept("taken", idempotency_key="k")
                await trio.lowlevel.checkpoint()
                pytest.fail("the cancellation did not come")

        assert scope.cancelled_caught
        assert ticket is not None
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert (await runtime.accept("taken", idempotency_key="k")).input_id == ticket.input_id


@pytest.mark.slow
async def test_five_thousand_accepts_at_once_wait_in_accept_beyond_the_limit_and_a_cancelled_one_leaves_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    gate = Gate()
    accepted: list[tenure.Ticket] = []

    async def accept(runtime: tenure.Runtime | tenure.ForeignRuntime, n: int) -> None:
        accepted.append(await runtime.accept(n, idempotency_key=str(n)))

    async with host(":memory:", {"kind": echo}, gate=gate) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        gate.shut()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(accept, runtime, 0)
            await trio.testing.wait_all_tasks_blocked()  # it is taken, and on its way to the disk
            async with trio.open_nursery() as cancelled:
                for n in range(1, 5_000):
                    (nursery if n % 2 else cancelled).start_soon(accept, runtime, n)
                await trio.testing.wait_all_tasks_blocked()
                full = supervisor.store.statistics()
                cancelled.cancel_scope.cancel()
            assert not accepted
            gate.open()
        again = await runtime.accept(4_998, idempotency_key="4998")
        await again.wait_outcome()

        assert (full.waiting, full.waiting_for_room) == (4_096, 5_000 - 1 - 4_096)
        assert not again.deduplicated, "it was cancelled, and left nothing"
        assert len(accepted) == 1 + 2_500
        assert sorted(await supervisor.read_session("alice")) == sorted([0, *range(1, 5_000, 2), 4_998])


async def test_an_accept_waits_neither_for_the_run_nor_for_a_verb_that_waits_for_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    gate = Gate()
    started = trio.Event()

    async def checkpoints(run: tenure.Run) -> None:
        if run.inputs[0].payload == "work":
            gate.shut()
            started.set()
            await run.checkpoint()

    async with host(":memory:", {"kind": checkpoints}, gate=gate) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runtime.accept, "work")
            await started.wait()
            nursery.start_soon(runtime.retire)
            await trio.testing.wait_all_tasks_blocked()
            with trio.move_on_after(1) as cancelled:
                await runtime.accept("cancelled")
            nursery.start_soon(runtime.accept, "it is judged by what is stored, and the retirement is not")
            await trio.testing.wait_all_tasks_blocked()
            gate.open()
        assert await runtime.wait_state("retired") == "retired"
        await refused(runtime)

        assert cancelled.cancelled_caught


async def test_a_verb_that_is_cancelled_while_it_waits_for_the_run_did_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    gate = Gate()
    started = trio.Event()

    async def checkpoints(run: tenure.Run) -> None:
        gate.shut()
        started.set()
        await run.checkpoint()

    async with host(":memory:", {"kind": checkpoints}, gate=gate) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept("work")
        await started.wait()
        with trio.move_on_after(1) as cancelled:
            await runtime.retire()
        gate.open()
        await ticket.wait_outcome()

        assert cancelled.cancelled_caught
        assert await runtime.wait_state("attached") == "attached"


async def refused(runtime: tenure.Runtime) -> None:
    with pytest.raises(NotAccepting):
        await runtime.accept("after the retirement")
