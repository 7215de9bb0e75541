"""The proof of edits: every edit of every program at every place, however its run was stopped, by every way out."""

from __future__ import annotations

import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import final

import trio
import trio.testing
from attrs import field, frozen

from proof.seeded import Broken

from .cases import Case, Recorded, cases, check, record
from .changes import edits
from .programs import PROGRAMS, work_of
from .world import STOPS


@final
@frozen(kw_only=True, slots=True)
class Report:
    """What was checked.

    Attributes:
        recorded: How many runs were recorded and stopped.
        came: The results of cases, and how many.
        broken: Cases that broke a promise, each with how.
    """

    recorded: int
    came: Counter[str] = field(factory=Counter[str])
    broken: tuple[tuple[str, str], ...] = ()


def prove(
    every: int = 1,
    first: int = 0,
    programs: tuple[str, ...] = tuple(PROGRAMS),
    only: Callable[[Case], bool] | None = None,
    most_broken: int = 20,
) -> Report:
    """Check every so-manieth case, from the one with this number on, or `only` some; end after so many that broke a promise."""
    came: Counter[str] = Counter()
    broken: list[tuple[str, str]] = []
    with tempfile.TemporaryDirectory(prefix="tenure-edits-") as folder:
        recorded = list(_recorded(Path(folder), programs))
        every_case = [
            (name, case)
            for name, each in recorded
            for case in cases(each, edits(each.program))
            if only is None or only(case)
        ]
        for number, (name, case) in enumerate(every_case[first::every]):
            file = Path(folder) / f"case-{number}"
            try:
                came[_run(case, file)] += 1
            except Broken as exc:
                broken.append((f"{name}: {case}", str(exc)))
                if len(broken) >= most_broken:
                    break
            for each in Path(folder).glob(f"{file.name}*"):
                shutil.rmtree(each) if each.is_dir() else each.unlink()
    return Report(recorded=len(recorded), came=came, broken=tuple(broken))


def _recorded(folder: Path, programs: tuple[str, ...]) -> Iterator[tuple[str, Recorded]]:
    for name in programs:
        program = PROGRAMS[name]
        for how in STOPS:
            for stop_at in range(1, len([*work_of(program)]) + 2):
                home = folder / f"{name}-{how}-{stop_at}".replace(" ", "-")
                home.mkdir()
                found = trio.run(record, program, stop_at, how, home / "agents.db", clock=_clock())
                if found is not None:
                    yield name, found


def _run(case: Case, file: Path) -> str:
    return trio.run(check, case, file, clock=_clock())


def _clock() -> trio.testing.MockClock:
    return trio.testing.MockClock(autojump_threshold=0)
