"""Faults under load: ``python -m proof.fleet.faults --away 60``.

Three hosts work on one server, which crashes, restarts, loses its connections or a backend, or is away; a host is frozen inside
a transaction; a neighbour locks the row of a runtime and does nothing. After each of them every host must go on by itself. In
the end every input must have been consumed, and the history must be one serial order for each runtime (`proof/fleet/order.py`).
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final, final

import psycopg
from attrs import frozen

from proof.killed.killing import PromiseNotKept, expect

from .hosts import PATIENCE_S, Fleet, fleet
from .server import OwnServer, own_server

LEASE_S: Final = 2.0
RENEW_S: Final = 0.5
GOES_ON: Final = 20
"""So many more inputs of each host say that it goes on."""

_OTHERS: Final = "FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND backend_type = 'client backend'"
_STUCK: Final = (
    f"SELECT 1 {_OTHERS} AND state = 'idle in transaction' AND state_change < clock_timestamp() - interval '0.3 s'"
)


@final
@frozen(kw_only=True, slots=True)
class Terms:
    """How long faults last.

    Attributes:
        away_s: Seconds for which the server is away.
        idle_s: Seconds for which a neighbour holds its lock.
    """

    away_s: float
    idle_s: float


def crash(_made: Fleet, server: OwnServer, _terms: Terms) -> None:
    """The server crashes and comes back."""
    server.stop(signal.SIGQUIT)
    server.start()


def restart(_made: Fleet, server: OwnServer, _terms: Terms) -> None:
    """The server is stopped, which ends every connection, and started."""
    server.stop(signal.SIGINT)
    server.start()


def away(_made: Fleet, server: OwnServer, terms: Terms) -> None:
    """The server is away for long."""
    server.stop(signal.SIGINT)
    time.sleep(terms.away_s)
    server.start()


def cut_all(_made: Fleet, server: OwnServer, _terms: Terms) -> None:
    """Every connection is ended, three times."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        for _ in range(3):
            connection.execute(f"SELECT pg_terminate_backend(pid) {_OTHERS}".encode())


def kill_backend(made: Fleet, server: OwnServer, _terms: Terms) -> None:
    """A backend dies by SIGKILL: the server ends all others, and recovers."""
    with psycopg.connect(server.url, autocommit=True) as connection:
        row = connection.execute(f"SELECT pid {_OTHERS} ORDER BY random() LIMIT 1".encode()).fetchone()
    expect(row is not None, f"no backend among those of {len(made.hosts)} hosts")
    if row is not None:
        os.kill(row[0], signal.SIGKILL)


def freeze(made: Fleet, server: OwnServer, _terms: Terms) -> None:
    """A host is frozen inside a transaction until the others have judged it, and thawed."""
    give_up_at = time.monotonic() + PATIENCE_S
    host = made.hosts[0]
    with psycopg.connect(server.url, autocommit=True) as connection:
        while True:
            expect(time.monotonic() < give_up_at, "a host is never caught inside a transaction")
            host.process.send_signal(signal.SIGSTOP)
            time.sleep(0.5)
            if connection.execute(_STUCK.encode()).fetchone() is not None:
                break
            host.process.send_signal(signal.SIGCONT)
            time.sleep(0.05)
    try:
        made.wait_until_judged(host)
    finally:
        host.process.send_signal(signal.SIGCONT)


def idle_neighbour(_made: Fleet, server: OwnServer, terms: Terms) -> None:
    """A neighbour locks the row of a runtime in a transaction, and does nothing."""
    with psycopg.connect(server.url) as connection:
        connection.execute("SELECT 1 FROM tenure.runtimes WHERE runtime_id = 'clerk/3' FOR UPDATE")
        time.sleep(terms.idle_s)
        connection.rollback()


FAULTS: Final[Mapping[str, Callable[[Fleet, OwnServer, Terms], None]]] = {
    "crash of the server": crash,
    "restart": restart,
    "all connections cut": cut_all,
    "a backend killed": kill_backend,
    "server away": away,
    "a host frozen in a transaction": freeze,
    "a neighbour with a lock": idle_neighbour,
}


def bring(server: OwnServer, terms: Terms, tell: Callable[[str], None], faults: Sequence[str] = (*FAULTS,)) -> int:
    """Bring each of these faults, and tell what came of it; how many inputs were acknowledged. Raises `PromiseNotKept`."""
    with fleet(server.url, 3, lease_s=LEASE_S, renew_s=RENEW_S) as made:
        for name in faults:
            made.wait_for_all(1)
            contended, began = made.contended, time.monotonic()
            FAULTS[name](made, server, terms)
            over = time.monotonic()
            made.wait_for_all(GOES_ON)
            tell(
                f"{name}: {over - began:.1f} s; every host goes on within {time.monotonic() - over:.1f} s, "
                f"{made.contended - contended} callers were told to try again"
            )
        made.settle()
        made.end()
        receipts = made.check()
        tell(f"{len(made.acknowledged)} inputs acknowledged, {receipts} receipts in one serial order a runtime")
        return len(made.acknowledged)


def main(arguments: Sequence[str] | None = None) -> int:
    """Bring faults, and say what came of them; the exit code is 1 where a promise was not kept."""
    parser = argparse.ArgumentParser(prog="python -m proof.fleet.faults", description=__doc__)
    parser.add_argument("--away", type=float, default=60.0, help="seconds for which the server is away (60)")
    parser.add_argument("--idle", type=float, default=20.0, help="seconds for which a neighbour holds a lock (20)")
    parser.add_argument("--folder", type=Path, help="where the files of the server are made (default: in memory)")
    asked = parser.parse_args(arguments)

    def tell(line: str) -> None:
        sys.stdout.write(f"{line}\n")
        sys.stdout.flush()

    with own_server(asked.folder) as server:
        try:
            bring(server, Terms(away_s=asked.away, idle_s=asked.idle), tell)
        except PromiseNotKept as exc:
            tell(str(exc))
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
