"""Schedules under SIGKILL: ``python -m proof.ticking --kills 200``.

Three hosts on one real file decide the same instants at once, by wall clocks that run sixty times as fast as they should. Each
is killed at a point of its own: before, inside or after the transaction of a decision, or while the input of one is worked on;
then another one takes its place. At the end one more host, which is not killed, brings everything to its end, and each instant
must stand once, with the one input that it became or the reason it was skipped, and each of these inputs must be done once.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from functools import partial
from pathlib import Path
from typing import Final

import trio

import tenure
from proof.killed.host import Points, arm
from proof.simulated.clockwork import SCHEDULES, create_all, story_of, work

SPEED: Final = 60.0
HOSTS: Final = 3

POINTS: Final = {"begin": 5, "write": 30, "commit": 5, "committed": 5, "work": 3}
"""Where a host dies, and at which pass of that point on average; ``committed`` is between COMMIT and what follows it."""

PATIENCE_S: Final = 4.0
"""A host that has not died by itself so long is killed where it is."""

PATIENT: Final = tenure.RestartPolicy(max_attempts=9, budget=10_000, max_crashes=10_000)
"""No agent is held because it was there when its hosts died."""

BASE_S: Final = 1_792_885_800.0
"""Ten minutes before it is two o'clock in Berlin, on the night in which it is two o'clock twice."""


def wall_clock(origin: float) -> float:
    """What the clocks of all hosts show."""
    return BASE_S + (time.time() - origin) * SPEED


async def live(path: Path, origin: float, points: Points) -> None:
    """A host that dies sooner or later."""

    async def dying(run: tenure.Run) -> None:
        points.passed("work")
        await work(run)

    seams = tenure.Seams(wall_clock=partial(wall_clock, origin))
    behaviours = {"worker": tenure.Behaviour(dying, restart=PATIENT)}
    async with tenure.open_supervisor(path, behaviours=behaviours, seams=seams) as supervisor:
        await create_all(supervisor)
        await trio.sleep_forever()


async def settle(path: Path, origin: float) -> Counter[str]:
    """The last host: what became of all instants, counted. Raises where one was lost or doubled."""
    seams = tenure.Seams(wall_clock=partial(wall_clock, origin))
    found, seen = Counter[str](), set[str]()
    behaviours = {"worker": tenure.Behaviour(work, restart=PATIENT)}
    async with tenure.open_supervisor(path, behaviours=behaviours, seams=seams) as supervisor:
        await create_all(supervisor)
        for name in SCHEDULES:
            while not await supervisor.schedules.occurrences(name, limit=1):  # noqa: ASYNC110 - a look is no event
                await trio.sleep(0.1)
            found += Counter([each.skipped or "done" for each in await story_of(supervisor, name=name)])
            seen.add(name)
    if set(SCHEDULES) != seen:
        message = "the last host was ended before it had seen all"
        raise RuntimeError(message)
    return found


def start(path: Path, origin: float, points: Points) -> int:
    """A host in a process of its own. Forked: this process has no store open."""
    child = os.fork()
    if child:
        return child
    try:
        arm(points)
        trio.run(live, path, origin, points)
    except BaseException as exc:  # noqa: BLE001 - a child has nothing to raise to
        sys.stderr.write(f"a host failed: {exc!r}\n")
    os._exit(1)


def torment(path: Path, kills: int, seed: int) -> tuple[Counter[str], Counter[str]]:
    """Kill so many hosts; how many at which point, and what became of all instants."""
    source, origin = random.Random(seed), time.time()
    living: dict[int, tuple[str, float]] = {}
    died = Counter[str]()
    try:
        while died.total() < kills:
            while len(living) < HOSTS:
                point = source.choice(list(POINTS))
                passes = 1 + int(source.expovariate(1 / POINTS[point]))
                living[start(path, origin, Points(point, passes))] = point, time.monotonic() + PATIENCE_S
            for child, (point, until) in list(living.items()):
                if time.monotonic() > until:
                    os.kill(child, signal.SIGKILL)
                    living[child] = "anywhere", until + PATIENCE_S
                ended, status = os.waitpid(child, os.WNOHANG)
                if ended:
                    del living[child]
                    if not os.WIFSIGNALED(status):
                        message = f"a host ended by itself that was to die at {point}"
                        raise RuntimeError(message)
                    died[point] += 1
            time.sleep(0.01)
    finally:
        for child in living:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
    return died, trio.run(settle, path, origin)


def main() -> None:
    """Torment, and say what was seen."""
    parser = argparse.ArgumentParser(prog="python -m proof.ticking", description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="how many hosts die (100)")
    parser.add_argument("--seed", type=int, default=0, help="draws the points and passes (0)")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        died, became = torment(Path(folder) / "agents.db", given.kills, given.seed)
    points = ", ".join(f"{count} {point}" for point, count in sorted(died.items()))
    instants = ", ".join(f"{count} {what}" for what, count in sorted(became.items()))
    sys.stdout.write(f"{died.total()} hosts killed ({points}); instants: {instants}; none lost, none doubled\n")


if __name__ == "__main__":
    main()
