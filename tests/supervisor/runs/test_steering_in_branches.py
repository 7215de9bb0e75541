"""What steers a run and is taken in a branch of it: the run's where the branch wins, and not lost where it loses."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
from tests.kit.alone import OpenHost

QUICK = tenure.RestartPolicy(max_attempts=3, backoff_s=1.0)


@pytest.mark.parametrize("fails", ["", "fails"])
async def test_what_the_loser_of_a_first_has_taken_is_there_for_the_run(
    autojump_clock: MockClock, open_host: OpenHost, fails: str
) -> None:
    seen: list[tuple[str, list[object]]] = []

    async def act(run: tenure.Run) -> str:
        if run.inputs[0].payload != "task":
            return "later"
        await run.sleep(5, steerable=True)

        async def takes() -> None:
            seen.append(("loser", [each.payload for each in run.steered()]))
            await run.gather(trio.sleep_forever)

        async def wins() -> None:
            await trio.sleep(1)

        await run.first(takes, lambda: run.first(takes, wins))
        await run.step("after", str, repeat="freely")
        if fails and not run.attempts:
            raise ConnectionError("of a test")
        seen.append(("run", [each.payload for each in run.steered()]))
        return "task"

    async with open_host({"k": tenure.Behaviour(act, restart=QUICK)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept("task")
        await trio.sleep(1)
        word = await runtime.accept("word", lane="steer")
        assert (await ticket.wait_outcome()).result == "task"
        assert (await word.wait_outcome()).result == "task"
    assert ("run", ["word"]) in seen


async def test_what_a_winner_and_branches_of_a_gather_take_is_handed_out(
    autojump_clock: MockClock, open_host: OpenHost
) -> None:
    async def act(run: tenure.Run) -> str:
        if run.inputs[0].payload != "task":
            return "later"
        await run.sleep(5, steerable=True)

        async def takes() -> int:
            await trio.lowlevel.checkpoint()
            return len(run.steered())

        async def inside() -> tuple[int, ...]:
            return await run.gather(takes)

        return str([await run.first(inside), await run.gather(takes)])

    async with open_host({"k": tenure.Behaviour(act, restart=QUICK)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept("task")
        await trio.sleep(1)
        word = await runtime.accept("word", lane="steer")
        assert (await ticket.wait_outcome()).result == (await word.wait_outcome()).result == "[(1,), (0,)]"


Branch = Callable[[tenure.Run, str, float], Coroutine[Any, Any, None]]


class Seen:
    """What each entering has seen, by who has taken it."""

    def __init__(self) -> None:
        self.enterings: list[list[tuple[str, list[object]]]] = []

    async def take(self, run: tenure.Run, name: str, after_s: float) -> None:
        """After a while; and ask for something that is recorded then."""
        await trio.sleep(after_s)
        self.enterings[-1].append((name, [each.payload for each in run.steered()]))
        await run.step(f"of {name}", str, repeat="freely")


async def both(run: tenure.Run, take: Branch, order: float) -> None:
    await run.gather(lambda: take(run, "one", order), lambda: take(run, "two", 5 - order))


async def one_within_another(run: tenure.Run, take: Branch, order: float) -> None:
    async def inner() -> None:
        await run.gather(lambda: take(run, "inner", order))
        await take(run, "after", 0)

    await run.gather(inner, lambda: take(run, "two", 5 - order))


async def a_loser_beside_another(run: tenure.Run, take: Branch, order: float) -> None:
    async def loses() -> None:
        await take(run, "loser", 0)
        await trio.sleep_forever()

    async def wins() -> None:
        await trio.sleep(2)

    async def races() -> None:
        await run.first(loses, wins)
        await take(run, "after", 1)

    await run.gather(races, lambda: take(run, "two", 4 - order / 5))


async def one_that_is_cut_off(run: tenure.Run, take: Branch, order: float) -> None:
    async def takes() -> None:
        await take(run, "cut off", order)
        await trio.sleep_forever()

    async with run.move_on_after(7):
        await run.gather(takes)


@pytest.mark.parametrize("version", ["", "1"])
@pytest.mark.parametrize("branches", [both, one_within_another, a_loser_beside_another, one_that_is_cut_off])
async def test_a_branch_takes_where_its_run_enters_again_what_it_has_taken(
    autojump_clock: MockClock, open_host: OpenHost, branches: Any, version: str
) -> None:
    seen = Seen()

    async def act(run: tenure.Run) -> str:
        if run.inputs[0].payload != "task":
            return "later"
        seen.enterings.append([])
        await run.sleep(5, steerable=True)
        await branches(run, seen.take, 0 if not run.attempts else 5)
        seen.enterings[-1].append(("run", [each.payload for each in run.steered()]))
        await run.step("after", str, repeat="freely")
        if run.attempts < 2:
            raise ConnectionError("of a test")
        return "task"

    async with open_host({"k": tenure.Behaviour(act, restart=QUICK, version=version)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept("task")
        await trio.sleep(1)
        word = await runtime.accept("word", lane="steer")
        with trio.fail_after(1_000):
            assert (await ticket.wait_outcome()).result == "task"
            assert (await word.wait_outcome()).result == "task"
    first, *later = [dict(each) for each in seen.enterings]
    assert len(later) == 2
    assert all({**first, **each} == first for each in later), seen.enterings
    assert sum(taken.count("word") for name, taken in first.items() if name not in ("loser", "cut off")) == 1
