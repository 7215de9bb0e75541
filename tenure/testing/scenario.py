"""What is done to a machine and what is asked of it afterwards; and the recording of a whole scenario."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Final, Protocol

import trio

from .drive.disk import Disk
from .drive.operations import Drive
from .drive.recording import Recording
from .history import (
    History,
    Witness,
)
from .machine import (
    Machine,
    Room,
    Start,
)

HANG_S: Final = 100_000.0
"""Virtual time after which a scenario or a check that waits for nothing is given up."""


class Scenario(Protocol):
    """Work on a machine. Says to the witness what it attempts and what it is promised."""

    def __call__(self, machine: Machine, witness: Witness, /) -> Awaitable[None]:
        """Do the work, from the first open on."""
        ...


class Check(Protocol):
    """Opens what a crash left and raises if anything promised is not so."""

    def __call__(self, machine: Machine, history: History, /) -> Awaitable[None]:
        """Check one image."""
        ...


async def record(scenario: Scenario, room: Room, *, seed: str, drive: Drive) -> tuple[Recording, Start]:
    """Run a scenario on an empty disk and record what it does.

    Returns:
        The recording, and when the scenario ended: machines that come of it start later, so that no clock goes back before
        a time that is stored.
    """
    disk = Disk(drive, recording=True)
    with Machine(disk, room=room, seed=seed) as machine:
        start, witness = disk.after_kill(), Witness(disk)
        with trio.fail_after(HANG_S):
            await scenario(machine, witness)
        recording = Recording(start=start, operations=tuple(disk.log or ()), events=tuple(witness.events))
        return recording, Start(wall_s=machine.wall_clock(), boot_s=machine.boot_clock())
