"""A computer made of a disk: what a scenario runs on, and what a crash leaves of it."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Final, final

import attrs
import trio
from attrs import frozen

from tenure.persistence.engines.sqlite.options import SqliteOptions
from tenure.persistence.seams.executors import InlineExecutor
from tenure.persistence.seams.identity import HostIdentity
from tenure.persistence.seams.seams import Seams

from .drive.disk import Disk
from .drive.images import (
    Cut,
    crash,
)
from .drive.memory_seams import (
    MemoryFiles,
    MemoryLocks,
)
from .drive.mounts import Mounts
from .drive.recording import Recording
from .observing import Seen

FIRST_START_S = 1_722_470_400.0
"""Unix time at which the first machine of a simulation starts: 2024-08-01."""


@final
@frozen(kw_only=True, slots=True)
class Room:
    """What all machines of one simulation share.

    Attributes:
        mounts: Where their disks stand.
        vfs_name: The SQLite VFS that reaches them.
    """

    mounts: Mounts
    vfs_name: str


@final
@frozen(kw_only=True, slots=True)
class Start:
    """When and how often a machine was started.

    Attributes:
        boot: Counts power cuts: another boot id.
        process: Counts crashes of any kind: another process.
        wall_s: Unix time at the start.
        boot_s: The boot clock at the start.
    """

    boot: int = 1
    process: int = 1
    wall_s: float = FIRST_START_S
    boot_s: float = 100.0

    def after(self, cut: Cut, wall_s: float, boot_s: float) -> Start:
        """The next start, a second after a crash at these times; a kill leaves the machine booted."""
        killed = cut is Cut.KILL
        return Start(
            boot=self.boot + (not killed),
            process=self.process + 1,
            wall_s=wall_s + 1,
            boot_s=boot_s + 1 if killed else Start().boot_s,
        )


WAL_PAGES: Final = SqliteOptions().wal_pages
"""Pages in the log after which a store checkpoints, where none are asked for."""


@final
class Machine:
    """One process on one computer, with its disk.

    A context manager: at its end it is gone, with the machines that came of it.

    Attributes:
        disk: Its disk.
        seed: What its randomness follows from.
        start: When it was started.
        random: Randomness for the programs that run on it.
        locks: The locks that its processes hold.
    """

    def __init__(
        self, disk: Disk, *, room: Room, seed: str, start: Start | None = None, memory: Path | None = None
    ) -> None:
        """Put a machine around a disk, inside `trio.run`: its clocks go with trio's.

        `memory` is a real folder for what connections to one database share, where a store is to have several, or neighbours.
        """
        self._one_connection = memory is None
        self.disk = disk
        self.seed = seed
        self.start = Start() if start is None else start
        self.random = random.Random(seed)
        self.locks = MemoryLocks()
        self._room = room
        self._root = room.mounts.mount(disk, memory)
        self._trio_start_s = trio.current_time()
        self._later: list[Machine] = []

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *_: object) -> None:
        self._room.mounts.unmount(self._root)
        for machine in self._later:
            machine.__exit__()

    @property
    def vfs_name(self) -> str:
        """The SQLite VFS for this machine's paths; it needs ``locking_mode=EXCLUSIVE`` for WAL."""
        return self._room.vfs_name

    def path(self, name: str = "agents.db") -> str:
        """The path of a file on this machine's disk."""
        return f"{self._root}/{name}"

    def wall_clock(self) -> float:
        """Unix time: it goes with trio's clock and never goes back over a crash."""
        return self.start.wall_s + trio.current_time() - self._trio_start_s

    def boot_clock(self) -> float:
        """Seconds since this machine booted."""
        return self.start.boot_s + trio.current_time() - self._trio_start_s

    @property
    def files(self) -> MemoryFiles:
        """The files outside SQLite, on this machine's disk."""
        return MemoryFiles(self._room.mounts)

    def seams(self, *, wal_pages: int = WAL_PAGES) -> Seams:
        """What a store takes to live here: inline executors, everything seeded; one connection where there is no memory.

        With half of all seeds it keeps the rows of every group for a while, as it does with those of many commits.
        """
        return Seams(
            writer_executor=InlineExecutor,
            reader_executor=InlineExecutor,
            step_executor=InlineExecutor,
            wall_clock=self.wall_clock,
            boot_clock=self.boot_clock,
            random=self.random,
            engine=SqliteOptions(
                vfs=self.vfs_name,
                one_connection=self._one_connection,
                wal_pages=wal_pages,
                keep_from=random.Random(f"{self.seed} rows").choice((1, SqliteOptions().keep_from)),
                files=self.files,
                locks=self.locks,
            ),
            observer=Seen(),
            identity=HostIdentity(
                host_name="machine",
                boot_id=f"boot-{self.start.boot}",
                pid=1_000 + self.start.process,
                process_start=str(self.start.process),
            ),
        )

    def crashed(self, cut: Cut, *, at: Disk | None = None) -> Machine:
        """The machine after a crash of this one, started anew; this one runs on, with its disk.

        Args:
            cut: A kill, or the power cut that leaves this of the unsynced.
            at: The disk at the moment of the crash; None means now.
        """
        later = Machine(
            crash(self.disk if at is None else at, cut, self.random),
            room=self._room,
            seed=f"{self.seed}/{len(self._later) + 1}",
            start=self.start.after(cut, self.wall_clock(), self.boot_clock()),
        )
        self._later.append(later)
        return later

    def restart_process(self) -> None:
        """Its process was killed and another one begins, on the disk as it is; its locks are free."""
        self.start = attrs.evolve(self.start, process=self.start.process + 1)
        self.locks = MemoryLocks()

    def record(self) -> Disk:
        """Begin to record what is done to the disk; returns it as it is now, for `recording`."""
        self.disk.log = []
        return self.disk.after_kill()

    def recording(self, start: Disk) -> Recording:
        """What was done to the disk since `record`, which returned `start`."""
        return Recording(start=start, operations=tuple(self.disk.log or ()), events=())
