"""Fail-overs that lose commits: ``python -m proof.fleet.failover --rounds 3``.

Two hosts work on a server that an asynchronous standby follows. The standby is cut off, the hosts work on, the server dies, and
the standby is promoted where it stood. Every host must stop with `StoreMoved` before it writes anything there; hosts that are
opened anew go on. No token may stand for two owners, over all that was ever acknowledged, and ``tenure verify --receipts`` must
name exactly the receipts that were given for what is lost.
"""

from __future__ import annotations

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Final, final

import attrs
import psycopg
import trio

import tenure
from proof.killed.killing import PromiseNotKept, expect
from tenure.errors import StoreMoved

from .server import REPLICATING, OwnServer

KIND: Final = "clerk"
RUNTIMES: Final = 6
HOSTS: Final = 2
INPUTS: Final = 24
"""In each part of a round."""

PATIENCE_S: Final = 60.0


@final
class Pair:
    """A server, and a standby that follows it asynchronously.

    Attributes:
        primary: The server that writes.
        standby: The one that follows.
    """

    def __init__(self, primary: OwnServer, standby: OwnServer) -> None:
        """Take servers that run with `REPLICATING`, the second as the standby of the first."""
        self.primary = primary
        self.standby = standby

    @property
    def url(self) -> str:
        """Of whichever of the two writes."""
        places = ",".join(f"127.0.0.1:{each.port}" for each in (self.primary, self.standby))
        return f"postgresql://postgres@{places}/postgres?target_session_attrs=read-write"

    def leave_behind(self) -> None:
        """The standby gets all that there is now, and hears of nothing that comes."""
        with psycopg.connect(self.primary.url) as one, psycopg.connect(self.standby.url, autocommit=True) as other:
            place = one.execute("SELECT pg_current_wal_lsn()").fetchone()
            while other.execute("SELECT pg_last_wal_replay_lsn() >= %s::pg_lsn", place).fetchone() != (True,):
                time.sleep(0.01)
        self.standby.stop()

    def fail_over(self) -> None:
        """The server dies, and its standby, which was left behind, is promoted where it stands."""
        self.primary.stop(signal.SIGQUIT)
        self.standby.start(**REPLICATING)
        self.standby.promote()

    def die(self) -> None:
        """The server dies while its standby follows, which is promoted."""
        self.primary.stop(signal.SIGQUIT)
        self.standby.promote()


@contextmanager
def standby_of(primary: OwnServer) -> Generator[Pair]:
    """A standby of a server that runs with `REPLICATING`, for the length of a block."""
    standby = OwnServer(follows=primary)
    try:
        standby.start(**REPLICATING)
        yield Pair(primary, standby)
    finally:
        standby.end()


@final
class Client:
    """Gives inputs to hosts, and keeps what they acknowledged.

    Attributes:
        receipts: By input, in the order in which they were given.
    """

    def __init__(self) -> None:
        """Nothing is given yet."""
        self._numbers = count()
        self.receipts: list[tenure.RunBoundaryReceipt] = []

    async def work(self, hosts: Sequence[tenure.Supervisor]) -> None:
        """Give `INPUTS` inputs to all runtimes, through all hosts in turn, and wait until they have ended."""
        async with trio.open_nursery() as nursery:
            for number in [next(self._numbers) for _ in range(INPUTS)]:
                nursery.start_soon(self._give, hosts[number % len(hosts)], number)

    async def _give(self, host: tenure.Supervisor, number: int) -> None:
        ticket = await host.accept(f"{KIND}/{number % RUNTIMES}", number, kind=KIND)
        await ticket.wait_outcome()

    async def clerk(self, run: tenure.Run) -> None:
        """The behaviour: an input goes into the conversation, and the receipt to the client."""
        for entry in run.inputs:
            run.session.append(entry.payload)
        self.receipts.append(await run.checkpoint())


async def _live(client: Client, pair: Pair) -> tuple[int, int]:
    """Work on a server that is failed over; how many receipts were given before it left its standby behind, and at its end."""
    moved: list[BaseException] = []
    ready: list[tenure.Supervisor] = []
    done = trio.Event()

    async def host() -> None:
        try:
            async with tenure.open_supervisor(pair.url, behaviours={KIND: client.clerk}) as supervisor:
                ready.append(supervisor)
                await done.wait()
                await trio.sleep(PATIENCE_S)
        except StoreMoved as exc:
            moved.append(exc)

    with trio.fail_after(2 * PATIENCE_S):
        async with trio.open_nursery() as nursery:
            for _ in range(HOSTS):
                nursery.start_soon(host)
            while len(ready) < HOSTS:  # noqa: ASYNC110 - two tasks of ours
                await trio.sleep(0.01)
            await client.work(ready)
            await trio.to_thread.run_sync(pair.leave_behind)
            kept = len(client.receipts)
            await client.work(ready)
            await trio.to_thread.run_sync(pair.fail_over)
            done.set()
    expect(len(moved) == HOSTS, f"{len(moved)} of {HOSTS} hosts stopped with StoreMoved")
    return kept, len(client.receipts)


async def _go_on(client: Client, url: str) -> None:
    async with tenure.open_supervisor(url, behaviours={KIND: client.clerk}) as supervisor:
        with trio.fail_after(PATIENCE_S):
            await client.work([supervisor])


def _found(url: str, receipts: Sequence[tenure.RunBoundaryReceipt]) -> list[str]:
    """What ``tenure verify --receipts`` says of each receipt."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "kept.jsonl")
        file.write_text("".join(f"{json.dumps(attrs.asdict(each))}\n" for each in receipts), encoding="utf-8")
        command = [sys.executable, "-m", "tenure.cli", "verify", url, "--receipts", str(file), "--json"]
        told = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - our own
    expect(told.returncode in {0, 1}, f"tenure verify: {told.stderr}")
    return [line["found"] for line in json.loads(told.stdout)]


def fail_over(rounds: int) -> str:
    """Fail over so many times, each time to a new standby; what came of it, in words. Raises `PromiseNotKept`."""
    client, lost = Client(), 0
    servers = [OwnServer()]
    began = time.monotonic()
    try:
        servers[0].start(**REPLICATING)
        for _ in range(rounds):
            servers.append(OwnServer(follows=servers[-1]))
            servers[-1].start(**REPLICATING)
            pair, before = Pair(*servers[-2:]), len(client.receipts)
            kept, end = trio.run(_live, client, pair)
            trio.run(_go_on, client, pair.url)
            found = _found(pair.url, client.receipts[before:])
            gone = [at for at, each in enumerate(found) if each != "there"]
            expect(gone == [*range(kept - before, end - before)], f"{kept - before}, {end - before}: named are {gone}")
            lost += len(gone)
    finally:
        for each in servers:
            each.end()
    owners: dict[int, set[str]] = {}
    for receipt in client.receipts:
        owners.setdefault(receipt.fence_token, set()).add(receipt.runtime_id)
    expect(all(len(each) == 1 for each in owners.values()), f"a token stands for two owners: {owners}")
    return (
        f"{rounds} fail-overs: {len(client.receipts)} receipts given, {lost} for what is lost, all named, "
        f"{len(owners)} tokens, none twice; {time.monotonic() - began:.0f} s"
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Fail over, and say what came of it; the exit code is 1 where a promise was not kept."""
    parser = argparse.ArgumentParser(prog="python -m proof.fleet.failover", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    asked = parser.parse_args(arguments)
    try:
        found = fail_over(asked.rounds)
    except PromiseNotKept as exc:
        sys.stdout.write(f"{exc}\n")
        return 1
    sys.stdout.write(f"{found}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
