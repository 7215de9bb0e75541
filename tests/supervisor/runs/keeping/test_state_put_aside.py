"""A state is set while its runtime is put aside: by its owner, or by none."""

from __future__ import annotations

from pathlib import Path

import trio

import tenure


async def sleep_often(run: tenure.Run) -> None:
    for _ in range(30):
        await run.sleep(0.01)


async def test_a_state_is_set_whether_its_runtime_is_put_aside_or_comes_back(database: Path) -> None:
    behaviours = {"k": tenure.Behaviour(sleep_often, aside_after_s=0)}
    async with tenure.open_supervisor(database, behaviours=behaviours) as supervisor:
        ticket = await supervisor.accept("a", 1, kind="k")
        last = [0] * 4

        async def set_often(place: int) -> None:
            while True:
                await supervisor.set_execution_state("a", {f"{place}": last[place] + 1})
                last[place] += 1
                await trio.sleep(0.001)

        async with trio.open_nursery() as nursery:  # owned by this test
            for place in range(4):
                nursery.start_soon(set_often, place)
            with trio.fail_after(60):
                assert (await ticket.wait_outcome()).phase == "consumed"
            nursery.cancel_scope.cancel()
        stored = (await supervisor.execution_state("a")).values
        assert all(stored[f"{place}"] in (each, each + 1) for place, each in enumerate(last))
