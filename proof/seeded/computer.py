"""A computer on which several hosts live at once, on one disk in memory: each may die, freeze or end while the others live on.

All of them are tasks of one process on virtual time. What a host does to the disk, it does in calls of its executors, so that
the disk knows whose operation comes next. From its death on, none of a host's operations reaches the disk, in the middle of a
transaction too, its locks are free, and its tasks are cancelled: that is what a SIGKILL leaves. Where the power is cut they all
die, and the computer begins again on what the cut has left of the disk.
"""

from __future__ import annotations

import errno
import random
from collections.abc import Awaitable, Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeVar, final

import trio
from attrs import evolve

import tenure
from tenure.persistence.engines.sqlite.options import SqliteOptions
from tenure.persistence.seams.executors import Heard
from tenure.testing.drive.disk import Disk
from tenure.testing.drive.images import Cut, crash
from tenure.testing.drive.mounts import Mounts
from tenure.testing.drive.operations import Operation
from tenure.testing.drive.recording_vfs import RecordingVfs
from tenure.testing.machine import Machine, Room, Start
from tenure.testing.observing import seen

from .mortal import MortalLocks

T = TypeVar("T")

CUTS: Final = (Cut.NOTHING, Cut.EVERYTHING, Cut.ENTRIES, Cut.PREFIX, Cut.SUBSET, Cut.TORN, Cut.TORN)
"""What a power cut leaves of what was not synced."""


@final
class Computer:
    """One computer.

    Attributes:
        hosts: Those that live on it, frozen ones too.
        cuts: How often its power was cut.
    """

    def __init__(self, seed: int, memory: Path, room: Room) -> None:
        """Without a file yet. `memory` is a real folder for what the hosts share in memory."""
        self.hosts: list[Host] = []
        self.cuts = 0
        self._seed = seed
        self._memory = memory
        self._room = room
        self._random = random.Random(f"{seed}/computer")
        self._acting: Host | None = None
        self.machine = self._start(Disk(), Start())

    def cut_power(self) -> None:
        """All hosts die; the computer starts on what is left."""
        self.cuts += 1
        before, cut = self.machine, self._random.choice(CUTS)
        start = before.start.after(cut, before.wall_clock(), before.boot_clock())
        self.machine = self._start(crash(before.disk, cut, self._random), start)
        for host in list(self.hosts):
            host.die()

    def end(self) -> None:
        """It is gone."""
        self.machine.__exit__()

    @contextmanager
    def acts(self, host: Host) -> Generator[None]:
        """What is done to a disk now, this host does."""
        before, self._acting = self._acting, host
        try:
            yield
        finally:
            self._acting = before

    def _start(self, disk: Disk, start: Start) -> Machine:
        disk.faults = self
        return Machine(disk, room=self._room, seed=f"{self._seed}/{self.cuts}", start=start, memory=self._memory)

    # What a disk asks

    def before_read(self) -> int | None:
        """See `Faults.before_read`."""
        return self._refused()

    def before_write(self, _size: int) -> tuple[int, int] | None:
        """See `Faults.before_write`."""
        refused = self._operation()
        return None if refused is None else (refused, 0)

    def before_sync(self, sectors: tuple[int, ...]) -> tuple[int, tuple[int, ...]] | None:
        """See `Faults.before_sync`."""
        refused = self._operation()
        return None if refused is None else (refused, (0,) * len(sectors))

    def before(self, _operation: type[Operation]) -> int | None:
        """See `Faults.before`."""
        return self._operation()

    def _operation(self) -> int | None:
        if self._acting is not None:
            self._acting.count()
        return self._refused()

    def _refused(self) -> int | None:
        return errno.EIO if self._acting is None or self._acting.dead else None


@final
class Host:
    """One process on a computer.

    Attributes:
        name: Which.
        dead: Whether it has died.
        supervisor: Its supervisor, once it is open.
        over: Set when it answers nothing more.
    """

    def __init__(self, name: str, computer: Computer, seed: int, number: int) -> None:
        """A process that lives."""
        self.name = name
        self.dead = False
        self.supervisor: tenure.Supervisor | None = None
        self.over = trio.Event()
        self._computer = computer
        self._machine = computer.machine
        self._number = number
        self._random = random.Random(f"{seed}/host {name}")
        self._locks = MortalLocks(self._machine.locks)
        self._thawed = trio.Event()
        self._thawed.set()
        self._scope = trio.CancelScope()
        self._left: int | None = None
        self._on_count: Callable[[], None] = self.die
        computer.hosts.append(self)

    @property
    def lives(self) -> bool:
        """Whether it is open and answers."""
        return self.supervisor is not None and not self.over.is_set()

    # What becomes of it

    def after(self, operations: int, act: Callable[[], None]) -> None:
        """Do this before its so-manieth operation on the disk from now on."""
        self._left, self._on_count = operations, act

    def count(self) -> None:
        """It is about to do an operation on the disk."""
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                self._left = None
                self._on_count()

    def die(self) -> None:
        """Die now."""
        if not self.dead:
            self.dead = True
            self._locks.die()
            self.over.set()
            self._thawed.set()
            self._scope.cancel()

    def freeze(self) -> None:
        """Begin nothing any more, until `thaw`."""
        if not self.dead:
            self._thawed = trio.Event()

    def thaw(self) -> None:
        """Go on."""
        self._thawed.set()

    async def live(
        self,
        behaviours: Mapping[str, list[tenure.Behaviour]],
        limits: tenure.Limits,
        drain_s: float,
        use: Callable[[tenure.Supervisor], Awaitable[None]],
    ) -> None:
        """Live until `use` has returned, or until it dies. Raises what it fails with."""
        try:
            with self._scope:
                async with tenure.open_supervisor(
                    self._machine.path(), behaviours=behaviours, limits=limits, seams=self._seams(), drain_s=drain_s
                ) as supervisor:
                    self.supervisor = supervisor
                    await use(supervisor)
        except Exception:
            if not self.dead:  # else nobody hears it
                raise
        finally:
            self.over.set()
            self._computer.hosts.remove(self)

    def _seams(self) -> tenure.Seams:
        seams = seen(self._machine.seams())
        identity = evolve(seams.identity, pid=self._number, process_start=str(self._number))
        return evolve(
            seams,
            writer_executor=lambda: _Executor(self),
            reader_executor=lambda: _Executor(self),
            step_executor=lambda: _Executor(self),
            random=self._random,
            identity=identity,
            engine=SqliteOptions(vfs=self._machine.vfs_name, files=self._machine.files, locks=self._locks),
        )

    def files(self) -> Iterator[tuple[str, bytes]]:
        """All files of its disk, and what they hold."""
        disk = self._machine.disk
        for name in disk.entries():
            file = None if disk.is_folder(name) else disk.find(name)
            if file is not None:
                yield name, bytes(file.visible)

    async def accept(self, runtime_id: str, payload: str, kind: str) -> None:
        """Give it an input, under its payload as key."""
        if self.supervisor is None:
            raise RuntimeError("the host is not open yet")
        await self.supervisor.accept(runtime_id, payload, kind=kind, idempotency_key=payload)

    async def call(self, function: Callable[[], T]) -> T:
        """Do what one of its executors was given."""
        await trio.lowlevel.checkpoint()
        while not self._thawed.is_set():
            await self._thawed.wait()
        with self._computer.acts(self):
            return function()


@final
class _Executor:
    """Runs each function inline, as its host's."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def run(self, function: Callable[[], T], heard: Heard[T] | None = None, /) -> T:
        found = await self._host.call(function)
        if heard is not None:
            heard(found)
        return found

    def close(self) -> None:
        """Nothing to close."""


@contextmanager
def computer(seed: int, memory: Path) -> Generator[Computer]:
    """A new computer, inside `trio.run`."""
    mounts = Mounts()
    with RecordingVfs(mounts) as vfs:
        made = Computer(seed, memory, Room(mounts=mounts, vfs_name=vfs.vfs_name))
        try:
            yield made
        finally:
            made.end()
