"""The proof of edits: every edit of every program at every place, however its run was stopped, by every way out."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Awaitable, Callable, Iterable, Iterator
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import TypeVar, final

import trio
import trio.testing
from attrs import field, frozen

from proof.seeded.cases import Broken, memory_folder
from tenure.testing.determinism import frozen_heap, seeded_scheduling, sigterm_interrupts

from .cases import HELD, Case, Recorded, cases, check, record
from .changes import edits
from .programs import PROGRAMS, work_of
from .world import STOPS

T = TypeVar("T")


@final
@frozen(kw_only=True, slots=True)
class Report:
    """What was checked.

    Attributes:
        recorded: How many runs were recorded and stopped.
        came: The results of cases, and how many.
        same: Cases that are one of these: they differ in the way out of a hold alone, and it was not held.
        broken: Cases that broke a promise, each with how.
    """

    recorded: int
    came: Counter[str] = field(factory=Counter[str])
    same: int = 0
    broken: tuple[tuple[str, str], ...] = ()

    @property
    def cases(self) -> int:
        """How many were asked for and are answered."""
        return self.came.total() + self.same + len(self.broken)


@final
@frozen(kw_only=True, slots=True)
class _Numbered:
    """A case, by numbers.

    Attributes:
        program: Of its first version.
        number: Its own, among those of its program.
        deploy: Of its run, edit and version, likewise; the order in which tasks go on follows from it.
        case: What happens.
    """

    program: str
    number: int
    deploy: int
    case: Case

    def __str__(self) -> str:
        return f"{self.program} {self.number}: {self.case}"


def prove(
    every: int = 1,
    first: int = 0,
    programs: tuple[str, ...] = tuple(PROGRAMS),
    only: Callable[[Case], bool] | None = None,
    most_broken: int = 20,
) -> Report:
    """Check every so-manieth case, from the one with this number on, or `only` some; end after so many that broke a promise."""
    *_, report = proved(every, first, programs, only, most_broken)
    return report


def proved(
    every: int = 1,
    first: int = 0,
    programs: tuple[str, ...] = tuple(PROGRAMS),
    only: Callable[[Case], bool] | None = None,
    most_broken: int = 20,
    shares: int = 1,
) -> Iterator[Report]:
    """`prove` in shares, each spread over all that is asked for: after each a report of it and of those before."""
    with tempfile.TemporaryDirectory(prefix="tenure-edits-", dir=memory_folder()) as folder:
        recorded = list(_recorded(Path(folder), programs))
        numbered = [each for each in _numbered(recorded) if only is None or only(each.case)][first::every]
        state = _Proof(folder=Path(folder), recorded=len(recorded))
        for share in range(shares):
            with frozen_heap(), sigterm_interrupts():
                state.check(numbered[share::shares], most_broken)
            yield state.report()
            if len(state.broken) >= most_broken:
                return


@final
@frozen(kw_only=True, slots=True)
class _Proof:
    """What a proof has found up to now.

    Attributes:
        folder: Where its files are.
        recorded: As in `Report`.
        came: As in `Report`.
        broken: Likewise.
        ended: Deploys after which a run was not held, so that a way out has nothing to do, and how often each was met again.
    """

    folder: Path
    recorded: int
    came: Counter[str] = field(factory=Counter[str])
    broken: list[tuple[str, str]] = field(factory=list[tuple[str, str]])
    ended: Counter[tuple[str, int]] = field(factory=Counter[tuple[str, int]])

    def check(self, numbered: Iterable[_Numbered], most_broken: int) -> None:
        for each in numbered:
            deploy = each.program, each.deploy
            if deploy in self.ended:
                self.ended[deploy] += 1
                continue
            try:
                came = self._came(each)
            except Broken as exc:
                self.broken.append((str(each), str(exc)))
                if len(self.broken) >= most_broken:
                    return
                continue
            self.came[came] += 1
            if not came.startswith(HELD):
                self.ended[deploy] = 0

    def _came(self, each: _Numbered) -> str:
        file = self.folder / "case"
        try:
            return _run(each.deploy, partial(check, each.case, file))
        finally:
            for left in self.folder.glob(f"{file.name}*"):
                shutil.rmtree(left) if left.is_dir() else left.unlink()

    def report(self) -> Report:
        return Report(
            recorded=self.recorded, came=Counter(self.came), same=self.ended.total(), broken=tuple(self.broken)
        )


def _recorded(folder: Path, programs: tuple[str, ...]) -> Iterator[tuple[str, Recorded]]:
    for name in programs:
        program = PROGRAMS[name]
        for how in STOPS:
            for stop_at in range(1, len([*work_of(program)]) + 2):
                home = folder / f"{name}-{how}-{stop_at}".replace(" ", "-")
                home.mkdir()
                found = _run(stop_at, partial(record, program, stop_at, how, home / "agents.db"))
                if found is not None:
                    yield name, found


def _numbered(recorded: Iterable[tuple[str, Recorded]]) -> Iterator[_Numbered]:
    numbers, deploys = Counter[str](), Counter[str]()
    for name, each in recorded:
        for _, of_deploy in groupby(cases(each, edits(each.program)), lambda case: (case.edit, case.version)):
            deploys[name] += 1
            for case in of_deploy:
                yield _Numbered(program=name, number=numbers[name], deploy=deploys[name], case=case)
                numbers[name] += 1


def _run(seed: int, function: Callable[[], Awaitable[T]]) -> T:
    with seeded_scheduling(seed):
        return trio.run(function, clock=trio.testing.MockClock(autojump_threshold=0))
