"""Dead letters that are retried or dropped, and a reset that clears the conversation."""

from __future__ import annotations

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidTransition, NotAccepting, NotFound, StepFailed
from tenure.persistence.facets.runs.sends import derived_key
from tests.kit.alone import OpenHost

ONE_ATTEMPT = tenure.RestartPolicy(max_attempts=1)


@pytest.mark.parametrize("fresh", [False, True])
async def test_a_dead_letter_is_tried_again_with_its_steps_or_afresh(
    autojump_clock: MockClock, open_host: OpenHost, *, fresh: bool
) -> None:
    runs: list[str] = []
    calls: list[int] = []

    async def behaviour(run: tenure.Run) -> None:
        runs.append(run.run_id)
        await run.step("work", calls.append, len(run.inputs), repeat="freely")
        if len(runs) == 1:
            raise ValueError("no")

    async with open_host({"k": tenure.Behaviour(behaviour, restart=ONE_ATTEMPT)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept(1)
        assert (await ticket.wait_outcome()).reason == "max_attempts_exhausted"
        [letter] = await supervisor.dead_letters("a")

        assert await runtime.retry(letter.input_id, fresh=fresh) == (letter.input_id,)

        again = await supervisor.ticket("a", input_id=letter.input_id)
        assert (await again.wait_outcome()).phase == "consumed"
        assert len(calls) == (2 if fresh else 1)
        assert (runs[0] != runs[1]) is fresh
        assert await supervisor.dead_letters("a") == []
        with pytest.raises(InvalidTransition):
            await runtime.retry(letter.input_id)


async def test_a_dropped_dead_letter_is_gone_and_its_key_is_known(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def failing(run: tenure.Run) -> None:
        raise ValueError("no")

    async with open_host({"k": tenure.Behaviour(failing, restart=ONE_ATTEMPT)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept(1, idempotency_key="once")
        await ticket.wait_outcome()

        await runtime.drop(ticket.input_id)

        assert await supervisor.dead_letters("a") == []
        assert (await runtime.accept(1, idempotency_key="once")).deduplicated
        with pytest.raises(NotFound):
            await runtime.drop("no such input")


@pytest.mark.parametrize("clear_session", [False, True])
async def test_a_reset_keeps_the_conversation_unless_it_is_told_to_clear_it(
    autojump_clock: MockClock, open_host: OpenHost, *, clear_session: bool
) -> None:
    async def well(run: tenure.Run) -> None:
        run.session.append(run.inputs[0].payload)

    async with open_host({"k": well}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await (await runtime.accept("before")).wait_outcome()
        await runtime.reset(clear_session=clear_session)
        await (await runtime.accept("after")).wait_outcome()

        assert await supervisor.read_session("a") == (["after"] if clear_session else ["before", "after"])


async def sender(run: tenure.Run) -> None:
    run.send("late", run.inputs[0].payload)


async def keep(run: tenure.Run) -> None:
    run.session.append(run.inputs[0].payload)


async def test_a_refused_send_is_sent_again_once_under_its_key(autojump_clock: MockClock, open_host: OpenHost) -> None:
    async with open_host({"sender": sender, "keep": keep}) as supervisor:
        runtime = await supervisor.spawn("a", "sender")
        outcome = await (await runtime.accept("hello")).wait_outcome()
        [letter] = await supervisor.dead_letters("a")
        with pytest.raises(NotFound):
            await runtime.retry(letter.input_id)
        late = await supervisor.spawn("late", "keep")
        await late.retire()
        with pytest.raises(NotAccepting):
            await runtime.retry(letter.input_id)
        assert await supervisor.dead_letters("a") == [letter]
        await late.recycle()

        assert await runtime.retry(letter.input_id) == (letter.input_id,)

        ticket = await supervisor.ticket("late", input_id=letter.input_id)
        with trio.fail_after(10):  # the target is told at once, not at a later look
            assert (await ticket.wait_outcome()).phase == "consumed"
        assert await supervisor.read_session("late") == ["hello"]
        assert await supervisor.dead_letters("a") == await supervisor.refused_sends("a") == []
        with pytest.raises(NotFound):
            await runtime.retry(letter.input_id)
        assert outcome.receipt is not None
        known = await supervisor.ticket("late", idempotency_key=derived_key(outcome.receipt.run_id, 1))
        assert known.input_id == letter.input_id


async def test_a_refused_send_survives_a_restart_and_is_dropped_for_good(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async with open_host({"sender": sender}) as supervisor:
        runtime = await supervisor.spawn("a", "sender")
        await (await runtime.accept("hello")).wait_outcome()
    async with open_host({"sender": sender, "keep": keep}) as supervisor:
        runtime = await supervisor.spawn("a", "sender")
        [letter] = await supervisor.dead_letters("a")

        await runtime.drop(letter.input_id)

        assert await supervisor.dead_letters("a") == []
        await supervisor.spawn("late", "keep")
        with pytest.raises(NotFound):
            await runtime.retry(letter.input_id)
        assert await supervisor.read_session("late") == []


async def test_abandoned_inputs_and_refused_sends_are_listed_together(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def both(run: tenure.Run) -> None:
        run.send("nobody", run.inputs[0].payload)
        if run.inputs[0].payload == 1:
            raise ValueError("no")

    async with open_host({"k": tenure.Behaviour(both, restart=ONE_ATTEMPT)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        for payload in range(3):
            await (await runtime.accept(payload)).wait_outcome()

        letters = await supervisor.dead_letters("a")

        assert {(letter.payload, letter.target) for letter in letters} == {
            (b"0", "nobody"),
            (b"1", None),
            (b"2", "nobody"),
        }
        assert [letter.input_id for letter in letters] == sorted(letter.input_id for letter in letters)


@pytest.mark.parametrize("repeat", ["never", "keyed"])
@pytest.mark.parametrize("verb", ["cancel", "stop"])
async def test_a_dead_letter_names_the_steps_of_its_run_that_may_have_run(
    verb: str, repeat: str, autojump_clock: MockClock, open_host: OpenHost
) -> None:
    begun = trio.Event()

    async def pay(amount: int, key: str = "") -> None:
        begun.set()
        await trio.sleep_forever()

    async def act(run: tenure.Run) -> None:
        await run.step("look", str, 1, repeat="never")
        await run.step("pay", pay, 5, repeat=repeat)

    async with open_host({"k": act}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(1)
        await begun.wait()
        await (runtime.cancel() if verb == "cancel" else runtime.stop())
        (letter,) = await supervisor.dead_letters("a")
        assert letter.in_doubt == ("pay at main/2",)


@pytest.mark.parametrize("repeat", ["never", "freely"])
async def test_an_attempt_that_only_hears_a_recorded_error_again_is_the_last(
    repeat: str, autojump_clock: MockClock, open_host: OpenHost
) -> None:
    attempts: list[int] = []
    calls: list[str] = []

    def ask() -> None:
        calls.append("asked")
        raise ConnectionError("of a test")

    async def act(run: tenure.Run) -> None:
        attempts.append(run.attempts)
        try:
            await run.step("ask", ask, repeat=repeat)
        except StepFailed:
            await run.checkpoint()  # what is recorded stands on the error from here on
            raise

    policy = tenure.RestartPolicy(max_attempts=9, budget=100)
    async with open_host({"k": tenure.Behaviour(act, restart=policy)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept(1)
        assert (await ticket.wait_outcome()).phase == "abandoned"
        assert attempts == [0, 1]
        assert calls == ["asked"]

        # A retry forgets the error of what may be repeated, and of nothing else.
        await runtime.retry(ticket.input_id)
        again = await supervisor.ticket("a", input_id=ticket.input_id)
        assert (await again.wait_outcome()).phase == "abandoned"
        assert len(calls) == (2 if repeat == "freely" else 1)


async def test_a_dead_letter_says_what_it_was_to_answer(autojump_clock: MockClock, open_host: OpenHost) -> None:
    async def failing(run: tenure.Run) -> None:
        run.send("nobody", 1, correlation_id="order 8")
        run.send("nobody", 2)
        await run.checkpoint()
        raise ValueError("no")

    async with open_host({"k": tenure.Behaviour(failing, restart=ONE_ATTEMPT)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await (await runtime.accept(1, correlation_id="order 7")).wait_outcome()

        letters = await supervisor.dead_letters("a")

    told = {(each.reason, each.payload): each.correlation_id for each in letters}
    assert told == {
        ("max_attempts_exhausted", b"1"): "order 7",
        ("refused", b"1"): "order 8",
        ("refused", b"2"): None,
    }
