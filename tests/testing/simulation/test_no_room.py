"""A disk that is full, or a file that is locked, under a run: it keeps its result in hand, waits, and no attempt is counted."""

from __future__ import annotations

import errno
from typing import Any

import pytest
import trio

import tenure
from tenure.errors import DiskFull
from tenure.testing import Machine
from tenure.testing.determinism import run_seeded
from tenure.testing.drive.disk import Disk
from tenure.testing.drive.operations import Operation
from tenure.testing.machine import Room

FULL_S = 30.0


class SmallDisk:
    """Refuses every write while it is full."""

    def __init__(self) -> None:
        self.full = False
        self.refused = 0

    def before_write(self, size: int) -> tuple[int, int] | None:
        self.refused += self.full
        return (errno.ENOSPC, 0) if self.full else None

    def before_read(self) -> int | None:
        return None

    def before_sync(self, sectors: tuple[int, ...]) -> tuple[int, tuple[int, ...]] | None:
        return None

    def before(self, operation: type[Operation]) -> int | None:
        return None


@pytest.mark.parametrize("where", ["step", "dispatch", "checkpoint", "end", "failure", "sleep"])
def test_a_run_waits_for_room_and_counts_no_attempt(where: str) -> None:
    seen: dict[str, Any] = {}

    async def main(room: Room) -> None:
        disk = Disk()
        disk.faults = small = SmallDisk()
        calls: list[str] = []

        async def work() -> str:
            calls.append("work")
            small.full = small.full or where == "step"
            return "done"

        async def behaviour(run: tenure.Run) -> None:
            small.full = small.full or (where == "dispatch" and not calls)
            result = await run.step("work", work, repeat="never")
            run.session.append(result)
            small.full = small.full or where == "checkpoint"
            await run.checkpoint()
            small.full = small.full or where == "sleep"
            await run.sleep(1)
            if where == "failure" and not run.attempts:
                small.full = True
                raise ValueError("once")
            small.full = small.full or where == "end"

        with Machine(disk, room=room, seed=where) as machine:
            async with tenure.open_supervisor(
                machine.path(), behaviours={"kind": behaviour}, seams=machine.seams()
            ) as supervisor:
                runtime = await supervisor.spawn("alice", "kind")
                ticket = await runtime.accept("go")
                while not small.refused:  # noqa: ASYNC110 - a disk has no event
                    await trio.sleep(0.1)
                with pytest.raises(DiskFull):
                    await runtime.accept("more")
                with pytest.raises(DiskFull):
                    await runtime.retire()
                await trio.sleep(FULL_S)
                seen["meanwhile"] = ticket.outcome
                small.full = False
                seen["outcome"] = await ticket.wait_outcome()
                seen["session"] = await supervisor.read_session("alice")
                seen["state"] = runtime.state
                seen["calls"] = calls
                found = await supervisor.store.read(
                    lambda statements: statements.one("inputs.outcome", runtime_id="alice", input_id=ticket.input_id)
                )
                seen["attempts"] = found[3] if found else None

    run_seeded(main, 0)

    assert seen["meanwhile"] is None
    assert seen["outcome"].phase == "consumed"
    assert (seen["session"], seen["calls"], seen["state"]) == (["done"], ["work"], "attached")
    assert seen["attempts"] == (1 if where == "failure" else 0)
