"""A behaviour that swallows whatever it is refused, again and again, keeps neither the loop of its host nor its own hold."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

import pytest
import trio
from trio.testing import MockClock

import tenure
import tenure.asyncio
from tenure.errors import StepMismatch
from tenure.supervisor.runs.keeping.session import RunSession
from tenure.supervisor.runs.keeping.state import RunState
from tests.kit.alone import OpenHost

QUICK = tenure.RestartPolicy(max_attempts=3, backoff_s=1.0)
MOST: Final = 5_000
"""Errors that a test swallows before it ends itself: a loop that the host cannot leave would end no test."""


class Swallows:
    """Asks for something again and again, and swallows every error."""

    def __init__(self, ask: Any, kinds: type[BaseException] = Exception) -> None:
        self.ask = ask
        self.swallowed = 0
        self._kinds = kinds

    async def run(self, run: tenure.Run) -> None:
        while self.swallowed < MOST:
            try:
                await waited_for(self.ask(run))
            except self._kinds:
                self.swallowed += 1


async def asks_step(run: Any) -> None:
    await run.step("look", str, repeat="freely")


async def opens_scope(run: Any) -> None:
    async with run.move_on_after(-1):
        pass


Ask = Callable[[Any], Any]

VERBS: dict[str, Ask] = {
    "again": lambda run: run.again(1),
    "answer": lambda run: run.answer(run.inputs[0], 1),
    "ask": lambda run: run.ask("b", 1),
    "checkpoint": lambda run: run.checkpoint(),
    "children": lambda run: run.children(),
    "destroy": lambda run: run.destroy(),
    "emit": lambda run: run.emit(1),
    "first": lambda run: run.first(lambda: asks_step(run)),
    "flush": lambda run: run.flush(),
    "gather": lambda run: run.gather(lambda: asks_step(run)),
    "map": lambda run: run.map("look", str, [1], repeat="freely"),
    "move_on_after": opens_scope,
    "now": lambda run: run.now(),
    "patched": lambda run: run.patched("of a test"),
    "random": lambda run: run.random,
    "recorded": lambda run: run.recorded("look"),
    "reject": lambda run: run.reject(run.inputs[0], "of a test"),
    "reset": lambda run: run.reset(),
    "retire": lambda run: run.retire(),
    "send": lambda run: run.send("b", 1),
    "session.append": lambda run: run.session.append(1),
    "session.attach": lambda run: run.session.attach(b"1"),
    "session.fork": lambda run: run.session.fork(0),
    "session.messages": lambda run: run.session.messages(),
    "session.pop": lambda run: run.session.pop(),
    "session.raw_messages": lambda run: run.session.raw_messages(),
    "session.rewrite": lambda run: run.session.rewrite([]),
    "sleep": lambda run: run.sleep(1),
    "spawn": lambda run: run.spawn("b", "k"),
    "state.all": lambda run: run.state.all(),
    "state.delete": lambda run: run.state.delete("a"),
    "state.exists": lambda run: run.state.exists("a"),
    "state.get": lambda run: run.state.get("a"),
    "state.set": lambda run: run.state.set("a", 1),
    "steered": lambda run: run.steered(),
    "step": asks_step,
    "stop": lambda run: run.stop(),
    "uuid": lambda run: run.uuid(),
    "wait_steered": lambda run: run.wait_steered(),
}
"""Every verb of a run, as it may be asked."""

ASK_NOTHING: Final = {"retiring", "session.count"}
"""What may be looked at when the run is over, too."""

REFUSED: dict[str, Ask] = {
    "first": lambda run: run.first(),
    "map": lambda run: run.map("look", str, [1], repeat="now and then"),
    "session.pop": lambda run: run.session.pop(0),
    "sleep": lambda run: run.sleep(-1),
    "state.get": lambda run: run.state.get(""),
    "step": lambda run: run.step("look", str, repeat="now and then"),
    "step of nothing": lambda run: run.step("look", None, repeat="freely"),
}
"""What is refused wherever it is asked for."""


async def waited_for(asked: Any) -> None:
    if inspect.isawaitable(asked):
        await asked


def is_awaited(name: str) -> bool:
    kind, _, verb = name.rpartition(".")
    return name == "move_on_after" or inspect.iscoroutinefunction(getattr(KINDS[kind], verb))


KINDS: dict[str, type] = {"": tenure.Run, "session": RunSession, "state": RunState}
AWAITED = sorted(filter(is_awaited, VERBS))


def test_every_verb_of_a_run_is_asked_here() -> None:
    found = {
        f"{kind}.{verb}" if kind else verb
        for kind, of in KINDS.items()
        for verb, value in vars_of(of)
        if not verb.startswith("_") and (callable(value) or isinstance(value, property))
    }

    assert found == VERBS.keys() | ASK_NOTHING


def vars_of(kind: type) -> list[tuple[str, Any]]:
    return [(name, getattr(kind, name)) for name in dir(kind)]


async def asks_till_others_had_a_turn(run: Any, ask: Ask, begin: Callable[[Callable[[], Any]], None]) -> int:
    """So often was it asked."""
    others: list[int] = []

    async def other() -> None:
        others.append(1)

    begin(other)
    asked = 0
    while not others and asked < MOST:
        asked += 1
        with suppress(Exception):
            await waited_for(ask(run))
    return asked


@pytest.mark.parametrize("name", [*AWAITED, *(f"refused {each}" for each in REFUSED)])
@pytest.mark.parametrize("inside", ["a step", "no step"])
async def test_what_is_refused_again_and_again_leaves_the_loop_to_others(
    autojump_clock: MockClock, open_host: OpenHost, name: str, inside: str
) -> None:
    ask = REFUSED[name.removeprefix("refused ")] if name.startswith("refused") else VERBS[name]
    asked: list[int] = []

    async def act(run: tenure.Run) -> None:
        async def asks() -> None:
            async with trio.open_nursery() as nursery:
                asked.append(await asks_till_others_had_a_turn(run, ask, nursery.start_soon))

        if inside == "a step":
            await run.step("inside", asks, repeat="freely")
        elif name.startswith("refused"):
            await asks()

    async with open_host({"k": act}) as supervisor:
        ticket = await (await supervisor.spawn("a", "k")).accept(1)
        await ticket.wait_outcome()
    assert all(each < 200 for each in asked)
    assert asked or not name.startswith("refused")


@pytest.mark.parametrize("name", [*AWAITED, *(f"refused {each}" for each in REFUSED)])
def test_and_so_it_does_on_the_loop_of_asyncio(name: str) -> None:
    ask = REFUSED[name.removeprefix("refused ")] if name.startswith("refused") else VERBS[name]
    asked: list[int] = []

    @tenure.asyncio.behaviour
    async def act(run: tenure.asyncio.Run) -> None:
        async def asks() -> None:
            tasks: list[asyncio.Task[Any]] = []

            def begin(function: Callable[[], Any]) -> None:
                tasks.append(asyncio.ensure_future(function()))

            asked.append(await asks_till_others_had_a_turn(run, ask, begin))
            await asyncio.gather(*tasks)

        await run.step("inside", asks, repeat="freely")
        if name.startswith("refused"):
            await asks()

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(":memory:", behaviours={"k": act}) as supervisor:
            ticket = await (await supervisor.spawn("a", "k")).accept(1)
            await ticket.wait_outcome()

    asyncio.run(main())
    assert asked
    assert all(each < 200 for each in asked)


async def test_patches_that_are_known_and_sleeps_that_end_at_once_leave_the_loop_to_others(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    asked: list[int] = []

    async def act(run: tenure.Run) -> None:
        if not await run.patched("of a test"):
            return
        while not run.session.count:  # until what steers has joined
            with trio.move_on_after(60):
                await run.sleep(30, steerable=True)
                run.session.append("it has")
        async with trio.open_nursery() as nursery:
            asks: tuple[Ask, ...] = (lambda run: run.patched("of a test"), lambda run: run.sleep(30, steerable=True))
            asked.extend([await asks_till_others_had_a_turn(run, ask, nursery.start_soon) for ask in asks])

    async with open_host({"k": act}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept(1)
        await trio.sleep(10)
        await runtime.accept(2, lane="steer")
        await ticket.wait_outcome()
    assert len(asked) == 2
    assert all(each < 200 for each in asked)


@pytest.mark.turns(2)
@pytest.mark.parametrize("name", sorted(VERBS))
@pytest.mark.parametrize("kinds", [Exception, BaseException])
async def test_its_runtime_is_held_for_the_first_of_them(
    autojump_clock: MockClock, open_host: OpenHost, name: str, kinds: type[BaseException]
) -> None:
    swallows = Swallows(VERBS[name], kinds)

    async def act(run: tenure.Run) -> None:
        if run.attempts == 0:
            await run.spawn("child", "k")
            await run.checkpoint()
            raise ConnectionError("of a test")
        with suppress(StepMismatch):
            await run.step("look", str, repeat="freely")
        await swallows.run(run)

    async with open_host({"k": tenure.Behaviour(act, restart=QUICK)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(1)
        with trio.fail_after(60):
            await runtime.wait_held()
        assert runtime.held == "step mismatch"
    assert swallows.swallowed < MOST or kinds is BaseException


async def test_a_run_that_may_do_no_more_steps_leaves_the_loop_to_others(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    swallows = Swallows(asks_step)

    async with open_host({"k": tenure.Behaviour(swallows.run, restart=QUICK), "well": asks_step}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(1)
        while not swallows.swallowed:
            await trio.lowlevel.checkpoint()
        ticket = await (await supervisor.spawn("b", "well")).accept(1)
        assert (await ticket.wait_outcome()).phase == "consumed"
        await runtime.stop()
        assert 0 < swallows.swallowed < MOST
