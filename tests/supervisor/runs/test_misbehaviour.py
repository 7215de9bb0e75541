"""Behaviours that do what they should not: each harms its own run and no other."""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import tenure
from tenure.errors import StaleFence, StepMismatch, StoreBroken
from tenure.persistence.commits.commit import Commit
from tests.kit.alone import (
    ALONE,
    OpenHost,
)
from tests.kit.ground import pull_the_plug, submit


async def well(run: tenure.Run) -> None:
    run.session.append("well")


async def test_the_leaves_of_a_group_are_told_to_people(autojump_clock: MockClock, open_host: OpenHost) -> None:
    async def failing(run: tenure.Run) -> None:
        async with trio.open_nursery() as nursery:
            for error in (ValueError("one"), KeyError("two")):
                nursery.start_soon(raises, error)

    async def raises(error: Exception) -> None:
        raise error

    async with open_host({"k": failing, "well": well}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        other = await (await supervisor.spawn("b", "well")).accept(1)
        outcome = await ticket.wait_outcome()

        assert outcome.reason == "max_attempts_exhausted"
        assert sorted((outcome.error or "").splitlines()[0].split("; ")) == ["KeyError: 'two'", "ValueError: one"]
        assert (await other.wait_outcome()).phase == "consumed"


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
async def test_a_behaviour_that_ends_the_process_is_charged_with_a_crash_and_held_at_last(
    autojump_clock: MockClock, open_host: OpenHost, error: type[BaseException]
) -> None:
    async def poison(run: tenure.Run) -> None:
        raise error

    async def until_the_host_ends() -> None:
        async with open_host({"k": poison, "well": well}) as supervisor:
            runtime = await supervisor.spawn("a", "k")
            await runtime.accept(1, idempotency_key="once")
            await trio.sleep_forever()

    for _ in range(5):
        with pytest.raises(error):
            await until_the_host_ends()

    async with open_host({"k": poison, "well": well}) as supervisor:
        assert (await supervisor.spawn("a", "k")).held == "crash loop"
        ticket = await (await supervisor.spawn("b", "well")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"


async def test_a_cancelled_that_nobody_cancelled_is_a_failure_like_any_other(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def strange(run: tenure.Run) -> None:
        kept: list[trio.Cancelled] = []
        with trio.CancelScope() as scope:
            scope.cancel()
            try:
                await trio.sleep_forever()
            except trio.Cancelled as cancelled:
                kept.append(cancelled)
        raise kept[0]

    reasons: list[str | None] = []
    try:
        async with open_host({"k": strange, "well": well}) as supervisor:
            ticket = await (await supervisor.spawn("a", "k")).accept(1)
            other = await (await supervisor.spawn("b", "well")).accept(1)
            reasons += [(await ticket.wait_outcome()).reason, (await other.wait_outcome()).reason]
    finally:
        # Here: such a Cancelled, let through, would quietly cancel this test and all that it asserts behind.
        assert reasons == ["max_attempts_exhausted", None]


async def test_a_behaviour_may_cancel_a_scope_of_its_own(autojump_clock: MockClock, open_host: OpenHost) -> None:
    async def patient(run: tenure.Run) -> None:
        with trio.move_on_after(5) as scope:
            await trio.sleep_forever()
        assert scope.cancelled_caught

    async with open_host({"k": patient}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"


async def test_a_step_that_blocks_its_thread_is_left_behind_by_a_stop_and_its_result_is_dropped(tmp_path: Path) -> None:
    release, entered = threading.Event(), threading.Event()

    def block() -> str:
        entered.set()
        release.wait()
        return "too late"

    async def blocking(run: tenure.Run) -> None:
        run.session.append(await run.step("block", block, repeat="freely"))

    try:
        async with tenure.open_supervisor(tmp_path / "a.db", behaviours={"k": blocking}, limits=ALONE) as supervisor:
            runtime = await supervisor.spawn("a", "k")
            ticket = await runtime.accept(1)
            await trio.to_thread.run_sync(entered.wait)

            await runtime.stop()

            assert (await ticket.wait_outcome()).reason == "stopped"
            release.set()
            await wait_all_tasks_blocked(0.05)
            assert await supervisor.read_session("a") == []
    finally:
        release.set()


async def test_a_behaviour_that_floods_another_fails_nobody_and_loses_nothing(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    received: list[int] = []

    async def flooding(run: tenure.Run) -> None:
        for n in range(500):
            run.send("victim", n)

    async def victim(run: tenure.Run) -> None:
        received.extend(each.payload for each in run.inputs)

    async with open_host({"flood": flooding, "victim": tenure.Behaviour(victim, batch=50), "well": well}) as supervisor:
        await supervisor.spawn("victim", "victim")
        ticket = await (await supervisor.spawn("a", "flood")).accept(1)
        other = await (await supervisor.spawn("b", "well")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert (await other.wait_outcome()).phase == "consumed"
        await trio.sleep(1)
        assert received == list(range(500))


async def test_a_body_that_raises_leaves_its_exception_unwrapped_and_the_work_in_the_inbox(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def endless(run: tenure.Run) -> None:
        await trio.sleep_forever()

    async def body() -> None:
        async with open_host({"k": endless}) as supervisor:
            await (await supervisor.spawn("a", "k")).accept(1, idempotency_key="once")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await body()

    async with open_host({"k": well}) as supervisor:
        ticket = await supervisor.ticket("a", idempotency_key="once")
        assert (await ticket.wait_outcome()).phase == "consumed"


async def test_a_run_that_never_returns_is_given_its_time_at_a_normal_exit_and_goes_on_at_the_next_open(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    entered: list[float] = []

    async def slow(run: tenure.Run) -> None:
        entered.append(trio.current_time())
        await trio.sleep(7 if len(entered) == 1 else 1000)

    async with open_host({"k": slow}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        first, second = await runtime.accept(1), await runtime.accept(2, idempotency_key="second")
        await runtime.wait_state("running")
    assert first.outcome is not None
    assert first.outcome.phase == "consumed"
    assert second.outcome is None

    async with open_host({"k": well}) as supervisor:
        assert (await (await supervisor.ticket("a", idempotency_key="second")).wait_outcome()).phase == "consumed"


async def test_a_stale_fence_of_another_runtime_that_is_let_through_is_a_failure_like_any_other(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def meddling(run: tenure.Run) -> None:
        raise StaleFence(runtime_id="somebody else", expected=2, actual=1)

    async with open_host({"k": meddling}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept(1)

        assert (await ticket.wait_outcome()).reason == "max_attempts_exhausted"
        assert runtime.state == "attached"


async def test_a_token_of_an_earlier_life_that_a_behaviour_has_kept_fails_its_attempt_and_the_next_one_runs(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    tokens: list[int] = []

    async def keeps(run: tenure.Run) -> None:
        tokens.append(run.fence_token)
        if len(tokens) == 2:
            await host.store.runtimes.persist_runtime_state("a", "idle", fence=tokens[0])

    async with open_host({"k": keeps}) as host:
        runtime = await host.spawn("a", "k")
        await (await runtime.accept(1)).wait_outcome()
        await runtime.reset()
        assert (await (await runtime.accept(2)).wait_outcome()).phase == "consumed"
        assert len(tokens) == 3
        assert tokens[1] == tokens[2] > tokens[0]


async def test_a_mismatch_of_another_run_that_is_let_through_is_a_failure_like_any_other(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def meddling(run: tenure.Run) -> None:
        raise StepMismatch(runtime_id="b", run_id="another", name="main/1", recorded=None, given="a step")

    async with open_host({"k": meddling}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        assert (await (await runtime.accept(1)).wait_outcome()).reason == "max_attempts_exhausted"
        assert runtime.held is None


async def test_a_store_that_breaks_under_several_tasks_of_the_body_is_told_once(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def body() -> None:
        async with open_host({"well": well}) as supervisor, trio.open_nursery() as nursery:

            async def write() -> None:
                submit(supervisor.store, Commit(changes=()))

            pull_the_plug(supervisor.store)
            for _ in range(3):
                nursery.start_soon(write)

    with pytest.raises(StoreBroken):
        await body()


class NotOfTrio:
    """Hands up what trio knows nothing of, and whose text raises."""

    def __await__(self) -> Generator[Any, Any, None]:
        yield Trap()


class Trap:
    def __repr__(self) -> str:
        raise AttributeError("no text")


async def wait_for_it() -> None:
    await NotOfTrio()


async def in_the_run(run: tenure.Run) -> None:
    await NotOfTrio()


async def in_a_step(run: tenure.Run) -> None:
    await run.step("x", wait_for_it, repeat="freely")


async def in_a_bounded_step(run: tenure.Run) -> None:
    await run.step("x", wait_for_it, repeat="freely", timeout_s=1)


async def in_a_side(run: tenure.Run) -> None:
    await run.gather(wait_for_it, wait_for_it)


async def in_a_task(run: tenure.Run) -> None:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait_for_it)


async def again_and_again(run: tenure.Run) -> None:
    """It hears nothing: the loop has its turn all the same."""
    with trio.fail_after(5):
        while True:
            with suppress(TypeError):
                await NotOfTrio()
            await trio.lowlevel.checkpoint_if_cancelled()


@pytest.mark.parametrize("behaviour", [in_the_run, in_a_step, in_a_bounded_step, in_a_side, in_a_task, again_and_again])
async def test_what_trio_does_not_know_is_refused_in_the_code_that_hands_it_up(
    open_host: OpenHost, autojump_clock: MockClock, behaviour: Any
) -> None:
    """Trio prints it into its error, in the loop: its text would end the host."""
    if behaviour is again_and_again:
        autojump_clock.rate = 1_000  # the loop never rests
    async with open_host({"k": behaviour, "well": well}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        other = await (await supervisor.spawn("b", "well")).accept(1)

        assert (await other.wait_outcome()).phase == "consumed"

        outcome = await ticket.wait_outcome()
    expected = "TooSlowError" if behaviour is again_and_again else "message of class Trap"
    assert outcome.reason == "max_attempts_exhausted"
    assert expected in (outcome.error or "")
