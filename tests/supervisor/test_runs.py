"""Runs: exact batches, the same run when it enters again, checkpoints that land once."""

from __future__ import annotations

from contextvars import ContextVar
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import RunEnded, StepMismatch
from tests.kit.hosting import (
    Gate,
    consumed,
    cut_off,
    echo,
    host,
    nothing,
    peek,
)

QUICK = tenure.RestartPolicy(backoff_s=0.001, jitter=0.0)


async def test_a_run_takes_one_input_the_oldest_first(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    seen: list[tuple[str, list[Any]]] = []

    async def behaviour(run: tenure.Run) -> None:
        seen.append((run.run_id, [entry.payload for entry in run.inputs]))

    async with host(target, {"kind": behaviour}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        tickets = [await runtime.accept(n) for n in range(4)]
        for ticket in tickets:
            await ticket.wait_outcome()

    assert [payloads for _, payloads in seen] == [[0], [1], [2], [3]]
    assert len({run_id for run_id, _ in seen}) == 4


async def test_a_behaviour_with_a_batch_takes_so_many_at_most_in_their_order(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    seen: list[list[Any]] = []

    async def behaviour(run: tenure.Run) -> None:
        seen.append([entry.payload for entry in run.inputs])
        await trio.sleep(1)

    async with host(target, {"kind": tenure.Behaviour(behaviour, batch=3)}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        tickets = [await runtime.accept(0)]
        await runtime.wait_state("running")
        tickets += [await runtime.accept(n) for n in range(1, 8)]
        outcomes = [await ticket.wait_outcome() for ticket in tickets]

    assert seen == [[0], [1, 2, 3], [4, 5, 6], [7]]
    assert outcomes[1].receipt == outcomes[3].receipt
    assert outcomes[1].receipt is not None
    assert outcomes[1].receipt.contributing_input_ids == tuple(ticket.input_id for ticket in tickets[1:4])


async def test_a_run_knows_its_inputs_its_runtime_and_its_token(autojump_clock: trio.testing.MockClock) -> None:
    seen: list[Any] = []

    async def behaviour(run: tenure.Run) -> None:
        [entry] = run.inputs
        seen.append((run.runtime_id, run.fence_token, run.generation, run.attempts))
        seen.append((entry.kind, entry.payload, entry.source, entry.idempotency_key, entry.attempts))

    async with host(":memory:", {"kind": behaviour}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await (await runtime.accept([1, None], idempotency_key="k")).wait_outcome()

        assert seen == [
            ("alice", runtime.fence_token, 0, 0),
            ("external_event", [1, None], {"type": "external"}, "k", 0),
        ]


async def test_a_failed_run_enters_again_with_the_same_id_and_the_same_batch(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    seen: list[tuple[str, list[Any], int]] = []

    async def behaviour(run: tenure.Run) -> None:
        seen.append((run.run_id, [entry.payload for entry in run.inputs], run.attempts))
        await trio.sleep(1)
        if run.attempts < 2 and run.inputs[0].payload == 1:
            raise ValueError

    behaviours = {"kind": tenure.Behaviour(behaviour, batch=2)}
    async with host(target, behaviours) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        first = [await runtime.accept(0)]
        await runtime.wait_state("running")
        first += [await runtime.accept(n) for n in (1, 2)]
        await trio.sleep(1.5)  # the batch of 1 and 2 is executing; what comes now may not join it
        late = await runtime.accept(3)
        for ticket in [*first, late]:
            await ticket.wait_outcome()

    assert [(payloads, attempts) for _, payloads, attempts in seen] == [
        ([0], 0),
        ([1, 2], 0),
        ([1, 2], 1),
        ([1, 2], 2),
        ([3], 0),
    ]
    assert len({run_id for run_id, payloads, _ in seen if payloads == [1, 2]}) == 1


async def test_an_interrupted_run_enters_again_in_the_next_host_and_nobody_spawns_it(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    seen: list[tuple[str, list[Any], int]] = []
    patient = trio.Event()

    async def behaviour(run: tenure.Run) -> None:
        seen.append((run.run_id, [entry.payload for entry in run.inputs], run.attempts))
        run.session.append(len(seen))
        if not patient.is_set():
            await trio.sleep_forever()

    behaviours = {"kind": tenure.Behaviour(behaviour, batch=2)}

    async def interrupt(supervisor: tenure.Supervisor) -> None:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.accept(0, idempotency_key="0")
        await trio.testing.wait_all_tasks_blocked()
        await runtime.accept(1, idempotency_key="1")

    await cut_off(database, behaviours, interrupt)
    patient.set()
    async with host(database, behaviours) as supervisor:
        ticket = await supervisor.ticket("alice", idempotency_key="1")
        outcome = await ticket.wait_outcome()

        assert outcome.phase == "consumed"
        assert [(payloads, attempts) for _, payloads, attempts in seen] == [([0], 0), ([0], 0), ([1], 0)]
        assert seen[0][0] == seen[1][0]
        # What the interrupted execution appended is nowhere: it had reached no boundary.
        assert await supervisor.read_session("alice") == [2, 3]


async def test_a_checkpoint_that_landed_is_not_doubled_and_gives_the_same_receipt_again(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    receipts: list[tenure.RunBoundaryReceipt] = []
    paths: list[list[Any]] = []

    async def behaviour(run: tenure.Run) -> None:
        run.session.append("plan")
        receipts.append(await run.checkpoint())
        run.session.append("draft")
        paths.append(await run.session.messages())
        receipts.append(await run.checkpoint())
        if run.attempts < 1:
            raise ValueError
        run.session.append("end")

    behaviours = {"kind": tenure.Behaviour(behaviour, restart=QUICK), "echo": echo}
    async with host(database, behaviours) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        final = await consumed(runtime, "go")
        session = await supervisor.read_session("alice")

    assert session == ["plan", "draft", "end"]
    assert receipts[:2] == receipts[2:]
    assert [receipt.boundary for receipt in receipts[:2]] == ["run_checkpoint", "run_checkpoint"]
    assert [receipt.sequence for receipt in [*receipts[:2], final]] == [1, 2, 3]
    assert [receipt.message_count for receipt in [*receipts[:2], final]] == [1, 2, 3]
    assert final.boundary == "run_start"
    # Both times the run saw the conversation from where it stood when the run first began.
    assert paths == [["plan", "draft"], ["plan", "draft"]]
    assert peek(database, "SELECT count(*) FROM nodes") == [[3]]
    assert peek(database, "SELECT count(*) FROM receipts") == [[3]]


async def test_a_run_that_enters_again_sees_the_conversation_that_stood_when_it_began(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    seen: list[tuple[int, list[Any]]] = []

    async def behaviour(run: tenure.Run) -> None:
        seen.append((run.session.count, await run.session.messages()))
        run.session.append(run.inputs[0].payload)
        await run.checkpoint()
        seen.append((run.session.count, await run.session.messages()))
        if run.inputs[0].payload == "second" and run.attempts < 1:
            raise ValueError

    async with host(target, {"kind": tenure.Behaviour(behaviour, restart=QUICK)}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await consumed(runtime, "first")
        await consumed(runtime, "second")

    first, both = ["first"], ["first", "second"]
    assert seen == [(0, []), (1, first), (1, first), (2, both), (1, first), (2, both)]


def differs_by_message(run: tenure.Run) -> None:
    run.session.append("one" if run.attempts else "another")


def differs_by_count(run: tenure.Run) -> None:
    for _ in range(1 + run.attempts):
        run.session.append("one")


def differs_by_target(run: tenure.Run) -> None:
    run.send("bob" if run.attempts else "carol", 1)


def differs_by_payload(run: tenure.Run) -> None:
    run.send("bob", run.attempts)


@pytest.mark.parametrize("act", [differs_by_message, differs_by_count, differs_by_target, differs_by_payload])
async def test_a_run_that_differs_before_a_checkpoint_that_landed_is_held_and_costs_no_attempt(
    act: Any, target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    caught: list[StepMismatch] = []

    async def behaviour(run: tenure.Run) -> None:
        act(run)
        try:
            await run.checkpoint()
        except StepMismatch as exc:
            caught.append(exc)
            raise
        raise ValueError

    async with host(target, {"kind": tenure.Behaviour(behaviour, restart=QUICK, version="1")}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.accept("go", idempotency_key="k")
        await runtime.wait_held()
        again = await runtime.accept("go", idempotency_key="k")

        assert runtime.held == "step mismatch"
        assert (caught[0].runtime_id, caught[0].name) == ("alice", "main/1")
        assert caught[0].recorded != caught[0].given
        assert again.outcome is None  # nothing was abandoned
        assert not [letter for letter in await supervisor.dead_letters("alice") if letter.target is None]


async def test_a_run_that_ends_before_a_checkpoint_that_landed_is_held(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def behaviour(run: tenure.Run) -> None:
        if run.attempts == 0:
            await run.checkpoint()
            raise ValueError

    async with host(target, {"kind": tenure.Behaviour(behaviour, restart=QUICK)}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.accept("go")
        await runtime.wait_held()

        assert runtime.held == "step mismatch"


async def test_a_mismatch_that_the_behaviour_swallows_holds_it_all_the_same(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    later: list[type[Exception]] = []

    async def behaviour(run: tenure.Run) -> None:
        run.session.append(run.attempts)
        try:
            await run.checkpoint()
        except StepMismatch:
            for act in (lambda: run.send("bob", 1), lambda: run.session.append(1)):
                with pytest.raises(StepMismatch) as caught:
                    act()
                later.append(caught.type)
        if run.attempts == 0:
            raise ValueError

    async with host(target, {"kind": tenure.Behaviour(behaviour, restart=QUICK, version="1")}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.accept("go")
        await runtime.wait_held()

        assert later == [StepMismatch, StepMismatch]
        assert await supervisor.read_session("alice") == [0]


async def test_what_another_task_appends_while_a_checkpoint_is_on_its_way_lands_with_the_next_boundary(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    gate = Gate()
    receipts: list[tenure.RunBoundaryReceipt] = []

    async def behaviour(run: tenure.Run) -> None:
        async def checkpoint() -> None:
            receipts.append(await run.checkpoint())

        run.session.append("before")
        gate.shut()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(checkpoint)
            await trio.testing.wait_all_tasks_blocked()
            run.session.append("meanwhile")
            run.send("bob", "meanwhile")
            gate.open()
        await checkpoint()

    async with host(target, {"kind": behaviour, "echo": echo}, gate=gate) as supervisor:
        await supervisor.spawn("bob", "echo")
        runtime = await supervisor.spawn("alice", "kind")
        await consumed(runtime, "go")
        await trio.testing.wait_all_tasks_blocked()

        assert [receipt.message_count for receipt in receipts] == [1, 2]
        assert await supervisor.read_session("alice") == ["before", "meanwhile"]
        assert await supervisor.read_session("bob") == ["meanwhile"]


async def test_a_run_that_is_over_cannot_be_used(autojump_clock: trio.testing.MockClock) -> None:
    kept: list[tenure.Run] = []

    async def behaviour(run: tenure.Run) -> None:
        kept.append(run)

    async with host(":memory:", {"kind": behaviour}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")
        [run] = kept
        with pytest.raises(RunEnded) as caught:
            run.send("bob", 1)
        with pytest.raises(RunEnded):
            run.session.append(1)
        with pytest.raises(RunEnded):
            await run.checkpoint()
        with pytest.raises(RunEnded):
            await run.session.messages()
        with pytest.raises(RunEnded):
            await run.step("late", str, repeat="freely")

        assert caught.value.run_id == run.run_id


async def test_messages_may_be_any_json_value_and_bytes_stay_as_they_are(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    raw: list[list[bytes]] = []

    async def behaviour(run: tenure.Run) -> None:
        if run.inputs[0].payload == "write":
            for message in ({"b": 1, "a": [None, True]}, "text", 1.5, b'{"as": "it  is"}'):
                run.session.append(message)
        else:
            raw.append(await run.session.raw_messages())

    async with host(target, {"kind": behaviour}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await consumed(runtime, "write")
        await consumed(runtime, "read")

        assert raw == [[b'{"a":[null,true],"b":1}', b'"text"', b"1.5", b'{"as": "it  is"}']]
        assert await supervisor.read_session("alice") == [{"a": [None, True], "b": 1}, "text", 1.5, {"as": "it  is"}]


async def test_the_leaves_of_a_nursery_are_what_people_read(autojump_clock: trio.testing.MockClock) -> None:
    async def fail(error: Exception) -> None:
        raise error

    async def behaviour(run: tenure.Run) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fail, ValueError("no such page"))

    policy = tenure.RestartPolicy(max_attempts=1)
    async with host(":memory:", {"kind": tenure.Behaviour(behaviour, restart=policy)}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        outcome = await (await runtime.accept("go")).wait_outcome()

        assert (outcome.error or "").splitlines()[0] == "ValueError: no such page"


@pytest.mark.parametrize(
    ("text", "stored"),
    [
        ("lone \udcff surrogate", "ValueError: lone \\udcff surrogate"),
        ("a NUL \0 within", "ValueError: a NUL \\0 within"),
        ("x" * 20_000, f"ValueError: {'x' * 9_988} and 10012 characters more"),
    ],
)
async def test_an_error_that_no_database_can_hold_fails_its_run_and_nothing_else(
    text: str, stored: str, target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def behaviour(run: tenure.Run) -> None:
        raise ValueError(text)

    policy = tenure.RestartPolicy(max_attempts=1)
    behaviours = {"kind": tenure.Behaviour(behaviour, restart=policy), "quiet": nothing}
    async with host(target, behaviours) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        outcome = await (await runtime.accept("go")).wait_outcome()
        await consumed(await supervisor.spawn("bob", "quiet"), "go")

        assert (outcome.error or "").splitlines()[0] == stored


async def test_stopping_a_run_whose_own_task_fails_meanwhile_harms_nobody_else(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def fails_when_cancelled() -> None:
        try:
            await trio.sleep_forever()
        finally:
            raise ValueError

    async def behaviour(run: tenure.Run) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(fails_when_cancelled)
            nursery.start_soon(trio.sleep_forever)

    async with host(target, {"kind": behaviour, "quiet": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept("go")
        await runtime.wait_state("running")
        await trio.testing.wait_all_tasks_blocked()
        await runtime.stop()
        outcome = await ticket.wait_outcome()
        await consumed(await supervisor.spawn("bob", "quiet"), "go")

        assert (outcome.phase, outcome.reason) == ("abandoned", "stopped")


async def test_a_behaviour_has_the_context_variables_of_whoever_opened_the_host(target: Path | str) -> None:
    tenant = ContextVar("tenant", default="nobody")
    seen: list[str] = []

    async def look(run: tenure.Run) -> None:
        seen.append(tenant.get())

    tenant.set("acme")
    async with tenure.open_supervisor(target, behaviours={"kind": look}) as supervisor:  # the writer has a thread
        runtime = await supervisor.spawn("alice", "kind")
        tenant.set("of the body")
        for _ in range(2):
            await (await runtime.accept("x")).wait_outcome()

    assert seen == ["acme", "acme"]


@pytest.mark.parametrize("max_running", [None, 1], ids=["any number", "one slot"])
async def test_what_a_behaviour_sets_in_its_context_is_not_seen_by_the_next_run(
    target: Path | str, *, max_running: int | None
) -> None:
    tenant = ContextVar("tenant", default="nobody")
    seen: list[str] = []
    gate = trio.Event()

    async def set_it(run: tenure.Run) -> None:
        seen.append(tenant.get())
        tenant.set(str(run.inputs[0].payload))
        await gate.wait()

    behaviours = {"kind": tenure.Behaviour(set_it, max_running=max_running)}
    async with host(target, behaviours) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        waiting = [await runtime.accept(number) for number in range(3)]  # the worker never idles between these
        gate.set()
        for each in waiting:
            await each.wait_outcome()
        for number in range(3):  # nor where the next begins in company with its accept, while the last one leaves
            await (await runtime.accept(number)).wait_outcome()

    assert seen == ["nobody"] * 6
