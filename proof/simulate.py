"""Simulates whole hosts, seed after seed: ``python -m proof.simulate --seeds 1000``.

Without ``--of`` it torments tenure's own agents. ``--of module:name`` simulates yours: a `tenure.testing.Simulation`, or a
function that makes one for a seed. A seed that fails is printed with its last events; ``--seed N`` shows the same again.
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Final

from attrs import evolve, frozen

from proof.simulated.agents import torment
from tenure.testing.simulation import Simulation, SimulationFailure, SimulationReport

Told = SimulationReport | SimulationFailure
Advance = Callable[[int], None]

FAILURES_SHOWN: Final = 3
"""Failing seeds whose events are printed."""


@frozen(kw_only=True, slots=True)
class Asked:
    """What the command line asks for."""

    seeds: Sequence[int]
    jobs: int
    hours: float | None
    of: str | None


def main(arguments: Sequence[str] | None = None) -> int:
    """Simulate; the exit code is 1 where a seed failed."""
    asked = _read(arguments)
    began = time.perf_counter()
    reports: list[SimulationReport] = []
    failures: list[SimulationFailure] = []
    with _progress(len(asked.seeds)) as advance:
        for told in _simulated(asked):
            if isinstance(told, SimulationReport):
                reports.append(told)
            else:
                failures.append(told)
                _say(f"seed {told.seed} failed: {told.reason}")
            advance(len(failures))
    failures.sort(key=_seed_of)
    for failure in failures[:FAILURES_SHOWN]:
        _say(str(failure))
    for failure in failures:
        _say(f"again: {_command(asked, failure.seed)}")
    _say(summary(reports, len(failures), time.perf_counter() - began))
    if len(asked.seeds) == 1 and reports:
        _say(f"seed {reports[0].seed}: {reports[0].events} events, digest {reports[0].digest}")
    return 1 if failures else 0


def simulate(seed: int, hours: float | None = None, of: str | None = None) -> Told:
    """Simulate one seed."""
    simulation = _find(of, seed)
    if hours is not None:
        simulation = torment(seed, hours, deploys=True) if of is None else evolve(simulation, hours=hours)
    try:
        return simulation.run(seed)
    except SimulationFailure as failure:
        return failure


def summary(reports: Sequence[SimulationReport], failed: int, took_s: float) -> str:
    """The results of many seeds, in one line."""
    faults: Counter[str] = Counter()
    for report in reports:
        faults.update(report.failures)
    hours = sum(report.hours for report in reports)
    told = [
        f"{len(reports) + failed} seeds, {failed} failed",
        f"{hours:.0f} hours of {sum(report.lives for report in reports)} lives",
        f"{sum(report.deaths for report in reports)} deaths",
        f"{sum(report.deploys[0] for report in reports)} deploys and {sum(report.deploys[1] for report in reports)} back",
        f"{faults.total()} ends by a disk that failed ({', '.join(f'{n} {name}' for name, n in sorted(faults.items()))})",
        f"{sum(report.inputs for report in reports)} inputs",
        f"{sum(report.runs for report in reports)} runs",
        f"{sum(report.steps for report in reports)} steps",
        f"{took_s:.1f} s: {(len(reports) + failed) / took_s:.2f} seeds/s, {hours / took_s:.2f} hours/s",
    ]
    return "; ".join(told)


def _read(arguments: Sequence[str] | None) -> Asked:
    parser = argparse.ArgumentParser(prog="python -m proof.simulate", description=__doc__)
    parser.add_argument("--seeds", type=int, default=100, metavar="COUNT", help="how many seeds (100)")
    parser.add_argument("--first", type=int, default=0, metavar="SEED", help="the first of them (0)")
    parser.add_argument("--seed", type=int, metavar="SEED", help="this one seed")
    parser.add_argument("--hours", type=float, help="virtual hours of hardship for each seed (1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes at once (one a core)")
    parser.add_argument("--of", metavar="MODULE:NAME", help="a Simulation, or a function that makes one for a seed")
    asked = parser.parse_args(arguments)
    seeds = range(asked.first, asked.first + asked.seeds) if asked.seed is None else [asked.seed]
    return Asked(seeds=seeds, jobs=min(asked.jobs, len(seeds)), hours=asked.hours, of=asked.of)


def _simulated(asked: Asked) -> Iterator[Told]:
    one = partial(simulate, hours=asked.hours, of=asked.of)
    if asked.jobs <= 1:
        yield from map(one, asked.seeds)
        return
    # Spawned, not forked: a child must not inherit an open SQLite.
    with multiprocessing.get_context("spawn").Pool(asked.jobs) as pool:
        yield from pool.imap_unordered(one, asked.seeds)


def _find(of: str | None, seed: int) -> Simulation:
    if of is None:
        return torment(seed, deploys=True)
    module, _, name = of.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    found: object = getattr(importlib.import_module(module), name)
    made: object = found if isinstance(found, Simulation) or not callable(found) else found(seed)
    if not isinstance(made, Simulation):
        raise TypeError(f"{of} is not a Simulation and makes none")
    return made


def _command(asked: Asked, seed: int) -> str:
    words = ["python -m proof.simulate", f"--seed {seed}"]
    words += [f"--hours {asked.hours}"] * (asked.hours is not None) + [f"--of {asked.of}"] * (asked.of is not None)
    return " ".join(words)


def _seed_of(failure: SimulationFailure) -> int:
    return failure.seed


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


@contextmanager
def _progress(total: int) -> Generator[Advance]:
    try:
        from rich.progress import Progress, TimeRemainingColumn  # noqa: PLC0415 - an extra
    except ImportError:
        yield from _plain(total)
        return
    if not sys.stdout.isatty() or total == 1:
        yield from _plain(total)
        return
    with Progress(*Progress.get_default_columns()[:3], TimeRemainingColumn()) as progress:
        task = progress.add_task("seeds", total=total)

        def advance(failed: int) -> None:
            progress.update(task, advance=1, description=f"seeds, {failed} failed" if failed else "seeds")

        yield advance


def _plain(total: int) -> Iterable[Advance]:
    done = 0

    def advance(failed: int) -> None:
        nonlocal done
        done += 1
        if total > 1 and (done % max(total // 20, 1) == 0 or done == total):
            _say(f"{done}/{total} seeds, {failed} failed")

    yield advance


if __name__ == "__main__":
    sys.exit(main())
