"""A disk that fails while a host opens is a typed error, whatever operation it strikes."""

from __future__ import annotations

import errno
from contextlib import AbstractAsyncContextManager

import pytest
import trio

import tenure
from tenure.errors import CannotOpen, DiskFull, Error, StoreBroken
from tenure.testing import Cut, Machine
from tenure.testing.determinism import run_seeded
from tenure.testing.drive.disk import Disk
from tenure.testing.drive.operations import Operation
from tenure.testing.machine import Room
from tests.kit.shares import share


class Strike:
    """Fails one operation; a disk that is full fails no read."""

    def __init__(self, at: int, code: int) -> None:
        self.left, self.code = at, code

    def before_write(self, size: int) -> tuple[int, int] | None:
        return (self.code, 0) if self._strikes() else None

    def before_read(self) -> int | None:
        return self.code if self.code != errno.ENOSPC and self._strikes() else None

    def before_sync(self, sectors: tuple[int, ...]) -> tuple[int, tuple[int, ...]] | None:
        return (self.code, (0,) * len(sectors)) if self._strikes() else None

    def before(self, operation: type[Operation]) -> int | None:
        return self.code if self._strikes() else None

    def _strikes(self) -> bool:
        self.left -= 1
        return self.left == 0


async def leave_a_log(machine: Machine) -> None:
    """A database and a log, as a kill leaves them."""
    async with tenure.open_supervisor(machine.path(), behaviours={}, seams=machine.seams()):
        pass


@pytest.mark.slow
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
@pytest.mark.parametrize("first", [True, False])
def test_a_disk_that_fails_at_any_operation_of_opening_is_a_typed_error(code: int, *, first: bool) -> None:
    met: set[type[Error]] = set()

    async def main(room: Room) -> None:
        for at in share(range(1, 500), 6):
            disk = Disk()
            with Machine(disk, room=room, seed=f"{at}") as machine:
                if not first:
                    await leave_a_log(machine)
                disk.faults = strike = Strike(at, code)
                try:
                    async with tenure.open_supervisor(machine.path(), behaviours={}, seams=machine.seams()):
                        disk.faults = None
                except (StoreBroken, DiskFull, CannotOpen) as exc:
                    met.add(type(exc))
                if strike.left > 0:
                    return

    run_seeded(main, 0)

    assert (StoreBroken if code == errno.EIO else DiskFull) in met


async def wait_for_ever(run: tenure.Run) -> None:
    await trio.sleep_forever()


@pytest.mark.slow
@pytest.mark.parametrize("code", [errno.EIO, errno.ENOSPC])
def test_a_disk_that_fails_while_runtimes_are_taken_over_is_a_typed_error(code: int) -> None:
    met: set[type[Error]] = set()

    async def main(room: Room) -> None:
        # Few operations write, and not each of those ends the opening: of a full disk every one is tried.
        for at in share(range(1, 60), 8 if code == errno.EIO else 1):
            disk = Disk()
            with Machine(disk, room=room, seed=f"{at}") as machine:
                async with open_waiting(machine) as supervisor:
                    for number in range(5):
                        await (await supervisor.spawn(f"agent-{number}", "waiting")).accept({})
                later = machine.crashed(Cut.KILL)
                later.disk.faults = strike = Strike(at, code)
                try:
                    async with open_waiting(later):
                        later.disk.faults = None
                except (StoreBroken, DiskFull, CannotOpen) as exc:
                    met.add(type(exc))
                if strike.left > 0:
                    return

    run_seeded(main, 0)

    assert (StoreBroken if code == errno.EIO else DiskFull) in met


def open_waiting(machine: Machine) -> AbstractAsyncContextManager[tenure.Supervisor]:
    return tenure.open_supervisor(
        machine.path(), behaviours={"waiting": wait_for_ever}, seams=machine.seams(), drain_s=0
    )
