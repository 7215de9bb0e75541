"""Failed runs, on virtual time: attempts, backoff, dead letters, the budget of a runtime."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import Closed
from tests.kit.hosting import (
    EPOCH,
    consumed,
    cut_off,
    echo,
    host,
    nothing,
    peek,
)

EXACT = tenure.RestartPolicy(jitter=0.0)


class Failing:
    """A behaviour that fails its first runs and remembers when each began."""

    def __init__(self, times: int, *, restart: tenure.RestartPolicy = EXACT) -> None:
        self.times = times
        self.began: list[float] = []
        self.behaviour = tenure.Behaviour(self.run, restart=restart)

    async def run(self, run: tenure.Run) -> None:
        self.began.append(trio.current_time())
        if len(self.began) <= self.times:
            raise ValueError(f"failure {len(self.began)}")
        for entry in run.inputs:
            run.session.append(entry.payload)

    @property
    def waits(self) -> list[float]:
        return [round(later - earlier, 3) for earlier, later in zip(self.began, self.began[1:], strict=False)]


async def test_a_failed_run_is_tried_again_after_one_second_and_then_after_two(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    failing = Failing(2)
    async with host(target, {"kind": failing.behaviour}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")

        assert failing.waits == [1.0, 2.0]
        assert await supervisor.read_session("alice") == ["go"]


async def test_the_wait_doubles_up_to_its_limit_and_jitter_only_shortens_it(
    autojump_clock: trio.testing.MockClock,
) -> None:
    failing = Failing(7, restart=tenure.RestartPolicy(max_attempts=20, budget=100, backoff_limit_s=8.0))
    async with host(":memory:", {"kind": failing.behaviour}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")

    assert len(failing.waits) == 7
    for wait, longest in zip(failing.waits, [1, 2, 4, 8, 8, 8, 8], strict=True):
        assert 0.75 * longest - 0.001 <= wait <= longest


async def test_the_third_failed_attempt_makes_a_dead_letter_with_payload_and_error(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    failing = Failing(3)
    async with host(target, {"kind": failing.behaviour}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        bad = await runtime.accept({"poison": True}, idempotency_key="k")
        good = await runtime.accept("fine")
        outcome = await bad.wait_outcome()
        await good.wait_outcome()

        assert (outcome.phase, outcome.reason) == ("abandoned", "max_attempts_exhausted")
        said, *frames = (outcome.error or "").splitlines()
        assert said == "ValueError: failure 3"
        assert "test_failures.py" in frames[-2]  # where it was raised: file, line and function, then the line itself
        assert "raise ValueError" in frames[-1]
        assert outcome.receipt is None
        [letter] = await supervisor.dead_letters("alice")
        assert (letter.input_id, letter.reason, letter.error) == (bad.input_id, outcome.reason, outcome.error)
        assert (json.loads(letter.payload), letter.attempts) == ({"poison": True}, 3)
        assert await supervisor.read_session("alice") == ["fine"]
        # Its key is known for ever, and its ticket tells how it ended.
        again = await runtime.accept({"poison": True}, idempotency_key="k")
        assert (again.deduplicated, await again.wait_outcome()) == (True, outcome)


async def test_a_failed_run_keeps_its_place_and_blocks_its_runtime_and_no_other(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    failing = Failing(2)
    async with host(target, {"kind": failing.behaviour, "quiet": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        tickets = [await runtime.accept(n) for n in range(3)]
        began = trio.current_time()
        await consumed(await supervisor.spawn("bob", "quiet"), "go")
        sibling_took = trio.current_time() - began
        for ticket in tickets:
            await ticket.wait_outcome()

        assert sibling_took < 1
        assert await supervisor.read_session("alice") == [0, 1, 2]


async def test_attempts_are_counted_by_the_commit_that_fails_the_run_and_by_nothing_else(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    seen: list[int] = []

    async def behaviour(run: tenure.Run) -> None:
        seen.append(run.attempts)
        if len(seen) <= 4:
            await trio.sleep_forever()
        if len(seen) == 5:
            raise ValueError

    behaviours = {"kind": tenure.Behaviour(behaviour, restart=EXACT)}

    async def spawn(supervisor: tenure.Supervisor) -> None:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.accept("go", idempotency_key="k")
        await runtime.wait_state("running")
        await trio.testing.wait_all_tasks_blocked()

    # Four hosts go away in the middle of the run; then it fails once, and then it ends.
    for _ in range(4):
        await cut_off(database, behaviours, spawn)
    async with host(database, behaviours) as supervisor:
        await (await supervisor.ticket("alice", idempotency_key="k")).wait_outcome()

    assert seen == [0, 0, 0, 0, 0, 1]
    assert peek(database, "SELECT attempts, crashes FROM inputs, runtimes") == [[1, 0]]


async def test_backoff_goes_on_over_a_restart(database: Path, autojump_clock: trio.testing.MockClock) -> None:
    failing = Failing(1, restart=tenure.RestartPolicy(jitter=0.0, backoff_s=30.0))

    async def fail_once(supervisor: tenure.Supervisor) -> None:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.accept("go", idempotency_key="k")
        await trio.sleep(10)

    await cut_off(database, {"kind": failing.behaviour}, fail_once)
    [[retry_at]] = peek(database, "SELECT retry_at FROM runs")
    async with host(database, {"kind": failing.behaviour}) as supervisor:
        await (await supervisor.ticket("alice", idempotency_key="k")).wait_outcome()

    assert failing.waits == [30.0]
    assert retry_at == pytest.approx(EPOCH + failing.began[1], abs=0.01)


@pytest.mark.slow
async def test_a_budget_that_is_used_up_holds_the_runtime_until_a_person_resumes_it(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    failing = Failing(3, restart=tenure.RestartPolicy(jitter=0.0, max_attempts=100, budget=3))
    async with host(target, {"kind": failing.behaviour, "quiet": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        first = await runtime.accept("first")
        await trio.sleep(100)
        held = runtime.held
        began = len(failing.began)
        second = await runtime.accept("second", idempotency_key="k")  # held abandons nothing and accepts all
        await consumed(await supervisor.spawn("bob", "quiet"), "go")
        await trio.sleep(200)
        still = len(failing.began)
        await runtime.resume()
        for ticket in (first, second):
            assert (await ticket.wait_outcome()).phase == "consumed"

        assert held == "budget used up"
        assert (began, still) == (3, 3)
        assert runtime.held is None
        assert await supervisor.read_session("alice") == ["first", "second"]


@pytest.mark.slow
async def test_held_stays_held_over_a_restart_and_spawn_shows_why(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    failing = Failing(1, restart=tenure.RestartPolicy(budget=1))

    async def use_up(supervisor: tenure.Supervisor) -> None:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.accept("go", idempotency_key="k")
        await trio.sleep(100)

    await cut_off(database, {"kind": failing.behaviour}, use_up)
    async with host(database, {"kind": failing.behaviour}) as supervisor:
        await trio.sleep(100)
        runtime = await supervisor.spawn("alice", "kind")

        assert runtime.held == "budget used up"
        assert len(failing.began) == 1
        await runtime.resume()
        await (await supervisor.ticket("alice", idempotency_key="k")).wait_outcome()


async def test_failures_outside_the_period_are_forgotten(autojump_clock: trio.testing.MockClock) -> None:
    restart = tenure.RestartPolicy(jitter=0.0, max_attempts=100, budget=3, period_s=5.0, backoff_s=4.0)
    failing = Failing(6, restart=restart)
    async with host(":memory:", {"kind": failing.behaviour}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await consumed(runtime, "go")

        assert runtime.held is None


async def test_a_reset_forgets_failures_timers_and_the_run(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    failing = Failing(2, restart=tenure.RestartPolicy(jitter=0.0, backoff_s=1000.0, budget=2))
    async with host(target, {"kind": failing.behaviour}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        lost = await runtime.accept("lost")
        await trio.sleep(10)
        await runtime.reset()
        outcome = await lost.wait_outcome()
        began = trio.current_time()
        kept = await runtime.accept("kept")
        await trio.sleep(1)
        started_after = failing.began[1] - began

        assert (outcome.phase, outcome.reason) == ("abandoned", "reset")
        assert started_after < 1  # the timer of the dropped run does not hold up the next
        assert runtime.held is None  # one failure in this life, not two
        await kept.wait_outcome()
        assert await supervisor.read_session("alice") == ["kept"]


async def test_a_failed_batch_is_abandoned_whole(target: Path | str, autojump_clock: trio.testing.MockClock) -> None:
    sizes: list[int] = []

    async def behaviour(run: tenure.Run) -> None:
        await trio.sleep(1)
        sizes.append(len(run.inputs))
        if len(run.inputs) == 3:
            raise ValueError

    restart = tenure.RestartPolicy(max_attempts=2, jitter=0.0)
    async with host(target, {"kind": tenure.Behaviour(behaviour, batch=3, restart=restart)}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        first = await runtime.accept("first")
        await runtime.wait_state("running")
        batch = [await runtime.accept(n) for n in range(3)]
        outcomes: list[Any] = [await ticket.wait_outcome() for ticket in [first, *batch]]

    assert [outcome.phase for outcome in outcomes] == ["consumed", "abandoned", "abandoned", "abandoned"]
    assert sizes == [1, 3, 3]


async def test_resuming_what_is_not_held_changes_nothing(autojump_clock: trio.testing.MockClock) -> None:
    async with host(":memory:", {"echo": echo}) as supervisor:
        runtime = await supervisor.spawn("alice", "echo")
        await runtime.resume()
        await consumed(runtime, "go")

        assert runtime.held is None


async def test_held_and_resumed_are_waited_for(target: Path | str, autojump_clock: trio.testing.MockClock) -> None:
    failing = Failing(1, restart=tenure.RestartPolicy(budget=1))
    async with host(target, {"kind": failing.behaviour}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.wait_resumed()  # it is not held
        said: list[str | None] = []

        async def watch() -> None:
            said.append(await runtime.wait_held())
            await runtime.wait_resumed()
            said.append(runtime.held)

        async with trio.open_nursery() as nursery:
            nursery.start_soon(watch)
            await trio.testing.wait_all_tasks_blocked()
            ticket = await runtime.accept("go")
            assert await runtime.wait_held() == "budget used up" == runtime.held
            assert await runtime.wait_held() == "budget used up"  # still
            await runtime.resume()

        assert said == ["budget used up", None]
        assert (await ticket.wait_outcome()).phase == "consumed"


@pytest.mark.parametrize("verb", ["wait_held", "wait_state"])
async def test_whoever_waits_for_a_runtime_is_answered_when_its_host_closes(
    verb: str, target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async with trio.open_nursery() as nursery, host(target, {"kind": nothing}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")

        async def wait() -> None:
            with pytest.raises(Closed):
                await (runtime.wait_held() if verb == "wait_held" else runtime.wait_state("retired"))

        nursery.start_soon(wait)
        await trio.testing.wait_all_tasks_blocked()


@pytest.mark.sqlite("asks in words of SQLite")
async def test_the_last_error_of_a_run_is_kept_until_the_run_ends_well(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    # The first line is the error; behind it stands where it was raised.
    asked = "SELECT substr(error, 1, instr(error || char(10), char(10)) - 1), outcome FROM runs ORDER BY run"
    seen: list[list[list[Any]]] = []

    async def behaviour(run: tenure.Run) -> None:
        seen.append(peek(database, asked))
        await run.checkpoint()
        if run.attempts < 2:
            raise ValueError(f"attempt {run.attempts}")
        await trio.sleep(1)

    async with host(database, {"kind": tenure.Behaviour(behaviour, restart=EXACT)}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await consumed(runtime, "go")
        ended = peek(database, asked)
        await runtime.accept("again")
        await trio.sleep(1.5)  # it has failed twice, and waits
        await runtime.cancel()

    assert seen[:3] == [[[None, None]], [["ValueError: attempt 0", None]], [["ValueError: attempt 1", None]]]
    assert ended == [[None, "finished"]]
    assert peek(database, asked)[1] == ["ValueError: attempt 1", "cancelled"]
