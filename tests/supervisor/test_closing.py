"""How a host closes when its body is cancelled."""

from __future__ import annotations

from pathlib import Path

import trio
import trio.testing

from tests.supervisor.hosting import host, peek


async def sleep_for_ever(run: object) -> None:
    await trio.sleep_forever()


async def test_a_cancelled_host_closes_at_once_and_leaves_its_row_closed(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    began = 0.0
    with trio.CancelScope() as scope:
        async with host(database, {"kind": sleep_for_ever}) as supervisor:
            runtime = await supervisor.spawn("alice", "kind")
            await runtime.accept(1)
            await runtime.wait_state("running")
            began = trio.current_time()
            scope.cancel()
            await trio.sleep_forever()

    # The writer's own task is inside the scope too, and must outlive the closing.
    assert trio.current_time() == began
    assert peek(database, "SELECT count(*) FROM hosts WHERE closed_at IS NOT NULL") == [[1]]
