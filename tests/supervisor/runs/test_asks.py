"""Asks: one question, one answer, whatever becomes of either side; and never a wait without an end that can be named."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import AskCycle, AskFailed, InvalidInput
from tenure.testing.observing import inside_of
from tests.kit.hosting import cut_off, forever, host, nothing, peek

QUICK = tenure.RestartPolicy(backoff_s=0.001, jitter=0.0)


async def double(run: tenure.Run) -> int:
    doubled: int = sum(each.payload for each in run.inputs) * 2
    return doubled


async def asks_bob(run: tenure.Run) -> Any:
    return await run.ask("bob", run.inputs[0].payload)


async def reason_of(run: tenure.Run, **terms: Any) -> list[Any]:
    """Ask bob, and say why there is no answer."""
    try:
        return ["answered", await run.ask("bob", run.inputs[0].payload, **terms)]
    except AskFailed as exc:
        return [exc.reason, exc.outcome.reason if isinstance(exc.outcome, tenure.Outcome) else None, exc.begun]


async def outcome_of(runtime: tenure.Runtime, payload: Any) -> tenure.Outcome:
    return await (await runtime.accept(payload)).wait_outcome()


async def test_an_ask_gives_what_the_other_returns(target: Path | str, autojump_clock: trio.testing.MockClock) -> None:
    async with host(target, {"lead": asks_bob, "double": double}) as supervisor:
        await supervisor.spawn("bob", "double")

        assert (await outcome_of(await supervisor.spawn("alice", "lead"), 21)).result == 42


async def test_the_question_is_a_request_and_the_answer_an_input_that_no_run_takes(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    seen: list[Any] = []

    async def lead(run: tenure.Run) -> Any:
        seen.append([each.payload for each in run.inputs])
        return await run.ask("bob", "question", correlation_id="c-1")

    async def bob(run: tenure.Run) -> str:
        [entry] = run.inputs
        seen.append((entry.kind, entry.payload, entry.correlation_id, entry.source["runtime_id"]))
        return "answer"

    async with host(database, {"lead": lead, "bob": bob}) as supervisor:
        await supervisor.spawn("bob", "bob")
        await outcome_of(await supervisor.spawn("alice", "lead"), "go")

    rows = peek(database, "SELECT kind, phase FROM inputs ORDER BY input")
    assert rows == [
        ["external_event", "consumed"],
        ["peer_request", "consumed"],
        ["peer_response_terminal", "consumed"],
    ]
    assert seen == [["go"], ("peer_request", "question", "c-1", "alice")]


async def test_a_kind_makes_who_is_asked(target: Path | str, autojump_clock: trio.testing.MockClock) -> None:
    async def lead(run: tenure.Run) -> Any:
        return await run.ask("carol", 3, "double")

    async with host(target, {"lead": lead, "double": double}) as supervisor:
        assert (await outcome_of(await supervisor.spawn("alice", "lead"), "go")).result == 6


async def test_what_stood_before_the_question_lands_with_it(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def lead(run: tenure.Run) -> Any:
        run.session.append("before")
        run.send("carol", "sent")
        run.state.set("asked", 1)
        run.answer(run.inputs[0], "early")
        return await run.ask("bob", "never answered", timeout_s=50)

    async with host(target, {"lead": lead, "forever": forever, "nothing": nothing}) as supervisor:
        bob = await supervisor.spawn("bob", "forever")
        await supervisor.spawn("carol", "nothing")
        alice = await supervisor.spawn("alice", "lead")

        assert (await outcome_of(alice, "go")).result == "early"
        assert await supervisor.read_session("alice") == ["before"]
        assert (await supervisor.execution_state("alice")).values == {"asked": 1}
        await bob.destroy()


@pytest.mark.parametrize(
    ("how", "expected"),
    [
        ("cancelled", ["abandoned", "cancelled", True]),
        ("stopped", ["abandoned", "stopped", True]),
        ("destroyed", ["abandoned", "destroyed", True]),
        ("reset", ["abandoned", "reset", False]),
        ("cancel one", ["abandoned", "cancelled", False]),
        ("fails", ["abandoned", "max_attempts_exhausted", True]),
        ("rejects", ["rejected", "rejected", True]),
        ("retired", ["refused", None, False]),
        ("never there", ["refused", None, False]),
    ],
)
async def test_an_end_of_the_question_of_whatever_kind_is_heard(
    target: Path | str, autojump_clock: trio.testing.MockClock, how: str, expected: list[Any]
) -> None:
    async def bob(run: tenure.Run) -> None:
        if how == "fails":
            raise ValueError
        if how == "rejects":
            run.reject(run.inputs[0], "no")
            return
        await trio.sleep_forever()

    behaviours = {"lead": reason_of, "bob": tenure.Behaviour(bob, restart=QUICK), "forever": forever}
    async with host(target, behaviours) as supervisor:
        other = None if how == "never there" else await supervisor.spawn("bob", "bob")
        if other is not None and how == "retired":
            await other.retire()
        if other is not None and how in ("cancel one", "reset"):
            await other.accept("in the way")
            await trio.testing.wait_all_tasks_blocked()
        ticket = await (await supervisor.spawn("alice", "lead")).accept("question")
        await trio.testing.wait_all_tasks_blocked()
        if other is not None:
            await verb(other, how, supervisor)

        assert (await ticket.wait_outcome()).result == expected


async def verb(other: tenure.Runtime, how: str, supervisor: tenure.Supervisor) -> None:
    match how:
        case "cancelled":
            await other.cancel()
        case "stopped":
            await other.stop()
        case "destroyed":
            await other.destroy()
        case "reset":
            await other.cancel()
            await other.reset()
        case "cancel one":
            [(asked,)] = inside_of(supervisor.store).rows("SELECT input_id FROM inputs WHERE kind = 'peer_request'")
            await other.cancel(asked)
        case _:
            pass


async def test_a_question_that_takes_too_long_is_abandoned_where_no_run_has_taken_it(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def lead(run: tenure.Run) -> list[Any]:
        return [trio.current_time(), await reason_of(run, timeout_s=30), trio.current_time()]

    async with host(target, {"lead": lead, "forever": forever}) as supervisor:
        bob = await supervisor.spawn("bob", "forever")
        busy = await bob.accept("in the way")
        await trio.testing.wait_all_tasks_blocked()
        began, waiting, ended = (await outcome_of(await supervisor.spawn("alice", "lead"), "question")).result

        assert waiting == ["late", "deadline_exceeded", False]
        assert 30 <= ended - began < 32
        await bob.cancel()
        assert (await busy.wait_outcome()).reason == "cancelled"
        await bob.retire()
        assert await bob.wait_state("retired") == "retired"


@pytest.mark.slow
async def test_an_answer_that_comes_too_late_is_not_seen_and_the_work_goes_on(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    done: list[str] = []

    async def slow(run: tenure.Run) -> str:
        await trio.sleep(100)
        done.append("done")
        return "late"

    async def lead(run: tenure.Run) -> list[Any]:
        first = await reason_of(run, timeout_s=10)
        await run.sleep(200)
        return first

    async with host(target, {"lead": lead, "slow": slow}) as supervisor:
        await supervisor.spawn("bob", "slow")

        assert (await outcome_of(await supervisor.spawn("alice", "lead"), "question")).result == ["late", None, True]
        assert done == ["done"]


async def test_to_ask_oneself_or_who_waits_for_one_is_a_circle(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    chains: list[tuple[str, ...]] = []

    def asking(other: str) -> Callable[[tenure.Run], Awaitable[Any]]:
        async def ask(run: tenure.Run) -> Any:
            try:
                return await run.ask(other, "and you?")
            except AskCycle as exc:
                chains.append(exc.chain)
                return "a circle"

        return ask

    behaviours = {"a": asking("bob"), "b": asking("carol"), "c": asking("alice"), "self": asking("dan")}
    async with host(target, behaviours) as supervisor:
        for name, kind in (("bob", "b"), ("carol", "c")):
            await supervisor.spawn(name, kind)
        alice = await supervisor.spawn("alice", "a")

        assert (await outcome_of(alice, "go")).result == "a circle"
        assert (await outcome_of(await supervisor.spawn("dan", "self"), "go")).result == "a circle"
        assert chains == [("alice", "bob", "carol"), ("dan",)]


@pytest.mark.parametrize("seed", range(4))
async def test_of_two_hosts_that_close_a_circle_at_once_one_is_refused_and_the_other_answered(
    database: Path, autojump_clock: trio.testing.MockClock, seed: int
) -> None:
    chance = random.Random(seed)

    async def asks(run: tenure.Run) -> Any:
        if run.inputs[0].payload == "and you?":
            return "fine"
        await trio.sleep(chance.choice([0.0, 0.0, 0.05]))
        try:
            return await run.ask(run.inputs[0].payload, "and you?")
        except AskCycle:
            return "a circle"

    async with host(database, {"one": asks}) as first, host(database, {"other": asks}) as second:
        alice, bob = await first.spawn("alice", "one"), await second.spawn("bob", "other")
        tickets = [await alice.accept("bob"), await bob.accept("alice")]
        results = [(await ticket.wait_outcome()).result for ticket in tickets]

    assert sorted(results) == ["a circle", "fine"]


async def test_a_host_that_dies_on_either_side_asks_once_and_is_answered_once(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    worked: list[str] = []
    gate = trio.Event()

    async def bob(run: tenure.Run) -> str:
        worked.append(run.run_id)
        await gate.wait()
        return "answer"

    async def begin(supervisor: tenure.Supervisor) -> None:
        await supervisor.spawn("bob", "bob")
        await (await supervisor.spawn("alice", "lead")).accept("question", idempotency_key="k")
        await trio.testing.wait_all_tasks_blocked()

    behaviours = {"lead": asks_bob, "bob": bob}
    await cut_off(database, behaviours, begin)
    gate.set()
    async with host(database, behaviours) as supervisor:
        ticket = await supervisor.ticket("alice", idempotency_key="k")
        assert (await ticket.wait_outcome()).result == "answer"

    assert len(set(worked)) == 1
    assert peek(database, "SELECT count(*) FROM inputs WHERE kind = 'peer_request'") == [[1]]
    assert peek(database, "SELECT count(*) FROM inputs WHERE kind = 'peer_response_terminal'") == [[1]]


async def test_an_attempt_that_fails_after_the_answer_does_not_ask_again(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def lead(run: tenure.Run) -> Any:
        reply = await run.ask("bob", 4)
        if run.attempts < 2:
            raise ValueError
        return reply

    async with host(database, {"lead": tenure.Behaviour(lead, restart=QUICK), "double": double}) as supervisor:
        await supervisor.spawn("bob", "double")
        assert (await outcome_of(await supervisor.spawn("alice", "lead"), "go")).result == 8

    assert peek(database, "SELECT count(*) FROM inputs WHERE kind = 'peer_request'") == [[1]]


async def test_specialists_are_asked_side_by_side(database: Path, autojump_clock: trio.testing.MockClock) -> None:
    async def lead(run: tenure.Run) -> Any:
        return await run.gather(
            lambda: run.ask("bob", 1), lambda: run.ask("carol", 2), lambda: run.ask("dan", 3, "double")
        )

    async def slow(run: tenure.Run) -> int:
        await trio.sleep(run.inputs[0].payload)
        return await double(run)

    async with host(database, {"lead": lead, "double": slow}) as supervisor:
        await supervisor.spawn("bob", "double")
        await supervisor.spawn("carol", "double")

        assert (await outcome_of(await supervisor.spawn("alice", "lead"), "go")).result == [2, 4, 6]


async def test_what_the_loser_of_a_first_has_asked_is_given_up(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def lead(run: tenure.Run) -> Any:
        return await run.first(lambda: run.ask("bob", 1), lambda: run.ask("carol", 2))

    async with host(target, {"lead": lead, "double": double, "forever": forever}) as supervisor:
        carol = await supervisor.spawn("carol", "forever")
        await carol.accept("in the way")
        await supervisor.spawn("bob", "double")
        await trio.testing.wait_all_tasks_blocked()

        assert (await outcome_of(await supervisor.spawn("alice", "lead"), "go")).result == 2
        await carol.cancel()
        await carol.retire()
        assert await carol.wait_state("retired") == "retired"
        assert (await supervisor.why("carol"))["unfinished_inputs"] == 0


async def test_who_is_asked_may_live_on_another_host(database: Path, autojump_clock: trio.testing.MockClock) -> None:
    async with host(database, {"double": double}) as elsewhere, host(database, {"lead": asks_bob}) as supervisor:
        await elsewhere.spawn("bob", "double")

        assert (await outcome_of(await supervisor.spawn("alice", "lead"), 5)).result == 10


async def test_a_run_that_was_steered_with_a_question_answers_it_and_goes_on(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def lead(run: tenure.Run) -> Any:
        return await run.ask("bob", "how far?", lane="steer")

    async def bob(run: tenure.Run) -> str:
        (asked,) = await run.wait_steered()
        run.answer(asked, "half way")
        await run.checkpoint()
        await trio.sleep(100)
        return "done"

    async with host(target, {"lead": lead, "bob": bob}) as supervisor:
        work = await (await supervisor.spawn("bob", "bob")).accept("work")
        await trio.testing.wait_all_tasks_blocked()

        assert (await outcome_of(await supervisor.spawn("alice", "lead"), "go")).result == "half way"
        assert work.outcome is None
        assert (await work.wait_outcome()).result == "done"


async def test_why_follows_the_waits_to_their_end(target: Path | str, autojump_clock: trio.testing.MockClock) -> None:
    async def middle(run: tenure.Run) -> Any:
        return await run.ask("carol", 1)

    async with host(target, {"lead": asks_bob, "middle": middle, "forever": forever}) as supervisor:
        carol = await supervisor.spawn("carol", "forever")
        await supervisor.spawn("bob", "middle")
        await (await supervisor.spawn("alice", "lead")).accept("go")
        await trio.testing.wait_all_tasks_blocked()
        because = (await supervisor.why("alice"))["because"]

        assert "waits for the answer of bob, at main/1" in because
        assert "bob: its run waits for the answer of carol" in because
        assert "carol: its run executes" in because
        await carol.stop()


@pytest.mark.parametrize(
    "terms", [{"timeout_s": -1}, {"timeout_s": float("inf")}, {"timeout_s": "1"}, {"lane": "x"}, {"kind": ""}]
)
async def test_terms_of_an_ask_that_there_are_not_are_refused(
    terms: dict[str, Any], autojump_clock: trio.testing.MockClock
) -> None:
    async def lead(run: tenure.Run) -> str:
        with pytest.raises(InvalidInput):
            await run.ask("bob", 1, **terms)
        return "refused"

    async with host(":memory:", {"lead": lead}) as supervisor:
        assert (await outcome_of(await supervisor.spawn("alice", "lead"), "go")).result == "refused"
