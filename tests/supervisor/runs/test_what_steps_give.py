"""What a step's function gives or raises beyond a plain value: something to await, and exceptions that are no `Exception`."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import StepFailed
from tests.kit.hosting import consumed, host, nothing

ONCE = tenure.RestartPolicy(max_attempts=1)


async def fetch(number: int, key: str = "", delay_s: float = 0.1) -> int:
    await trio.sleep(delay_s)
    return 2 * number


def made(number: int, key: str = "") -> Any:
    """Not async, and returns what is to be awaited."""
    return fetch(number, key)


@pytest.mark.parametrize("timeout_s", [None, 5.0])
@pytest.mark.parametrize("repeat", ["freely", "keyed", "never"])
async def test_what_a_sync_function_returns_to_be_awaited_is_part_of_the_step(
    repeat: str, timeout_s: float | None, target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def work(run: tenure.Run) -> Any:
        one = await run.step("one", made, 2, repeat=repeat, timeout_s=timeout_s)
        many = await run.map("many", made, [3, 4], repeat="freely")
        return [one, many, await run.step("lambda", lambda: fetch(5), repeat="freely")]

    async with host(target, {"kind": work}) as supervisor:
        outcome = await (await (await supervisor.spawn("alice", "kind")).accept("go")).wait_outcome()

    assert (outcome.phase, outcome.result) == ("consumed", [4, [6, 8], 10])


async def test_what_is_to_be_awaited_keeps_the_timeout_of_the_step(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def work(run: tenure.Run) -> Any:
        try:
            await run.step("slow", lambda: fetch(1, delay_s=60.0), repeat="freely", timeout_s=1.0)
        except StepFailed as exc:
            return exc.detail

    async with host(target, {"kind": work}) as supervisor:
        outcome = await (await (await supervisor.spawn("alice", "kind")).accept("go")).wait_outcome()

    assert outcome.result == "TimeoutError: it took longer than 1.0 s"


class Base(BaseException):
    """No `Exception`."""


RAISED: dict[str, Callable[[], BaseException]] = {
    "GeneratorExit": lambda: GeneratorExit("mine"),
    "asyncio's CancelledError": lambda: asyncio.CancelledError("mine"),
    "a class of the user's": lambda: Base("mine"),
    "a group of them": lambda: BaseExceptionGroup("some", [GeneratorExit("mine"), Base("mine")]),
}


@pytest.mark.parametrize("how", ["async", "sync"])
@pytest.mark.parametrize("raised", RAISED)
async def test_whatever_a_step_raises_that_asks_neither_for_its_end_nor_for_that_of_the_process_is_its_failure(
    raised: str, how: str, target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    called: list[int] = []

    def sync() -> None:
        called.append(1)
        error = RAISED[raised]()
        raise error

    async def awaited() -> None:
        sync()

    async def work(run: tenure.Run) -> Any:
        try:
            await run.step("raises", awaited if how == "async" else sync, repeat="never")
        except StepFailed as exc:
            await run.step("after", lambda: 1, repeat="freely")
            return exc.detail

    async with host(target, {"kind": tenure.Behaviour(work, restart=ONCE), "other": nothing}) as supervisor:
        outcome = await (await (await supervisor.spawn("alice", "kind")).accept("go")).wait_outcome()

        assert (outcome.phase, called) == ("consumed", [1])
        assert "mine" in outcome.result
        await consumed(await supervisor.spawn("bob", "other"), "go")


async def test_a_base_exception_takes_no_fault_of_the_run_out_of_its_record(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    """The step in doubt holds the runtime, whatever the behaviour makes of it: a failed attempt would hide it."""

    async def work(run: tenure.Run) -> None:
        try:
            await run.step("pay", functools.partial(trio.sleep, 60), repeat="never", timeout_s=1.0)
        except Exception as exc:
            raise GeneratorExit from exc

    async with host(target, {"kind": tenure.Behaviour(work, restart=ONCE)}) as supervisor:
        runtime = await supervisor.spawn("alice", "kind")
        await runtime.accept("go")
        with trio.fail_after(60):
            held = await runtime.wait_held()
        assert held == "needs attention"
