"""How a host closes when its body is cancelled."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import StoreBroken
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


async def test_a_verb_that_comes_between_the_end_of_the_store_and_that_of_the_body_is_told_of_the_store(
    database: Path,
) -> None:
    broken = trio.Event()

    async def checkpoint(run: tenure.Run) -> None:
        await broken.wait()
        await run.checkpoint()

    with pytest.raises(StoreBroken) as caught:  # noqa: PT012 - what leaves the whole of it
        async with host(database, {"kind": checkpoint}) as supervisor:
            runtime = await supervisor.spawn("alice", "kind")
            await runtime.accept(1)
            with trio.CancelScope(shield=True):
                await runtime.wait_state("running")
                supervisor.store.stop_in_doubt("a test pulled the plug")
                broken.set()
                await trio.testing.wait_all_tasks_blocked()  # the actor has ended
                with pytest.raises(StoreBroken) as told:
                    await runtime.destroy()
            assert not told.value.in_doubt

    assert "pulled the plug" in str(caught.value)
