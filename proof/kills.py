"""Kills real hosts, and compares what they had promised: ``python -m proof.kills --kills 200``.

A child hosts agents on a real file and is killed by SIGKILL: at a random moment, or at a named point of the engine or of an
agent. The parent holds what the child had said until then. After each kill the database is compared with all that was ever
said; at the end one more child, which is not killed, brings everything to its end.
"""

from __future__ import annotations

import contextlib
import json
import random
import shutil
import signal
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, Final, final

import apsw
from attrs import define, field, frozen

from proof.killed.host import (
    LEDGER,
    POINTS,
    TELLERS,
)
from proof.killed.killing import PromiseNotKept, expect, kill, live
from proof.killed.work import PIECES, WorkSaid
from tenure.persistence.engines.sqlite.opening.migrations import migrate

HOST: Final = "proof.killed.host"

STATES: Final = {"retire": ("idle", "retired"), "recycle": ("retired", "idle")}
"""Stored states before and after a verb."""


@final
@frozen(kw_only=True, slots=True)
class KillsReport:
    """The result of the kills.

    Attributes:
        kills: By the point at which the host died.
        accepted: Inputs that were acknowledged.
        executed: Steps that were executed.
        filed: Pieces of queued work whose turn was acknowledged.
    """

    kills: Counter[str]
    accepted: int
    executed: int
    filed: int

    def __str__(self) -> str:
        points = ", ".join(f"{count} at {point}" for point, count in sorted(self.kills.items()))
        return (
            f"{self.kills.total()} kills ({points}); {self.accepted} inputs acknowledged, {self.executed} steps executed,"
            f" {self.filed} pieces of queued work filed;"
            " nothing lost, doubled or stuck"
        )


@final
@define(slots=True)
class Said:
    """What hosts have said so far, over all lives.

    Attributes:
        given: Numbers of inputs that were about to be given.
        inputs: Input id by runtime and key.
        ended: Phase by runtime and input id.
        executed: How often each step was executed.
        keys: The key of each ``keyed`` step.
        seen: The result of each step, by run and name.
        tokens: The last token of each runtime.
        states: The states in which a runtime may be.
        work: What was said of queued work.
    """

    given: set[int] = field(factory=set[int])
    inputs: dict[tuple[str, str], str] = field(factory=dict[tuple[str, str], str])
    ended: dict[tuple[str, str], str] = field(factory=dict[tuple[str, str], str])
    executed: Counter[str] = field(factory=Counter[str])
    keys: dict[str, str] = field(factory=dict[str, str])
    seen: dict[tuple[str, str], int] = field(factory=dict[tuple[str, str], int])
    tokens: dict[str, int] = field(factory=dict[str, int])
    states: dict[str, set[str]] = field(factory=dict[str, set[str]])
    work: WorkSaid = field(factory=WorkSaid)

    def hear(self, kind: str, facts: list[Any]) -> None:
        """Take in one line, and judge what can be judged at once."""
        match kind:
            case "giving":
                self.given.add(facts[0])
            case "accepted":
                runtime_id, key, input_id = facts
                known = self.inputs.setdefault((runtime_id, key), input_id)
                expect(known == input_id, f"{key} was {known}, and is {input_id}")
            case "ended":
                runtime_id, input_id, phase = facts
                expect(self.ended.setdefault((runtime_id, input_id), phase) == phase, f"{input_id} ended twice")
            case "executed":
                what, repeat, key = facts
                self.executed[what] += 1
                expect(repeat != "never" or self.executed[what] == 1, f"{what} may never be repeated, and was")
                if key is not None:
                    expect(self.keys.setdefault(what, key) == key, f"{what} had another key")
            case "seen":
                run_id, name, result = facts
                expect(
                    self.seen.setdefault((run_id, name), result) == result, f"{name} of {run_id} gave another result"
                )
            case "token":
                runtime_id, token = facts
                expect(token >= self.tokens.get(runtime_id, 0), f"the token of {runtime_id} went back to {token}")
                self.tokens[runtime_id] = token
            case "verb":
                runtime_id, verb, when = facts
                before, after = STATES[verb]
                self.states[runtime_id] = {after} if when == "done" else {before, after}
            case "queued" | "begun" | "filed":
                self.work.hear(kind, facts[0])
            case _:
                return

    def compare(self, database: apsw.Connection) -> None:
        """Compare everything that was said with what a host left. Raises `PromiseNotKept`."""
        inputs = {(row[0], row[1]): row[2:] for row in database.execute(_INPUTS)}
        for (runtime_id, key), input_id in self.inputs.items():
            expect(inputs.get((runtime_id, key), (None,))[0] == input_id, f"{key} of {runtime_id} was lost")
        phases = {(runtime_id, row[0]): row[1] for (runtime_id, _), row in inputs.items()}
        for known, phase in self.ended.items():
            expect(phases[known] == phase, f"{known} ended {phase}, and is {phases[known]}")
        results = {(run_id, name): result for run_id, name, result in database.execute(_STEPS)}
        for step, result in self.seen.items():
            stored = results.get(step)
            expect(
                stored is not None and json.loads(stored) == result, f"{step} was seen with {result}, not {stored!r}"
            )
        for runtime_id, state, token in database.execute("SELECT runtime_id, state, fence_token FROM runtimes"):
            expect(token >= self.tokens.get(runtime_id, 0), f"the token of {runtime_id} went back to {token}")
            possible = self.states.get(runtime_id, {"idle", "retired"})
            expect(state in possible, f"{runtime_id} is {state}, and can only be {sorted(possible)}")
        for problem in self.work.problems(database):
            raise PromiseNotKept(problem)
        self._compare_sends(inputs, [json.loads(payload) for (payload,) in database.execute(_LEDGER, (LEDGER,))])

    def _compare_sends(self, inputs: dict[tuple[Any, Any], Any], arrived: list[int]) -> None:
        sent = {int(key[2:]) for (_, key), row in inputs.items() if key and key[:2] == "n-" and row[1] == "consumed"}
        expect(
            len(arrived) == len(set(arrived)), f"a message reached the ledger twice: {Counter(arrived).most_common(3)}"
        )
        expect(
            set(arrived) == sent, f"sent by consumed runs and in the ledger: {sorted(set(arrived) ^ sent)[:10]} differ"
        )


_INPUTS: Final = """
SELECT r.runtime_id, i.idempotency_key, i.input_id, i.phase FROM inputs i JOIN runtimes r ON r.runtime = i.runtime
"""
_STEPS: Final = """
SELECT u.run_id, e.name, e.result FROM entries e JOIN runs u ON u.run = e.run
WHERE e.status = 'succeeded' AND e.kind = 'step'
"""
_LEDGER: Final = """
SELECT p.payload FROM inputs i JOIN runtimes r ON r.runtime = i.runtime JOIN payloads p ON p.input = i.input
WHERE r.runtime_id = ? AND i.kind = 'peer_message'
"""


def run(
    kills: int, seed: int, folder: Path, told: Callable[[int], None] = lambda _: None, points: Sequence[str] = POINTS
) -> KillsReport:
    """Kill so many hosts, one after another, on one database in the folder.

    Raises:
        PromiseNotKept: Something was lost, doubled or stuck.
    """
    source = random.Random(seed)
    said, died = Said(), Counter[str]()
    life = 0
    while died.total() < kills:
        life += 1
        point = points[life % len(points)]
        mean = MEAN_PASSES.get(point, PASSES)
        plan = _plan(said, folder, seed, life, INPUTS, point, 1 + int(mean and source.expovariate(1 / mean)))
        code = live(HOST, said.hear, plan, folder, source.uniform(*RANDOM_S) if point == "random" else None)
        expect(code in (0, -signal.SIGKILL), f"life {life}, to die at {point}, ended with {code}")
        with _copied(folder) as database:
            said.compare(database)
        if code:
            died[point] += 1
            told(died.total())
    code = live(HOST, said.hear, _plan(said, folder, seed, life + 1, len(TELLERS), "none", 0), folder, None)
    expect(code == 0, f"the last host ended with {code}")
    with _copied(folder) as database:
        said.compare(database)
        left = database.execute("SELECT count(*) FROM inputs WHERE finished_at IS NULL").get
        expect(left == 0, f"{left} inputs are stuck")
        waiting = database.execute("SELECT count(*) FROM queue_batches").get
        expect(waiting == 0, f"{waiting} pieces of queued work are stuck")
        there = {key for (key,) in database.execute("SELECT idempotency_key FROM inputs")}
        expect(
            {f"n-{number}" for number in said.given} <= there, "an input was given again and again, and is not there"
        )
    return KillsReport(
        kills=died, accepted=len(said.inputs), executed=said.executed.total(), filed=len(said.work.filed)
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill; the exit code is 1 where a promise was not kept."""
    return kill(arguments, "proof.kills", __doc__, run, 200)


INPUTS: Final = 60
"""New inputs that each life is to give."""

PASSES: Final = 30
"""Mean passes of a point before a death."""

MEAN_PASSES: Final = {"close": 0, "checkpoint": 0, "work": PASSES / 4}
"""Of the points that are passed less often."""

RANDOM_S: Final = (0.0, 0.5)
"""Seconds between the first word of a host and its death at a random moment."""


def _plan(said: Said, folder: Path, seed: int, life: int, inputs: int, point: str, passes: int) -> Path:
    """Write the plan of one life: first what was given and never acknowledged, then what is new."""
    accepted = {key for _, key in said.inputs}
    again = sorted(number for number in said.given if f"n-{number}" not in accepted)
    newest = max(said.given, default=-1) + 1
    first = max(said.work.given, default=-1) + 1
    pieces = list(range(first, first + PIECES))
    said.work.given.update(pieces)
    path = folder / "plan.json"
    plan = {
        "path": str(folder / "agents.db"),
        "seed": seed,
        "life": life,
        "point": point,
        "passes": passes,
        "numbers": [*again, *range(newest, newest + inputs)],
        "pieces": pieces,
        "paid": sorted(said.executed),
    }
    path.write_text(json.dumps(plan))
    return path


@contextlib.contextmanager
def _copied(folder: Path) -> Generator[apsw.Connection]:
    """A copy of what a dead host left, so that looking changes nothing."""
    with tempfile.TemporaryDirectory() as copies:
        for name in ("agents.db", "agents.db-wal"):
            if (folder / name).exists():
                shutil.copy(folder / name, copies)
        connection = apsw.Connection(str(Path(copies, "agents.db")))
        try:
            if connection.execute("SELECT count(*) FROM sqlite_schema").get == 0:
                migrate(connection, "copy", 0.0)  # killed before there was a schema
            yield connection
        finally:
            connection.close()


if __name__ == "__main__":
    sys.exit(main())
