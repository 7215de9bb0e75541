"""The proof of tenure's own store on the command line: ``python -m proof power-cut``, ``faults`` or ``neighbours``."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, final

from proof.household.scenario import Household, HouseholdCheck, HouseholdRecovery
from proof.power_cuts.agents import (
    Agents,
    AgentsCheck,
    AgentsRecovery,
)
from proof.power_cuts.every_commit import EveryCommit
from proof.power_cuts.invariants import store_check
from proof.power_cuts.neighbours import BesideNeighbours, NeighboursFailure
from proof.power_cuts.recovery import Recovery
from proof.power_cuts.whole_record import WholeRecord, WholeRecordCheck
from tenure.errors import CannotOpen, DiskFull, StoreBroken
from tenure.testing.drive.faults import FaultKind
from tenure.testing.fault_sweep import (
    FaultFailure,
    FaultSweep,
)
from tenure.testing.power_cut import (
    PowerCut,
    PowerCutFailure,
)
from tenure.testing.saved_image import SavedImage
from tenure.testing.scenario import (
    Check,
    Scenario,
)

IMAGES: Final = 20_000
CRASHES: Final = 10
EVERY_S: Final = 2.0
"""Seconds between two lines of progress."""

SCENARIOS: Final[dict[str, Callable[[], tuple[Scenario, Check]]]] = {
    "store": lambda: (EveryCommit(), store_check()),
    "host": lambda: (Agents(), AgentsCheck()),
    "record": lambda: (WholeRecord(), WholeRecordCheck()),
    "household": lambda: (Household(), HouseholdCheck()),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is asked; the exit code is 1 where a promise was broken."""
    if not __debug__:
        raise SystemExit("the checks are assertions: run without -O")
    parser = argparse.ArgumentParser(prog="python -m proof", description=__doc__)
    proofs = parser.add_subparsers(dest="proof", required=True)
    cut = proofs.add_parser("power-cut", help="check what a power cut leaves, at every write")
    cut.add_argument("--images", type=int, default=IMAGES, help=f"how many crash images at most ({IMAGES})")
    cut.add_argument("--seed", type=int, default=0, help="what everything drawn follows from (0)")
    cut.add_argument("--save-to", type=Path, default=Path(".power-cut"), help="where a failing image is saved")
    cut.add_argument("--image", type=Path, help="check only this saved image")
    faults = proofs.add_parser("faults", help="make I/O operations fail, one after the other")
    told = "every kind of commit, a whole host, a whole record of runs, or asks, waits, schedules and output (store)"
    cut.add_argument("--scenario", choices=SCENARIOS, default="store", help=told)
    told = "every kind of commit, a whole host, or asks, waits, schedules and output (store)"
    faults.add_argument("--scenario", choices=("store", "host", "household"), default="store", help=told)
    faults.add_argument("--every", type=int, default=1, help="take every so-manieth operation only (1)")
    faults.add_argument("--times", type=int, default=1, help="how many operations in a row fail (1)")
    beside = proofs.add_parser("neighbours", help="kill and cut beside other programs that have the database open")
    beside.add_argument("--images", type=int, default=IMAGES, help=f"how many crashes at least ({IMAGES})")
    beside.add_argument("--seed", type=int, default=0, help="what everything drawn follows from (0)")
    beside.add_argument("--trial", type=int, help="only this one of the disks")
    asked = parser.parse_args(arguments)
    run = {"power-cut": _power_cut, "faults": _faults, "neighbours": _neighbours}[asked.proof]
    try:
        return run(asked)
    except (PowerCutFailure, FaultFailure, NeighboursFailure) as exc:
        _say(str(exc))
        if isinstance(exc, PowerCutFailure) and exc.folder is not None:
            _say(f"    python -m proof power-cut --scenario {asked.scenario} --image {exc.folder}")
        return 1


def _power_cut(asked: argparse.Namespace) -> int:
    scenario, check = SCENARIOS[asked.scenario]()
    progress = _Progress(asked.images)
    cut = PowerCut(
        scenario=scenario,
        check=check,
        budget=asked.images,
        seed=asked.seed,
        save_to=asked.save_to,
        on_image=progress,
    )
    if asked.image is not None:
        cut.check_saved(SavedImage.load(asked.image))
        _say("this image keeps every promise")
        return 0
    report = cut.run()
    _say(f"{report}; {progress.rate()}: every promise was kept")
    return 0


def _faults(asked: argparse.Namespace) -> int:
    store, again = EveryCommit(days=2), store_check(again=1.0)
    sweeps: list[tuple[Scenario, Scenario | None, Check]] = [(store, None, again), (Recovery(), store, again)]
    if asked.scenario == "host":
        sweeps = [(Agents(), None, AgentsCheck()), (AgentsRecovery(), Agents(), AgentsCheck(watched=False))]
    if asked.scenario == "household":
        sweeps = [(Household(), None, HouseholdCheck()), (HouseholdRecovery(), Household(), HouseholdCheck())]
    for scenario, over, check in sweeps:
        _say("while it works:" if over is None else f"while it recovers from each of {CRASHES} crashes:")
        for kind in FaultKind:
            sweep = FaultSweep(
                scenario=scenario,
                over=over,
                crashes=CRASHES,
                check=check,
                errors=(StoreBroken, DiskFull, CannotOpen),
                kinds=(kind,),
                every=asked.every,
                times=asked.times,
            )
            _say(str(sweep.run()))
    return 0


def _neighbours(asked: argparse.Namespace) -> int:
    progress = _Progress(asked.images)
    proof = BesideNeighbours(images=asked.images, seed=asked.seed, only=asked.trial, on_image=progress)
    _say(f"{proof.run()}; {progress.rate()}: every promise was kept")
    return 0


@final
class _Progress:
    def __init__(self, images: int) -> None:
        self._images = images
        self._began = self._said = time.monotonic()
        self._cpu = time.process_time()
        self._done = 0

    def __call__(self) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._said >= EVERY_S:
            self._said = now
            _say(f"{self._done} of {self._images} images, {self.rate()}")

    def rate(self) -> str:
        elapsed, cpu = time.monotonic() - self._began, time.process_time() - self._cpu
        return f"{self._done / elapsed:.0f} images/s, {self._done / cpu:.0f} for each second of the processor"


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
