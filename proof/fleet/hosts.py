"""The hosts of a fleet as processes, and what they have said: started, killed, frozen, and brought to an end."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, Final, final

import attrs
import psycopg
from attrs import define, field, frozen

from proof.killed.killing import PromiseNotKept, expect

from .history import read_history, server_time, wrong_times
from .host import Terms
from .networks import Cable, Networks
from .order import Acknowledged, contradictions

RUNTIMES: Final = 12

_UNFINISHED: Final = tuple(f" is {phase}" for phase in ("accepted", "queued", "staged", "applied"))
"""How a line about an input ends that is not done yet."""

PATIENCE_S: Final = 300.0
"""Seconds after which a fleet that does not go on is called stuck."""

_LIVES: Final = "SELECT 1 FROM tenure.hosts WHERE pid = %s AND lost_at IS NULL AND closed_at IS NULL"
_OWNED: Final = """
SELECT count(*) FROM tenure.runtimes r JOIN tenure.hosts h ON h.host = r.owner
WHERE h.pid = %s AND h.lost_at IS NULL AND h.closed_at IS NULL
"""
_OPEN: Final = "SELECT count(*) FROM tenure.inputs WHERE finished_at IS NULL"
_LEFT: Final = """
SELECT r.runtime_id, r.state, r.held, r.fence_token, r.owner, h.incarnation, h.closed_at, h.lost_at, r.run, u.retry_at, u.error,
       count(*), min(i.idempotency_key), min(i.phase)
FROM tenure.inputs i JOIN tenure.runtimes r ON r.runtime = i.runtime LEFT JOIN tenure.hosts h ON h.host = r.owner
LEFT JOIN tenure.runs u ON u.run = r.run
WHERE i.finished_at IS NULL GROUP BY r.runtime, h.host, u.run LIMIT 20
"""
"""What says of a runtime why its inputs do not end."""


@final
@frozen(slots=True)
class Began:
    """A step that has begun: of which runtime, over which input, under which token, when by the machine's clock, and where."""

    runtime_id: str
    key: str
    fence_token: int
    at: float
    name: str


@final
@define(slots=True)
class FleetHost:
    """One process.

    Attributes:
        name: Of it and its senders.
        process: It.
        words: Lines that it said so far, but for what it accepted.
        cable: Its way to the server, where it has a network.
        acknowledged: How many inputs it has given.
        contended: How often it was told to try again.
    """

    name: str
    process: subprocess.Popen[str]
    cable: Cable | None = None
    reader: threading.Thread | None = None
    words: set[str] = field(factory=set[str])
    acknowledged: int = 0
    contended: int = 0


@final
class Fleet:
    """A few hosts on one store.

    Attributes:
        url: Of the store.
        hosts: Those that live.
        acknowledged: What all of them have heard.
        began: Steps that they have begun.
        version: Of the behaviour of those that are started from now on.
        patience_s: Seconds after which it is called stuck.
        since: When it began, by the clock of the server.
    """

    def __init__(self, url: str, folder: Path, terms: Terms, networks: Networks | None = None) -> None:
        """`folder` keeps what they say of errors. With `networks` each has one of them."""
        self.url = url
        self._errors = folder / "errors.txt"
        self._terms = terms
        self._networks = networks
        self.version = terms.version
        self.patience_s = PATIENCE_S
        self.since = 0.0
        self.began: list[Began] = []
        self._names = (f"h{number}" for number in count())
        self.hosts: list[FleetHost] = []
        self.acknowledged: list[Acknowledged] = []

    def start(self) -> FleetHost:
        """Start one; it lives when it is `ready`."""
        name = next(self._names)
        cable = None if self._networks is None else self._networks.make()
        url = self.url if cable is None else cable.url(self.url)
        terms = json.dumps(attrs.asdict(attrs.evolve(self._terms, version=self.version)))
        wrong = ["proof.fleet.wrong_clock", f"{self._terms.clocks_s:g}"] if self._terms.clocks_s else []
        command = [sys.executable, "-m", *wrong, "proof.fleet.host", url, name, terms]
        command = command if cable is None else cable.command(command)
        with self._errors.open("a") as errors:
            process = subprocess.Popen(  # noqa: S603 - this very package
                command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True
            )
        host = FleetHost(name=name, process=process, cable=cable)
        host.reader = threading.Thread(target=self._hear, args=(host,), daemon=True)
        host.reader.start()
        self.hosts.append(host)
        return host

    def _hear(self, host: FleetHost) -> None:
        for line in host.process.stdout or ():
            if not line.endswith("\n"):
                return  # cut off in the middle of a word
            word, *facts = json.loads(line)
            if word == "accepted":
                self.acknowledged.append(Acknowledged(runtime_id=facts[0], key=facts[1], input_id=facts[2]))
                host.acknowledged += 1
                continue
            if word == "began":
                self.began.append(Began(*facts, name=host.name))
                continue
            host.contended += word == "contended"
            host.words.add(word)

    def wait_for(self, host: FleetHost, word: str) -> None:
        """Wait until a host has said a word."""
        self.wait(lambda: word in host.words, f"{host.name} to be {word}")

    def wait(self, until: Any, what: str) -> None:
        """Wait until something holds. Raises `PromiseNotKept` where a host ends by itself, or nothing comes of it."""
        give_up_at = time.monotonic() + self.patience_s
        while not until():
            for each in self.hosts:
                code = each.process.poll()
                expect(code is None, f"{each.name} ended by itself: {code}, {self._errors.read_text()[-3000:]}")
            expect(time.monotonic() < give_up_at, f"stuck for {self.patience_s} s while it waits for {what}")
            time.sleep(0.02)

    def wait_for_work(self, more: int) -> None:
        """Wait until so many more inputs are acknowledged."""
        wanted = len(self.acknowledged) + more
        self.wait(lambda: len(self.acknowledged) >= wanted, f"{more} more inputs")

    def wait_for_all(self, more: int) -> None:
        """Wait until each host has given so many more inputs."""
        wanted = {each.name: each.acknowledged + more for each in self.hosts}
        self.wait(lambda: all(each.acknowledged >= wanted[each.name] for each in self.hosts), f"{more} inputs of each")

    @property
    def contended(self) -> int:
        """How often the hosts that live were told to try again."""
        return sum(each.contended for each in self.hosts)

    def ask(self, host: FleetHost, line: str, word: str) -> None:
        """Write a line to a host, and wait for the word that answers it."""
        host.words.discard(word)
        _say(host, f"{line}\n")
        self.wait_for(host, word)

    def leave(self, host: FleetHost) -> None:
        """End one by SIGTERM, which is a normal exit."""
        self.hosts.remove(host)
        host.process.send_signal(signal.SIGTERM)
        _say(host, None)  # a thread of it reads there, which no signal ends
        _end(host)
        expect(host.process.returncode == 0, f"{host.name}: {self._errors.read_text()[-3000:]}")

    def kill(self, host: FleetHost) -> None:
        """Kill one, and hear it out."""
        self.hosts.remove(host)
        host.process.send_signal(signal.SIGKILL)
        _end(host)

    def wait_until_judged(self, host: FleetHost) -> float:
        """Wait until the others have judged a host, which is dead or frozen; how many seconds that took."""
        began = time.monotonic()
        with psycopg.connect(self.url, autocommit=True) as connection:
            self.wait(lambda: connection.execute(_LIVES, [host.process.pid]).fetchone() is None, "a verdict on a host")
        return time.monotonic() - began

    def wait_until_back(self, host: FleetHost) -> None:
        """Wait until a host that was judged has another row."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            find = partial(connection.execute, _LIVES, [host.process.pid])
            self.wait(lambda: find().fetchone() is not None, f"{host.name} to come back")

    def owned_by(self, host: FleetHost) -> int:
        """How many runtimes are written as a host's own."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            row = connection.execute(_OWNED, [host.process.pid]).fetchone()
        return 0 if row is None else int(row[0])

    def settle(self) -> None:
        """End the senders, and wait until every input has ended."""
        for each in self.hosts:
            _say(each, "quiet\n")
        for each in self.hosts:
            self.wait_for(each, "quiet")
        with psycopg.connect(self.url, autocommit=True) as connection:
            try:
                self.wait(lambda: connection.execute(_OPEN).fetchone() == (0,), "the inputs to end")
            except PromiseNotKept as exc:
                left = "\n".join(map(str, connection.execute(_LEFT).fetchall()))
                message = f"{exc}\n{left}"
                raise PromiseNotKept(message) from exc

    def end(self) -> None:
        """End the hosts in order."""
        ending, self.hosts = self.hosts, []
        for each in ending:
            _say(each, None)
        for each in ending:
            _end(each)
            expect(each.process.returncode == 0, f"{each.name}: {self._errors.read_text()[-3000:]}")

    def kill_all(self) -> None:
        """Kill whatever lives."""
        for each in [*self.hosts]:
            self.kill(each)

    def check(self) -> int:
        """Compare what was heard with the whole history; how many receipts that has. Raises `PromiseNotKept`."""
        history = read_history(self.url)
        found = [*contradictions(history, self.acknowledged), *wrong_times(self.url, self.since)]
        expect(not found, "\n".join(found[:20]))
        return len(history.received)

    def why(self) -> list[str]:
        """What of the history contradicts one serial order already, of a fleet that does not go on."""
        found = contradictions(read_history(self.url), self.acknowledged)
        return [each for each in found if not each.endswith(_UNFINISHED)]

    def stale_steps(self) -> list[Began]:
        """Steps that began under a token after another host had begun the same one under a later token."""
        latest: dict[tuple[str, str], int] = {}
        found: list[Began] = []
        for each in sorted(self.began, key=lambda each: each.at):
            place = each.runtime_id, each.key
            if each.fence_token < latest.get(place, 0):
                found.append(each)
            latest[place] = max(latest.get(place, 0), each.fence_token)
        return found


def _say(host: FleetHost, line: str | None) -> None:
    """Write a line to a host; None: close its input."""
    if host.process.stdin is not None:
        if line is None:
            host.process.stdin.close()
        else:
            host.process.stdin.write(line)
            host.process.stdin.flush()


def _end(host: FleetHost) -> None:
    host.process.wait(PATIENCE_S)
    if host.reader is not None:
        host.reader.join(PATIENCE_S)
    for stream in (host.process.stdin, host.process.stdout):
        if stream is not None:
            with suppress(BrokenPipeError):
                stream.close()


@contextmanager
def fleet(
    url: str,
    hosts: int,
    *,
    lease_s: float,
    renew_s: float,
    sown: Sequence[str] = (),
    clocks_s: float = 0.0,
    networks: Networks | None = None,
) -> Generator[Fleet]:
    """So many hosts at work, each with these mistakes; what is left of them is killed in the end."""
    terms = Terms(lease_s=lease_s, renew_s=renew_s, runtimes=RUNTIMES, clocks_s=clocks_s, mistakes=tuple(sown))
    with tempfile.TemporaryDirectory() as folder:
        made = Fleet(url, Path(folder), terms, networks)
        made.since = server_time(url)
        try:
            for each in [made.start() for _ in range(hosts)]:
                made.wait_for(each, "ready")
            yield made
        finally:
            made.kill_all()


def drawn(source: random.Random, made: Fleet) -> FleetHost:
    """One of the hosts that live."""
    return source.choice(made.hosts)
