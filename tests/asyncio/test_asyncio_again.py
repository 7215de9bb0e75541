"""Runs that go on, from asyncio: `return run.again(payload)` in a behaviour of the loop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import attrs

import tenure
import tenure.asyncio
from tests.asyncio.test_behaviours import MEMORY, run, twice


@attrs.frozen
class Aim:
    left: int


def test_a_run_goes_on_before_the_inbox_and_sees_what_the_one_before_has_left() -> None:
    ran, ended = list[tuple[int, Any, list[Any]]](), asyncio.Event()

    @tenure.asyncio.behaviour
    async def work(run: tenure.asyncio.Run) -> tenure.Again | str:
        left = run.inputs[0].payload.left
        ran.append((left, await run.state.get("left"), await run.session.messages()))
        await run.step("twice", twice, left, repeat="never")
        run.state.set("left", left)
        run.session.append(left)
        if left > 0:
            return run.again(Aim(left - 1))
        ended.set()
        return "done"

    async def main() -> None:
        kinds = {"work": tenure.Behaviour(work, payload=Aim)}
        async with tenure.asyncio.open_supervisor(MEMORY, behaviours=kinds) as supervisor:
            runtime = await supervisor.spawn("a", "work")
            first = await runtime.accept(Aim(2))
            second = await runtime.accept(Aim(-1))
            assert (await first.wait_outcome()).result is None
            assert (await second.wait_outcome()).result == "done"
            assert ran == [(2, None, []), (1, 2, [2]), (0, 1, [2, 1]), (-1, 0, [2, 1, 0])]
            assert await supervisor.unfinished_runs() == []

    run(main)


def test_a_run_that_went_on_is_entered_again_by_the_next_host(tmp_path: Path) -> None:
    calls, waits = list[str](), [True]

    async def note(name: str) -> str:
        calls.append(name)
        return name

    @tenure.asyncio.behaviour
    async def work(run: tenure.asyncio.Run) -> tenure.Again | None:
        name: str = run.inputs[0].payload
        await run.step("note", note, name, repeat="never")
        if name == "first":
            return run.again("second")
        if waits:
            reached.set()
            await asyncio.sleep(3600)
        return None

    reached = asyncio.Event()

    async def main() -> None:
        for _ in range(2):
            async with tenure.asyncio.open_supervisor(
                tmp_path / "a.db", behaviours={"work": work}, drain_s=0
            ) as supervisor:
                if waits:
                    await (await supervisor.spawn("a", "work")).accept("first")
                    await reached.wait()
                    [unfinished] = await supervisor.unfinished_runs()
                    chain = await supervisor.entries("a", chain=True)
                    assert [each.run_id for each in chain] == [unfinished.goes_on_after, unfinished.run_id]
                else:
                    await (await (await supervisor.find("a")).accept("third")).wait_outcome()
            waits.clear()
        assert calls == ["first", "second", "third"]

    run(main)


def test_a_behaviour_that_asks_to_go_on_and_returns_something_else_is_a_dead_letter() -> None:
    @tenure.asyncio.behaviour
    async def work(run: tenure.asyncio.Run) -> str:
        run.again("more")
        return "something else"

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(MEMORY, behaviours={"work": work}) as supervisor:
            outcome = await (await (await supervisor.spawn("a", "work")).accept(1)).wait_outcome()
            [letter] = await supervisor.dead_letters("a")
            assert (outcome.phase, letter.attempts) == ("abandoned", 1)
            assert "run.again" in (letter.error or "")

    run(main)
