"""Kills of hosts of a fleet: ``python -m proof.fleet.kills --kills 200``.

Three hosts as processes run the same runtimes on one server, and each is a client of all. One after the other is killed and
another one comes, or is frozen until the others have judged it and is thawed. In the end every input must have been consumed,
and the whole history must be equal to one serial order for each runtime (`proof/fleet/order.py`).
"""

from __future__ import annotations

import argparse
import random
import signal
import statistics
import sys
import time
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Final, final

from attrs import frozen

from proof.killed.killing import PromiseNotKept

from .hosts import Fleet, drawn, fleet
from .mistakes import MISTAKES
from .server import own_server

HOSTS: Final = 3
FROZEN: Final = 0.2
"""This share of the hosts that go is frozen, and comes back when others have what it owned."""


@final
@frozen(kw_only=True, slots=True)
class FleetKills:
    """What came of it.

    Attributes:
        killed: Hosts that were killed.
        frozen: Hosts that were frozen until they were judged, and thawed.
        acknowledged: Inputs that were acknowledged.
        receipts: Receipts that the history has.
        judged_s: Seconds until each was judged.
        minutes: How long it took.
    """

    killed: int
    frozen: int
    acknowledged: int
    receipts: int
    judged_s: Sequence[float]
    minutes: float

    def __str__(self) -> str:
        return (
            f"{self.killed} hosts killed, {self.frozen} frozen and thawed: {self.acknowledged} inputs acknowledged, "
            f"{self.receipts} receipts in one serial order a runtime; judged after {statistics.median(self.judged_s):.1f} s "
            f"(median), {max(self.judged_s):.1f} s at most; {self.minutes:.1f} minutes"
        )


def kill_hosts(
    url: str, kills: int, seed: int, *, lease_s: float, renew_s: float, frozen: float = FROZEN, sown: Sequence[str] = ()
) -> FleetKills:
    """Kill so many, or freeze: of each that share. Raises `PromiseNotKept`, as it should where mistakes are sown."""
    source, began = random.Random(seed), time.monotonic()
    judged: list[float] = []
    frozen_hosts = 0
    with fleet(url, HOSTS, lease_s=lease_s, renew_s=renew_s, sown=sown) as made:
        for _ in range(kills):
            made.wait_for_work(source.randint(1, 60))
            if source.random() < frozen:
                judged.append(_freeze(made, source))
                frozen_hosts += 1
            else:
                judged.append(_kill(made, source))
        made.settle()
        made.end()
        receipts = made.check()
        return FleetKills(
            killed=kills - frozen_hosts,
            frozen=frozen_hosts,
            acknowledged=len(made.acknowledged),
            receipts=receipts,
            judged_s=judged,
            minutes=(time.monotonic() - began) / 60,
        )


def _kill(made: Fleet, source: random.Random) -> float:
    host = drawn(source, made)
    newcomer = made.start()
    made.kill(host)
    seconds = made.wait_until_judged(host)
    made.wait_for(newcomer, "ready")
    return seconds


def _freeze(made: Fleet, source: random.Random) -> float:
    host = drawn(source, made)
    host.process.send_signal(signal.SIGSTOP)
    try:
        return made.wait_until_judged(host)
    finally:
        host.process.send_signal(signal.SIGCONT)


def main(arguments: Sequence[str] | None = None) -> int:
    """Kill hosts, and say what came of it; the exit code is 1 where a promise was not kept."""
    parser = argparse.ArgumentParser(prog="python -m proof.fleet.kills", description=__doc__)
    parser.add_argument("url", nargs="?", help="an empty database of a server (default: one that pip has brought)")
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lease", type=float, default=2.0, help="seconds")
    parser.add_argument("--renew", type=float, default=0.5, help="seconds")
    parser.add_argument(
        "--frozen", type=float, default=FROZEN, help=f"share of hosts that are frozen instead ({FROZEN})"
    )
    parser.add_argument("--sow", choices=MISTAKES, action="append", default=[], help="a mistake that must be found")
    parser.add_argument("--folder", type=Path, help="where the files of that server are made (default: in memory)")
    asked = parser.parse_args(arguments)
    with nullcontext() if asked.url else own_server(asked.folder) as server:
        url = asked.url if server is None else server.url
        try:
            found = kill_hosts(
                url,
                asked.kills,
                asked.seed,
                lease_s=asked.lease,
                renew_s=asked.renew,
                frozen=asked.frozen,
                sown=asked.sow,
            )
        except PromiseNotKept as exc:
            sys.stdout.write(f"{exc}\n")
            return 1
    sys.stdout.write(f"{found}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
