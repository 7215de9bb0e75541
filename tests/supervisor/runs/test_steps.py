"""Steps: replayed, in doubt, asleep, and mismatched."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import tenure
from tenure.errors import InvalidInput, LimitReached, NotFound, RunEnded, StepFailed, StepMismatch
from tests.kit.alone import (
    ALONE,
    EPOCH,
    OpenHost,
)


def fail_once(run: tenure.Run) -> None:
    if run.attempts == 0:
        raise ConnectionError("the line is down")


async def test_a_recorded_step_is_given_back_and_not_executed_again(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    calls: list[str] = []

    def work(name: str) -> dict[str, str]:
        calls.append(name)
        return {"did": name}

    async def behaviour(run: tenure.Run) -> None:
        results = [await run.step("work", work, name, repeat="freely") for name in ("a", "b")]
        assert results == [{"did": "a"}, {"did": "b"}]
        fail_once(run)

    async with open_host({"k": behaviour}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert calls == ["a", "b"]


async def test_a_keyed_step_gets_the_same_key_at_every_attempt(autojump_clock: MockClock, open_host: OpenHost) -> None:
    keys: list[str] = []

    async def pay(amount: int, *, key: str) -> str:
        keys.append(key)
        if len(keys) == 1:
            raise ConnectionError("no answer")
        return "paid"

    async def behaviour(run: tenure.Run) -> None:
        assert await run.step("pay", pay, 5, repeat="keyed") == "paid"

    async with open_host({"k": behaviour}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert len(keys) == 2
        assert len(set(keys)) == 1


async def test_a_step_that_must_not_repeat_raises_its_recorded_error_again(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    calls: list[int] = []
    raised: list[str] = []

    def launch() -> None:
        calls.append(1)
        raise OSError("no fuel")

    async def behaviour(run: tenure.Run) -> None:
        try:
            await run.step("launch", launch, repeat="never")
        except StepFailed as exc:
            raised.append(exc.detail)
            fail_once(run)

    async with open_host({"k": behaviour}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert calls == [1]
        assert raised == ["OSError: no fuel"] * 2


async def hang_in_a_step(open_host: OpenHost, behaviour: tenure.Behaviour) -> None:
    """Leave a host while a step that must not repeat is executing."""
    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(1, idempotency_key="once")
        await runtime.wait_state("running")
        await wait_all_tasks_blocked()


async def test_a_step_in_doubt_holds_the_runtime_until_a_person_says_that_it_ran(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    launches: list[str] = []
    results: list[object] = []

    async def launch(name: str) -> str:
        launches.append(name)
        await trio.sleep_forever()
        return "never seen"

    async def act(run: tenure.Run) -> None:
        results.append(await run.step("launch", launch, "rocket", repeat="never"))

    behaviour = tenure.Behaviour(act)
    await hang_in_a_step(open_host, behaviour)

    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await wait_all_tasks_blocked()
        assert runtime.held == "needs attention"
        assert "launch at main/1" in (runtime.held_detail or "")
        with pytest.raises(NotFound):
            await runtime.settle_step("main/2", tenure.Ran("up"))

        await runtime.settle_step("main/1", tenure.Ran("up"))

        ticket = await supervisor.ticket("a", idempotency_key="once")
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert (results, launches, runtime.held) == (["up"], ["rocket"], None)


async def test_a_step_in_doubt_is_dispatched_again_where_a_person_says_that_it_did_not_run(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    launches: list[str] = []

    async def launch(name: str) -> str:
        launches.append(name)
        if len(launches) == 1:
            await trio.sleep_forever()
        return "up"

    async def act(run: tenure.Run) -> None:
        assert await run.step("launch", launch, "rocket", repeat="never") == "up"

    behaviour = tenure.Behaviour(act)
    await hang_in_a_step(open_host, behaviour)

    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await wait_all_tasks_blocked()
        await runtime.settle_step("main/1", tenure.DidNotRun())

        ticket = await supervisor.ticket("a", idempotency_key="once")
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert launches == ["rocket", "rocket"]


@pytest.mark.parametrize("verdict", [tenure.Ran("by a second click"), tenure.DidNotRun()])
async def test_a_step_that_is_executing_again_is_not_in_doubt(
    autojump_clock: MockClock, open_host: OpenHost, verdict: tenure.Verdict
) -> None:
    launches: list[str] = []

    async def launch(name: str) -> None:
        launches.append(name)
        await trio.sleep_forever()

    async def act(run: tenure.Run) -> None:
        await run.step("launch", launch, "rocket", repeat="never")

    behaviour = tenure.Behaviour(act)
    await hang_in_a_step(open_host, behaviour)
    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.wait_held()
        await runtime.settle_step("main/1", tenure.DidNotRun())
        await wait_all_tasks_blocked()
        assert launches == ["rocket", "rocket"]

        with pytest.raises(NotFound):
            await runtime.settle_step("main/1", verdict)

    # Cut off once more: its dispatch is still on disk, and it does not run a third time.
    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        assert await runtime.wait_held() == "needs attention"
        assert launches == ["rocket", "rocket"]


async def test_a_hold_lists_all_doubts_of_its_run_and_they_are_settled_together(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def launch() -> None:
        await trio.sleep_forever()

    async def act(run: tenure.Run) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(partial(run.step, "fuel", launch, repeat="never", call="1"))
            await wait_all_tasks_blocked()
            nursery.start_soon(partial(run.step, "launch", launch, repeat="never", call="2"))

    behaviour = tenure.Behaviour(act)
    await hang_in_a_step(open_host, behaviour)
    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.wait_held()
        assert "fuel at #1" in (runtime.held_detail or "")

        with pytest.raises(NotFound):
            await runtime.settle_step("#1", tenure.Ran(), ("#3", tenure.Ran()))
        assert runtime.held == "needs attention"

        await runtime.settle_step("#1", tenure.Ran(), ("#2", tenure.Ran()))
        ticket = await supervisor.ticket("a", idempotency_key="once")
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert runtime.held is None


@pytest.mark.parametrize("verdict", [tenure.Ran("by hook"), tenure.DidNotRun()])
async def test_a_hook_can_give_the_verdict(
    autojump_clock: MockClock, open_host: OpenHost, verdict: tenure.Verdict
) -> None:
    asked: list[tenure.StepInDoubt] = []
    results: list[object] = []
    launches: list[int] = []

    async def in_doubt(step: tenure.StepInDoubt) -> tenure.Verdict | None:
        asked.append(step)
        return verdict

    async def launch(name: str) -> str:
        launches.append(1)
        if len(launches) == 1:
            await trio.sleep_forever()
        return "by launch"

    async def act(run: tenure.Run) -> None:
        results.append(await run.step("launch", launch, "rocket", repeat="never"))

    behaviour = tenure.Behaviour(act, in_doubt=in_doubt)
    await hang_in_a_step(open_host, behaviour)

    async with open_host({"k": behaviour}) as supervisor:
        ticket = await supervisor.ticket("a", idempotency_key="once")
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert [(step.name, step.place, step.arguments) for step in asked] == [("launch", "main/1", ("rocket",))]
        assert results == (["by hook"] if isinstance(verdict, tenure.Ran) else ["by launch"])


async def test_what_a_hook_says_and_is_no_verdict_is_not_taken_for_one(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    launches: list[int] = []

    async def in_doubt(step: tenure.StepInDoubt) -> Any:
        return "it ran, I think"

    async def launch() -> None:
        launches.append(1)
        await trio.sleep_forever()

    async def act(run: tenure.Run) -> None:
        await run.step("launch", launch, repeat="never")

    behaviour = tenure.Behaviour(act, in_doubt=in_doubt)
    await hang_in_a_step(open_host, behaviour)

    async with open_host({"k": behaviour}) as supervisor:
        runtime = supervisor.runtime("a")
        assert await runtime.wait_held() == "needs attention"
        with pytest.raises(InvalidInput):
            await runtime.settle_step("main/1", "it ran, I think")  # type: ignore[arg-type]
        assert runtime.held == "needs attention"
        assert len(launches) == 1


@pytest.mark.parametrize("seconds", [-1, float("nan"), float("inf")])
async def test_a_sleep_that_nobody_can_sleep_is_refused(
    autojump_clock: MockClock, open_host: OpenHost, seconds: float
) -> None:
    refused: list[InvalidInput] = []

    async def behaviour(run: tenure.Run) -> None:
        try:
            await run.sleep(seconds)
        except InvalidInput as exc:
            refused.append(exc)
        with pytest.raises(InvalidInput):
            await run.step("work", len, [], repeat="sometimes")

    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        assert (await (await runtime.accept(1)).wait_outcome()).phase == "consumed"
        assert [each.field for each in refused] == ["seconds"]
        for states in ((), ("asleep",)):
            with pytest.raises(InvalidInput):
                await runtime.wait_state(*states)


async def test_a_sleep_is_slept_once_over_a_restart(autojump_clock: MockClock, open_host: OpenHost) -> None:
    woke: list[float] = []

    async def behaviour(run: tenure.Run) -> None:
        await run.sleep(3600)
        woke.append(trio.current_time())

    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(1, idempotency_key="once")
        await runtime.wait_state("running")
        began = trio.current_time()
        await trio.sleep(1800)

    async with open_host({"k": behaviour}) as supervisor:
        ticket = await supervisor.ticket("a", idempotency_key="once")
        await ticket.wait_outcome()
        assert woke == [pytest.approx(began + 3600, abs=20)]
        assert EPOCH > 0


async def test_other_arguments_than_recorded_hold_the_runtime_and_count_no_attempt(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    entered: list[int] = []

    async def behaviour(run: tenure.Run) -> None:
        entered.append(run.attempts)
        await run.step("work", str, min(len(entered), 2), repeat="freely")
        if len(entered) == 1:
            raise ValueError("no")

    async with open_host({"k": tenure.Behaviour(behaviour, version="1")}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept(1)
        await trio.sleep(10)

        assert runtime.held == "step mismatch"
        assert ticket.outcome is None
        await runtime.resume()
        await trio.sleep(1)
        assert runtime.held == "step mismatch"
        await runtime.resume(restart_run=True)
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert entered == [0, 1, 1, 0]


async def test_a_mismatch_that_the_behaviour_swallows_still_holds_the_runtime(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def behaviour(run: tenure.Run) -> None:
        try:
            await run.step("work", str, run.attempts, repeat="freely")
        except StepMismatch:
            return
        fail_once(run)

    async with open_host({"k": tenure.Behaviour(behaviour, version="1")}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(1)
        await trio.sleep(10)
        assert runtime.held == "step mismatch"


async def test_other_messages_before_a_recorded_checkpoint_hold_the_runtime(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def behaviour(run: tenure.Run) -> None:
        run.session.append(run.attempts)
        await run.checkpoint()
        fail_once(run)

    async with open_host({"k": tenure.Behaviour(behaviour, version="1")}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(1)
        await trio.sleep(10)
        assert runtime.held == "step mismatch"
        assert await supervisor.read_session("a") == [0]


async def test_a_run_that_skips_a_recorded_checkpoint_holds_the_runtime(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def behaviour(run: tenure.Run) -> None:
        if run.attempts == 0:
            await run.checkpoint()
        fail_once(run)

    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(1)
        await trio.sleep(10)
        assert runtime.held == "step mismatch"


async def test_a_result_without_a_json_form_fails_the_step_and_is_named(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def behaviour(run: tenure.Run) -> None:
        with pytest.raises(StepFailed, match="result"):
            await run.step("work", object, repeat="freely")

    async with open_host({"k": behaviour}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"


async def test_a_run_has_a_limit_of_steps(
    autojump_clock: MockClock, open_host: OpenHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def behaviour(run: tenure.Run) -> None:
        for n in range(3):
            await run.step("work", str, n, repeat="freely")
        with pytest.raises(LimitReached):
            await run.step("work", str, 3, repeat="freely")

    async with open_host({"k": behaviour}) as supervisor:
        monkeypatch.setattr(supervisor.store, "limits", tenure.Limits(run_steps=3))
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"


async def test_half_of_the_limit_is_logged_once_however_often_the_run_is_entered(
    open_host: OpenHost, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def behaviour(run: tenure.Run) -> None:
        for n in range(5):
            await run.step("work", str, n, repeat="freely")
        if run.attempts == 0:
            raise ConnectionError("of a test")

    kind = tenure.Behaviour(behaviour, restart=tenure.RestartPolicy(backoff_s=0.001))
    async with open_host({"k": kind}) as supervisor:
        monkeypatch.setattr(supervisor.store, "limits", tenure.Limits(run_steps=8))
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"

    (line,) = [record for record in caplog.records if "half of the 8 entries" in record.message]
    assert (line.name, line.levelname) == ("tenure.runs", "WARNING")


async def test_a_run_that_is_used_after_its_end_says_so(autojump_clock: MockClock, open_host: OpenHost) -> None:
    kept: list[tenure.Run] = []

    async def behaviour(run: tenure.Run) -> None:
        kept.append(run)

    async with open_host({"k": behaviour}) as supervisor:
        await (await (await supervisor.spawn("a", "k")).accept(1)).wait_outcome()
        run = kept[0]
        for use in (
            run.checkpoint,
            run.wait_steered,
            lambda: run.step("s", str, repeat="freely"),
            lambda: run.sleep(1),
        ):
            with pytest.raises(RunEnded):
                await use()
        for sync_use in (run.retire, lambda: run.send("b", 1), lambda: run.reject(run.inputs[0], "late")):
            with pytest.raises(RunEnded):
                sync_use()


@pytest.mark.parametrize("repeat", ["freely", "keyed", "never"])
async def test_an_error_that_was_caught_is_raised_again_where_the_run_has_gone_on(
    autojump_clock: MockClock, open_host: OpenHost, repeat: str
) -> None:
    down = True
    calls: list[object] = []
    caught: list[str] = []

    def search(**_: object) -> str:
        calls.append(1)
        if down:
            raise ConnectionError("down")
        return "found"

    async def act(run: tenure.Run) -> None:
        try:
            found = await run.step("search", search, repeat=repeat)
        except StepFailed as exc:
            found = "nothing"
            caught.append(exc.detail)
        run.session.append(found)
        await run.checkpoint()
        if down:
            await trio.sleep_forever()

    async with open_host({"k": act}) as supervisor:
        await (await supervisor.spawn("a", "k")).accept(1, idempotency_key="once")
        await wait_all_tasks_blocked()
    down = False
    async with open_host({"k": act}) as supervisor:
        ticket = await supervisor.ticket("a", idempotency_key="once")
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert await supervisor.read_session("a") == ["nothing"]
        assert (len(calls), caught) == (1, ["ConnectionError: down"] * 2)


@pytest.mark.parametrize("behind", ["a step", "a sleep"])
async def test_an_error_is_caught_by_whatever_is_recorded_behind_it_also_over_attempts(
    autojump_clock: MockClock, open_host: OpenHost, behind: str
) -> None:
    calls: list[int] = []

    def search(source: str) -> str:
        calls.append(1)
        if len(calls) == 1:
            raise ConnectionError("down")
        return source

    async def act(run: tenure.Run) -> None:
        try:
            found = await run.step("search", search, "first", repeat="freely")
        except StepFailed:
            if behind == "a sleep":
                await run.sleep(5)
            found = await run.step("search", search, "second", repeat="freely")
        run.session.append(found)
        fail_once(run)

    async with open_host({"k": act}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert await supervisor.read_session("a") == ["second"]
        assert len(calls) == 2


async def test_a_failed_step_on_which_nothing_stands_runs_again(autojump_clock: MockClock, open_host: OpenHost) -> None:
    calls: list[str] = []

    async def work(name: str, wait_s: float) -> str:
        await trio.sleep(wait_s)
        calls.append(name)
        if calls.count(name) == 1 and name != "slow":
            raise ConnectionError(name)
        return name

    async def act(run: tenure.Run) -> None:
        # All three begin before the first of them fails: none of them stands on what another came to.
        async with trio.open_nursery() as nursery:
            for name, wait_s in (("one", 1.0), ("two", 1.0), ("slow", 1.0)):
                nursery.start_soon(partial(run.step, name, work, name, wait_s, repeat="freely", call=name))

    async with open_host({"k": act}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert calls.count("one") == 2


@pytest.mark.parametrize("repeat", ["freely", "never"])
async def test_a_result_over_the_limit_fails_the_step_which_is_not_left_in_doubt(
    autojump_clock: MockClock, open_host: OpenHost, repeat: str
) -> None:
    calls: list[int] = []
    details: list[str] = []

    def big() -> str:
        calls.append(1)
        return "x" * ALONE.payload_bytes

    async def act(run: tenure.Run) -> None:
        try:
            await run.step("big", big, repeat=repeat)
        except StepFailed as exc:
            details.append(exc.detail)
        fail_once(run)

    async with open_host({"k": act}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        assert (await (await runtime.accept(1)).wait_outcome()).phase == "consumed"
        assert runtime.held is None
        assert [detail.split(":")[0] for detail in details] == ["PayloadTooLarge"] * 2
        assert len(calls) == (2 if repeat == "freely" else 1)


@pytest.mark.parametrize("name", ["", "n" * 201, "a\0b", "caf\udce9"])
async def test_a_name_that_cannot_be_stored_is_refused_and_nothing_is_called(
    autojump_clock: MockClock, open_host: OpenHost, name: str
) -> None:
    async def act(run: tenure.Run) -> None:
        with pytest.raises(InvalidInput, match="name"):
            await run.step(name, pytest.fail, "called", repeat="never")

    async with open_host({"k": act}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"
