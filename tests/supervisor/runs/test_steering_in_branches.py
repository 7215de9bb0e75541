"""What steers a run and is taken in a branch of it: the run's where the branch wins, and not lost where it loses."""

from __future__ import annotations

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
