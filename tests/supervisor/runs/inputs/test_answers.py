"""Results: what a behaviour returns is the outcome of its inputs, stored once, and found again from anywhere."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing

import tenure
from tenure.errors import InvalidInput, PayloadTooLarge
from tests.kit.hosting import host, nothing, peek

QUICK = tenure.RestartPolicy(backoff_s=0.001, jitter=0.0)


@attrs.frozen
class Sum:
    total: int


async def ended(runtime: tenure.Runtime, payload: object) -> tenure.Outcome:
    """Accept an input and wait for its end."""
    return await (await runtime.accept(payload)).wait_outcome()


async def add(run: tenure.Run) -> Sum:
    return Sum(sum(each.payload for each in run.inputs))


async def test_what_a_behaviour_returns_is_the_result_of_its_input(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"add": add}) as supervisor:
        outcome = await ended(await supervisor.spawn("alice", "add"), 7)

        assert outcome.result == {"total": 7}
        assert outcome.receipt is not None


async def test_a_behaviour_that_returns_nothing_stores_nothing(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(database, {"kind": nothing}) as supervisor:
        assert (await ended(await supervisor.spawn("alice", "kind"), 7)).result is None

    assert peek(database, "SELECT count(*) FROM results") == [[0]]


async def test_a_result_is_found_again_by_ticket_and_key_after_a_restart_and_elsewhere(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(database, {"add": add}) as supervisor:
        runtime = await supervisor.spawn("alice", "add")
        ticket = await runtime.accept(7, idempotency_key="k")
        first = await ticket.wait_outcome()
    async with host(database, {"add": add}) as supervisor, host(database, {}) as elsewhere:
        for each in (supervisor, elsewhere):
            for how in ({"input_id": ticket.input_id}, {"idempotency_key": "k"}):
                assert await (await each.ticket("alice", **how)).wait_outcome() == first
            foreign = await each.find("alice")
            assert (await (await foreign.accept(7, idempotency_key="k")).wait_outcome()).result == {"total": 7}


async def test_the_ticket_of_an_input_that_had_ended_has_its_outcome_at_once(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with host(target, {"add": add}) as supervisor:
        runtime = await supervisor.spawn("alice", "add")
        first = await (await runtime.accept(7, idempotency_key="k")).wait_outcome()

        again = await runtime.accept(7, idempotency_key="k")

        assert again.deduplicated
        assert again.outcome == first
        assert first.result == {"total": 7}


async def test_a_foreign_ticket_hears_the_result(database: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with host(database, {"add": add}) as supervisor, host(database, {}) as elsewhere:
        await supervisor.spawn("alice", "add")
        ticket = await (await elsewhere.find("alice")).accept(5)

        assert (await ticket.wait_outcome()).result == {"total": 5}


async def test_members_of_a_batch_have_results_of_their_own_and_the_rest_has_that_of_the_run(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    begun = trio.Event()

    async def each(run: tenure.Run) -> str:
        await begun.wait()
        run.answer(run.inputs[0], "first")
        if len(run.inputs) > 1:
            run.reject(run.inputs[1], "no")
        return "all"

    async with host(target, {"kind": tenure.Behaviour(each, batch=4)}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        held = await runtime.accept(0)
        await trio.testing.wait_all_tasks_blocked()
        tickets = [await runtime.accept(number) for number in range(4)]
        begun.set()
        assert (await held.wait_outcome()).result == "first"
        outcomes = [await ticket.wait_outcome() for ticket in tickets]
        stored = [await (await supervisor.ticket("alice", input_id=each.input_id)).wait_outcome() for each in tickets]

    assert [(each.phase, each.result) for each in outcomes] == [
        ("consumed", "first"),
        ("abandoned", None),
        ("consumed", "all"),
        ("consumed", "all"),
    ]
    assert stored == outcomes


async def test_an_answer_lands_with_the_next_checkpoint_and_stands_when_the_run_fails_after_it(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    phases: list[list[str]] = []

    async def answers(run: tenure.Run) -> str:
        phases.append([each.phase for each in run.inputs])
        run.answer(run.inputs[0], {"attempt": run.attempts})
        run.answer(run.inputs[0], "a second one")
        await run.checkpoint()
        if run.attempts < 1:
            raise ValueError
        return "rest"

    async with host(
        target,
        {"kind": tenure.Behaviour(answers, batch=2, restart=QUICK)},
    ) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        async with trio.open_nursery() as nursery:
            tickets: list[tenure.Ticket] = []

            async def accept(number: int) -> None:
                tickets.append(await runtime.accept(number))

            nursery.start_soon(accept, 1)
            nursery.start_soon(accept, 2)
        results = [(await ticket.wait_outcome()).result for ticket in tickets]

    assert {"attempt": 0} in results
    assert "rest" in results
    assert phases == [["staged", "staged"], ["consumed", "staged"]]


async def test_a_checkpoint_that_consumes_what_is_answered_consumes_it_once(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def both(run: tenure.Run) -> str:
        run.answer(run.inputs[0], 1)
        await run.checkpoint(consume=run.inputs)
        return "late"

    async with host(target, {"kind": both}) as supervisor:
        assert (await ended(await supervisor.spawn("alice", "kind"), "go")).result == 1


@pytest.mark.parametrize("how", ["answered", "rejected", "consumed"])
async def test_what_has_ended_at_an_earlier_boundary_stays_as_it_ended_where_a_checkpoint_consumes_it(
    target: Path | str, autojump_clock: trio.testing.MockClock, how: str
) -> None:
    async def again(run: tenure.Run) -> None:
        if how == "answered":
            run.answer(run.inputs[0], 1)
        elif how == "rejected":
            run.reject(run.inputs[0], "no")
        await run.checkpoint(consume=run.inputs if how == "consumed" else ())
        await run.checkpoint(consume=run.inputs)
        if run.attempts < 1:
            raise ValueError
        await run.checkpoint(consume=run.inputs)
        over.set()

    over = trio.Event()
    async with host(target, {"kind": tenure.Behaviour(again, restart=QUICK)}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        outcome = await ended(runtime, "go")
        with trio.fail_after(100):
            await over.wait()
        letters = await supervisor.dead_letters("alice")

    assert (outcome.phase, outcome.result) == {
        "answered": ("consumed", 1),
        "rejected": ("abandoned", None),
        "consumed": ("consumed", None),
    }[how]
    assert [each.error for each in letters] == (["no"] if how == "rejected" else [])


async def test_what_a_checkpoint_consumed_before_the_return_has_no_result(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def early(run: tenure.Run) -> str:
        await run.checkpoint(consume=run.inputs)
        return "late"

    async with host(target, {"kind": early}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        ticket = await runtime.accept("go")

        assert (await ticket.wait_outcome()).result is None
        await trio.testing.wait_all_tasks_blocked()
        assert (await (await supervisor.ticket("alice", input_id=ticket.input_id)).wait_outcome()).result is None


async def test_a_branch_answers_when_its_gather_has_ended_and_a_loser_answers_nothing(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def branches(run: tenure.Run) -> None:
        async def quick() -> None:
            await trio.sleep(1)

        async def slow() -> None:
            run.answer(run.inputs[0], "lost")
            await trio.sleep(9)

        async def says() -> None:
            run.answer(run.inputs[0], "won")

        await run.first(quick, slow)
        await run.gather(says)

    async with host(target, {"kind": branches}) as supervisor:
        assert (await ended(await supervisor.spawn("alice", "kind"), "go")).result == "won"


@pytest.mark.parametrize(
    ("made", "said"),
    [
        (object, "no JSON form"),
        (lambda: float("nan"), "not a JSON number"),
        (lambda: b"bytes", "bytes"),
        (lambda: "x" * 3_000, "3002"),
    ],
)
async def test_a_result_that_cannot_be_stored_ends_the_attempt_as_the_last(
    target: Path | str, autojump_clock: trio.testing.MockClock, made: Callable[[], Any], said: str
) -> None:
    attempts: list[int] = []

    async def kind(run: tenure.Run) -> Any:
        attempts.append(run.attempts)
        await run.checkpoint()
        return made()

    limits = tenure.Limits(payload_bytes=2_000)
    async with host(target, {"kind": tenure.Behaviour(kind, restart=QUICK)}, limits=limits) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        outcome = await (await runtime.accept("go")).wait_outcome()

        assert (outcome.phase, outcome.reason, outcome.result) == ("abandoned", "max_attempts_exhausted", None)
        assert outcome.error is not None
        assert "cannot be stored" in outcome.error
        assert said in outcome.error
        assert attempts == [0]
        assert runtime.held is None


async def test_an_answer_that_cannot_be_stored_is_refused_where_it_is_given(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    refused: list[type[Exception]] = []

    async def kind(run: tenure.Run) -> str:
        for member, value in ((run.inputs[0], object()), (run.inputs[0], "x" * 3_000), (None, 1)):
            try:
                run.answer(member, value)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
            except (InvalidInput, PayloadTooLarge) as exc:
                refused.append(type(exc))
        return "fine"

    async with host(target, {"kind": kind}, limits=tenure.Limits(payload_bytes=2_000)) as supervisor:
        assert (await ended(await supervisor.spawn("alice", "kind"), "go")).result == "fine"

    assert refused == [InvalidInput, PayloadTooLarge, InvalidInput]


async def test_what_was_steered_has_a_result_too(target: Path | str, autojump_clock: trio.testing.MockClock) -> None:
    async def waits(run: tenure.Run) -> str:
        (first,) = await run.wait_steered()
        run.answer(first, f"heard {first.payload}")
        await run.wait_steered()
        return "bye"

    async with host(target, {"kind": waits}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        began = await runtime.accept("go")
        await trio.testing.wait_all_tasks_blocked()
        first = await runtime.accept("one", lane="steer")
        assert (await first.wait_outcome()).result == "heard one"
        second = await runtime.accept("two", lane="steer")

        assert (await second.wait_outcome()).result == (await began.wait_outcome()).result == "bye"


async def test_pruning_takes_results_with_their_run(database: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with host(database, {"add": add}) as supervisor:
        await ended(await supervisor.spawn("alice", "add"), 7)
        assert peek(database, "SELECT count(*) FROM results") == [[1]]
        await trio.sleep(10)
        await supervisor.store.prune(0)

    assert peek(database, "SELECT count(*) FROM results") == [[0]]
