"""Kills real hosts with a household: ``python -m proof.household.kills --kills 100``.

A child hosts agents that spawn, ask, wait, are put aside, on hold, erased, and say what they do (`proof.household`), on a real
file, and is killed by SIGKILL at a random moment or at a named point. The next one goes on. After each kill no file has a
secret of which the child had heard that it is gone; the last child, which is not killed, brings everything to its end and
compares it with all that was ever said.
"""

from __future__ import annotations

import json
import random
import signal
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, final

from attrs import field, frozen

from proof.killed.killing import expect, kill, live

from .agents import KEEPER, told

HOST: Final = "proof.household.host"

POINTS: Final = ("random", "begin", "write", "commit", "committed", "checkpoint", "close", "step", "say")
"""Where a host may be killed; see `proof.killed.host.POINTS`."""

TASKS: Final = 3
"""New tasks that each life is to give."""

PASSES: Final = {"checkpoint": 0, "close": 0, "step": 3, "say": 15}
"""Mean passes of a point before a death, where it is not `MANY`."""

MANY: Final = 60
RANDOM_S: Final = (0.0, 1.5)


@final
@frozen(slots=True)
class Said:
    """What hosts have said, over all lives: a subject and a value each."""

    lines: list[tuple[str, Any]] = field(factory=list[tuple[str, Any]])

    def hear(self, kind: str, facts: list[Any]) -> None:
        """Take in one line."""
        self.lines.append((kind, facts[0] if facts else None))

    def of(self, subject: str) -> list[Any]:
        """The values of a subject."""
        return [value for each, value in self.lines if each == subject]


def run(
    kills: int, seed: int, folder: Path, heard: Callable[[int], None] = lambda _: None, points: Sequence[str] = POINTS
) -> str:
    """Kill so many hosts, one after another, on one database in the folder; what was done, in a line.

    Raises:
        PromiseNotKept: Something was lost, doubled or stuck, or a secret was not gone.
    """
    source, said, died = random.Random(seed), Said(), Counter[str]()
    life = 0
    while died.total() < kills:
        life += 1
        point = points[life % len(points)]
        mean = PASSES.get(point, MANY)
        plan = _plan(said, folder, life, point, 1 + int(mean and source.expovariate(1 / mean)))
        code = live(HOST, said.hear, plan, folder, source.uniform(*RANDOM_S) if point == "random" else None)
        expect(code in (0, -signal.SIGKILL), f"life {life}, to die at {point}, ended with {code}: {_errors(folder)}")
        _look_for_secrets(said, folder)
        if code:
            died[point] += 1
            heard(died.total())
    code = live(HOST, said.hear, _plan(said, folder, life + 1, "none", 0), folder, None)
    expect(code == 0 and bool(said.of("compared")), f"the last host ended with {code}: {_errors(folder)}")
    _look_for_secrets(said, folder)
    deaths = ", ".join(f"{count} at {point}" for point, count in sorted(died.items()))
    return (
        f"{died.total()} kills ({deaths}); {len({*said.of('task')})} tasks, {len(said.of('worked'))} times worked,"
        f" {len(said.of('heard'))} entries heard, {len({*said.of('gone')})} erased; nothing lost, doubled or stuck"
    )


def _plan(said: Said, folder: Path, life: int, point: str, passes: int) -> Path:
    given = said.of("given")
    known = {*said.of("task")}
    newest = max(given, default=-1) + 1
    path = folder / "plan.json"
    plan = {
        "path": str(folder / "agents.db"),
        "point": point,
        "passes": passes,
        "tasks": [*sorted({*given} - known), *range(newest, newest + TASKS)],
        "keeper": f"{KEEPER}-{life}-",
        "said": said.lines,
    }
    path.write_text(json.dumps(plan))
    return path


def _look_for_secrets(said: Said, folder: Path) -> None:
    files = {each.name: each.read_bytes() for each in folder.iterdir() if each.name.startswith("agents.db")}
    for keeper in said.of("gone"):
        found = [name for name, content in files.items() if told(keeper).encode() in content]
        expect(not found, f"{keeper} is gone, and what it was told stands in {found}")


def _errors(folder: Path) -> str:
    return (folder / "errors.txt").read_text(encoding="utf-8")[-2_000:]


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill; the exit code is 1 where a promise was not kept."""
    return kill(arguments, "proof.household.kills", __doc__, run, 100)


if __name__ == "__main__":
    sys.exit(main())
