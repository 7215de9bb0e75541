"""Results that are read as they are reached: damage to one is found there, and is no fault of the behaviour."""

from __future__ import annotations

from pathlib import Path

import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import tenure
from tests.kit.alone import OpenHost
from tests.kit.past import write_past

LONG = 2_000


async def test_a_damaged_result_holds_the_run_where_it_is_reached_also_where_the_behaviour_swallows_it(
    autojump_clock: MockClock, open_host: OpenHost, tmp_path: Path
) -> None:
    reached: list[str] = []

    def answer(word: str) -> str:
        return word * LONG

    async def behaviour(run: tenure.Run) -> None:
        for word in "abc":
            try:
                reached.append((await run.step("ask", answer, word, repeat="freely"))[0])
            except Exception:  # noqa: BLE001 - as a behaviour might
                return
        if entering:
            await trio.sleep_forever()

    entering = True
    with trio.CancelScope() as scope:
        async with open_host({"k": behaviour}) as supervisor:
            await (await supervisor.spawn("a", "k")).accept(1)
            await wait_all_tasks_blocked()
            scope.cancel()
            await trio.sleep_forever()
    entering = False
    reached.clear()
    write_past(tmp_path / "agents.db", "UPDATE entries SET result = ? WHERE place = 'main/2'", bytes(2002))
    async with open_host({"k": behaviour}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        assert await runtime.wait_held() == "needs attention"
        assert "what the run recorded cannot be read" in (runtime.held_detail or "")
    assert reached == []
