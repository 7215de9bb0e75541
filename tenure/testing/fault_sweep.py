"""The fault sweep: fail each operation of a scenario once, then check what a crash leaves.

Every run begins on an empty disk, or on what a crash in another scenario left. It may end with one
of the errors that the scenario declares; then the machine crashes in several ways and the check
opens what is left, with everything that had been said until then.
"""

from __future__ import annotations

import itertools
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import final

import trio
from attrs import field, frozen

from tenure.persistence.model.numbers import check_count

from .determinism import run_seeded
from .drive.disk import Disk
from .drive.faults import (
    Fault,
    FaultInjector,
    FaultKind,
)
from .drive.images import (
    Cut,
    crash,
)
from .drive.operations import Drive
from .drive.recording import Recording
from .history import (
    Event,
    History,
    Witness,
)
from .machine import (
    Machine,
    Room,
    Start,
)
from .scenario import (
    HANG_S,
    Check,
    Scenario,
    record,
)

CRASHES = (Cut.KILL, Cut.NOTHING, Cut.EVERYTHING, Cut.SUBSET, Cut.TORN)
"""How the machine crashes after each fault."""


@final
@frozen(kw_only=True, slots=True)
class FaultSweepReport:
    """What a fault sweep saw.

    Attributes:
        faults: How many faults of each kind were suffered, each in its own run.
        errors: The declared errors that runs ended with, by name; the other runs went on to their
            end.
        checks: How many crashes were checked.
    """

    faults: Mapping[FaultKind, int]
    errors: Mapping[str, int]
    checks: int

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {kind.value}" for kind, count in self.faults.items())
        errors = ", ".join(f"{count} {name}" for name, count in self.errors.items())
        return (
            f"{sum(self.faults.values())} faults ({kinds});"
            f" ended with {errors or 'no error'}; {self.checks} crashes checked"
        )


@final
class FaultFailure(AssertionError):
    """A fault after which a promise did not hold; the error of that is the cause.

    Attributes:
        fault: Which fault.
        cut: The crash that followed, or None where the run itself ended with an error that it did
            not declare.
    """

    def __init__(self, fault: Fault, cut: Cut | None, exc: Exception) -> None:
        after = "while it ran" if cut is None else f"after a crash ({cut.value})"
        super().__init__(f"{fault}: {after}: {type(exc).__name__}: {exc}")
        self.fault = fault
        self.cut = cut


@final
@frozen(kw_only=True, slots=True)
class FaultSweep:
    """A scenario, its check, and the faults to suffer. Raises `InvalidInput` for a count that is not a whole number from 1.

    Attributes:
        scenario: Runs once for each fault.
        check: Runs after each crash.
        over: Runs first, once and undisturbed. The runs then begin on disks that crashes at random points of it left, so that
            faults strike the recovery. None: each run begins on an empty disk.
        crashes: On how many such disks.
        errors: What the scenario may end with when the disk fails. `OSError` belongs here only if
            the code under test promises to let it through.
        kinds: The faults.
        every: Take every so-manieth operation only.
        first: The operation to begin with, from 1.
        times: How many operations in a row fail.
        seed: What everything drawn follows from.
        drive: The hardware.
    """

    scenario: Scenario
    check: Check
    over: Scenario | None = None
    crashes: int = 10
    errors: tuple[type[Exception], ...] = ()
    kinds: Sequence[FaultKind] = tuple(FaultKind)
    every: int = 1
    first: int = 1
    times: int = 1
    seed: int = 0
    drive: Drive = field(factory=Drive)

    def __attrs_post_init__(self) -> None:
        """Refuse a sweep that would strike nothing, or never end."""
        for name in ("crashes", "every", "first", "times"):
            check_count(getattr(self, name), name)

    def run(self) -> FaultSweepReport:
        """Suffer every fault, in its own `trio.run`.

        Raises:
            FaultFailure: At the first promise that was broken.
        """
        return run_seeded(self._prove, self.seed)

    async def _prove(self, room: Room) -> FaultSweepReport:
        faults: Counter[FaultKind] = Counter()
        errors: Counter[str] = Counter()
        checks = 0
        past = None if self.over is None else await record(self.over, room, seed=f"{self.seed}/past", drive=self.drive)
        for kind, number in itertools.product(self.kinds, range(1 if past is None else self.crashes)):
            beginning = self._empty() if past is None else _crash_in(*past, random.Random(f"{self.seed}/{number}"))
            fault = Fault(kind=kind, nth=self.first, times=self.times)
            while await self._suffer(fault, beginning, room, errors):
                faults[kind] += 1
                checks += len(CRASHES)
                fault = Fault(kind=kind, nth=fault.nth + self.every, times=self.times)
        return FaultSweepReport(faults=dict(faults), errors=dict(errors), checks=checks)

    def _empty(self) -> _Beginning:
        return _Beginning(disk=Disk(self.drive), events=(), start=Start())

    async def _suffer(self, fault: Fault, beginning: _Beginning, room: Room, errors: Counter[str]) -> bool:
        """Whether there was such an operation."""
        disk = beginning.disk.after_kill()
        disk.faults = injector = FaultInjector(fault)
        witness = Witness(disk, beginning.events)
        with Machine(disk, room=room, seed=f"{self.seed}/{fault}", start=beginning.start) as machine:
            try:
                with trio.fail_after(HANG_S):
                    await self.scenario(machine, witness)
            except self.errors as exc:
                errors[type(exc).__name__] += 1
            except Exception as exc:
                raise FaultFailure(fault, None, exc) from exc
            disk.faults = None
            if not injector.struck:
                return False
            for cut in CRASHES:
                await self._check(machine.crashed(cut), History(witness.events), fault, cut)
        return True

    async def _check(self, machine: Machine, history: History, fault: Fault, cut: Cut) -> None:
        try:
            with machine, trio.fail_after(HANG_S):
                await self.check(machine, history)
        except Exception as exc:
            raise FaultFailure(fault, cut, exc) from exc


@final
@frozen(kw_only=True, slots=True)
class _Beginning:
    """What each run of the scenario begins on: a disk, what had been said until then, and when the machine starts."""

    disk: Disk
    events: tuple[Event, ...]
    start: Start


def _crash_in(past: Recording, end: Start, source: random.Random) -> _Beginning:
    """What a crash at a random point of the recording left."""
    cut, after = source.choice(CRASHES), source.randrange(len(past.operations) + 1)
    cursor = past.cursor()
    cursor.advance(after)
    start = end.after(cut, end.wall_s, end.boot_s)
    return _Beginning(disk=crash(cursor.disk, cut, source), events=past.history(after).events, start=start)
