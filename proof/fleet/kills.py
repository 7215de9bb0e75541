"""Hosts of a fleet come and go: ``python -m proof.fleet.kills --kills 200``.

Three hosts as processes run the same runtimes on one server, and each is a client of all. One after the other is killed and
another one comes; or it is frozen until the others have judged it, and thawed; or, with ``--networks``, its cable is pulled
until then, and put in again; or it drains, and takes again; or all of them are deployed anew, one after another, by SIGTERM.
In the end every input must have been consumed, and the whole history must be equal to one serial order for each runtime
(`proof/fleet/order.py`). Where no host was frozen, no step may have begun after another host had begun it under a later token.
"""

from __future__ import annotations

import argparse
import random
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final, final

from attrs import frozen

from proof.killed.killing import PromiseNotKept, expect

from .hosts import Fleet, FleetHost, drawn, fleet
from .mistakes import MISTAKES
from .networks import Networks, networks, reached_by_hosts
from .server import own_server

HOSTS: Final = 3
FROZEN: Final = 0.2
"""This share of the hosts that go is frozen, and comes back when others have what it owned."""


@final
@frozen(kw_only=True, slots=True)
class Shares:
    """What becomes of hosts: of so many out of one each; the rest is killed.

    Attributes:
        frozen: Frozen until they are judged, and thawed.
        cut: Their cable pulled until they are judged, and put in again.
        drained: Drained, and made to take again.
        deployed: All hosts ended by SIGTERM, one after another, each after its successor has come.
    """

    frozen: float = FROZEN
    cut: float = 0.0
    drained: float = 0.0
    deployed: float = 0.0


@final
@frozen(kw_only=True, slots=True)
class FleetKills:
    """What came of it.

    Attributes:
        counts: How often each thing was done.
        acknowledged: Inputs that were acknowledged.
        receipts: Receipts that the history has.
        judged_s: Seconds until each host that was gone was judged.
        drained_s: Seconds that each drain took.
        minutes: How long it took.
    """

    counts: Mapping[str, int]
    acknowledged: int
    receipts: int
    judged_s: Sequence[float]
    drained_s: Sequence[float]
    minutes: float

    def __str__(self) -> str:
        done = ", ".join(f"{count} {what}" for what, count in self.counts.items())
        times = [
            f"{what} {statistics.median(seconds):.1f} s (median), {max(seconds):.1f} s at most"
            for what, seconds in (("judged after", self.judged_s), ("drained in", self.drained_s))
            if seconds
        ]
        return (
            f"{done}: {self.acknowledged} inputs acknowledged, {self.receipts} receipts in one serial order a runtime; "
            f"{'; '.join(times)}; {self.minutes:.1f} minutes"
        )


@final
class Kills:
    """One fleet, and what is done to its hosts."""

    def __init__(self, made: Fleet, source: random.Random) -> None:
        """Nothing is done yet."""
        self._made = made
        self._source = source
        self.counts: Counter[str] = Counter()
        self.judged_s: list[float] = []
        self.drained_s: list[float] = []

    def once(self, shares: Shares) -> None:
        """Let one host go in some way, after some work."""
        self._made.wait_for_work(self._source.randint(1, 60))
        ways = {
            self._freeze: shares.frozen,
            self._cut: shares.cut,
            self._drain: shares.drained,
            self._deploy: shares.deployed,
        }
        ways[self._kill] = max(0.0, 1.0 - sum(ways.values()))
        (way,) = self._source.choices([*ways], [*ways.values()])
        way()

    def _kill(self) -> None:
        host, newcomer = drawn(self._source, self._made), self._made.start()
        self._made.kill(host)
        self.judged_s.append(self._made.wait_until_judged(host))
        self._made.wait_for(newcomer, "ready")
        self.counts["hosts killed"] += 1

    def _freeze(self) -> None:
        host = drawn(self._source, self._made)
        self._while_away(
            host, lambda: host.process.send_signal(signal.SIGSTOP), lambda: host.process.send_signal(signal.SIGCONT)
        )
        self.counts["frozen and thawed"] += 1

    def _cut(self) -> None:
        host = drawn(self._source, self._made)
        if host.cable is None:
            message = "a host is cut off by its cable, which is made with --networks"
            raise ValueError(message)
        self._while_away(host, host.cable.pull, host.cable.put_in)
        self.counts["cut off and back"] += 1

    def _while_away(self, host: FleetHost, go: Callable[[], None], come: Callable[[], None]) -> None:
        go()
        try:
            self.judged_s.append(self._made.wait_until_judged(host))
            self._made.wait_for_work(self._source.randint(1, 20))
        finally:
            come()
        self._made.wait_until_back(host)

    def _drain(self) -> None:
        host, began = drawn(self._source, self._made), time.monotonic()
        self._made.ask(host, "drain", "drained")
        self.drained_s.append(time.monotonic() - began)
        expect(self._made.owned_by(host) == 0, f"{host.name} is drained and owns runtimes")
        self._made.wait_for_work(self._source.randint(1, 20))
        expect(self._made.owned_by(host) == 0, f"{host.name} is drained and has taken runtimes")
        self._made.ask(host, "undrain", "undrained")
        self.counts["drained"] += 1

    def _deploy(self) -> None:
        self._made.version += 1
        for host in [*self._made.hosts]:
            self._made.wait_for(self._made.start(), "ready")
            began = time.monotonic()
            self._made.leave(host)
            self.drained_s.append(time.monotonic() - began)
            self._made.wait_for_work(self._source.randint(1, 20))
        self.counts["deploys"] += 1


def kill_hosts(  # noqa: PLR0913 - one for each thing that differs
    url: str,
    kills: int,
    seed: int,
    *,
    lease_s: float,
    renew_s: float,
    shares: Shares = Shares(),
    sown: Sequence[str] = (),
    clocks_s: float = 0.0,
    cables: Networks | None = None,
    patience_s: float | None = None,
) -> FleetKills:
    """Let so many hosts go. Raises `PromiseNotKept`, as it should where mistakes are sown."""
    source, began = random.Random(seed), time.monotonic()
    terms = {"lease_s": lease_s, "renew_s": renew_s, "clocks_s": clocks_s}
    with fleet(url, HOSTS, sown=sown, networks=cables, **terms) as made:
        if patience_s is not None:
            made.patience_s = patience_s
        done = Kills(made, source)
        try:
            for _ in range(kills):
                done.once(shares)
            made.settle()
            made.end()
        except PromiseNotKept as exc:
            message = "\n".join([*made.why()[:20], str(exc)])
            raise PromiseNotKept(message) from exc
        receipts = made.check()
        stale = made.stale_steps()
        # A host that is frozen between its look at its lease and its step begins that step when it is thawed.
        expect(
            not stale or done.counts["frozen and thawed"] > 0, f"steps began under a token that had passed: {stale[:5]}"
        )
        return FleetKills(
            counts=done.counts,
            acknowledged=len(made.acknowledged),
            receipts=receipts,
            judged_s=done.judged_s,
            drained_s=done.drained_s,
            minutes=(time.monotonic() - began) / 60,
        )


def main(arguments: Sequence[str] | None = None) -> int:
    """Let hosts go, and say what came of it; the exit code is 1 where a promise was not kept."""
    asked = _parser().parse_args(arguments)
    shares = Shares(frozen=asked.frozen, cut=asked.cut, drained=asked.drained, deployed=asked.deployed)
    with ExitStack() as left:
        settings: Mapping[str, str] = left.enter_context(reached_by_hosts()) if asked.networks else {}
        url = asked.url or left.enter_context(own_server(asked.folder, **settings)).url
        cables = left.enter_context(networks()) if asked.networks else None
        try:
            found = kill_hosts(
                url,
                asked.kills,
                asked.seed,
                lease_s=asked.lease,
                renew_s=asked.renew,
                shares=shares,
                sown=asked.sow,
                clocks_s=asked.clocks,
                cables=cables,
                patience_s=asked.patience,
            )
        except PromiseNotKept as exc:
            sys.stdout.write(f"{exc}\n")
            return 1
    sys.stdout.write(f"{found}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m proof.fleet.kills", description=__doc__)
    parser.add_argument("url", nargs="?", help="an empty database of a server (default: one that pip has brought)")
    parser.add_argument("--kills", type=int, default=200, help="how many hosts go")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--lease", type=float, default=2.0, help="seconds")
    parser.add_argument("--renew", type=float, default=0.5, help="seconds")
    parser.add_argument("--frozen", type=float, default=FROZEN, help=f"share that is frozen instead ({FROZEN})")
    parser.add_argument("--cut", type=float, default=0.0, help="share that is cut off instead; with --networks")
    parser.add_argument("--drained", type=float, default=0.0, help="share that drains instead")
    parser.add_argument("--deployed", type=float, default=0.0, help="share of roll-outs of all hosts instead")
    parser.add_argument(
        "--clocks", type=float, default=0.0, help="wall clocks are wrong by so many seconds at most, and jump"
    )
    parser.add_argument("--networks", action="store_true", help="each host in a network namespace: root, and no URL")
    parser.add_argument("--patience", type=float, help="seconds after which a fleet that does not go on is stuck")
    parser.add_argument("--sow", choices=MISTAKES, action="append", default=[], help="a mistake that must be found")
    parser.add_argument("--folder", type=Path, help="where the files of that server are made (default: in memory)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
