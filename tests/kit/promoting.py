"""Stores that are promoted: what stands in them, as no code of the promotion reads it; and processes that promote and die.

    python -m tests.kit.promoting

reads lines of a source, a target and a number. For each one a process promotes, and kills itself at that call of a store,
or for 0 says how many it took; then a line says how it ended. It is forked: most of what a new one would cost is its imports.
"""

from __future__ import annotations

import functools
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any, final

import apsw
import psycopg
import trio
from attrs import frozen

from tenure.persistence.engines.choice import door_to
from tenure.persistence.engines.postgres.blobs import TableBlobs
from tenure.persistence.engines.postgres.writer import Writer as PostgresWriter
from tenure.persistence.engines.promotion import PromotionState
from tenure.persistence.engines.sqlite.blobs import FolderBlobs
from tenure.persistence.engines.sqlite.connections import Connection
from tenure.persistence.engines.sqlite.writer import Writer as SqliteWriter
from tenure.persistence.upkeep.promoting.ends import glance
from tenure.persistence.upkeep.promoting.promote import Promotion, promote
from tests.architecture.tree import ROOT
from tests.kit.processes import PATIENCE_S
from tests.persistence.contracts.damage import SCHEMA

Rows = dict[str, list[tuple[Any, ...]]]


@final
@frozen(kw_only=True)
class Way:
    """From where to where a store goes."""

    source: str
    target: str

    async def go(self) -> Promotion:
        return await promote(self.source, self.target)

    async def put(self, path: object) -> None:
        """Have the store of a file stand at the source."""
        await promote(str(path), self.source)


def is_server(place: str) -> bool:
    return place.startswith("postgresql://")


def rows_of(place: str) -> Rows:
    """Every row of a store that no host has open, asked of its database."""
    statements = {table: f"SELECT {', '.join(columns)} FROM {table}" for table, columns in SCHEMA.items()}
    if not is_server(place):
        database = apsw.Connection(place, apsw.SQLITE_OPEN_READONLY)
        found = {table: list(database.execute(sql)) for table, sql in statements.items()}
        database.close()
    else:
        with psycopg.connect(place.partition("?")[0]) as server:
            server.execute(f"SET search_path = {place.partition('?schema=')[2] or 'tenure'}".encode())
            found = {table: server.execute(sql.encode()).fetchall() for table, sql in statements.items()}
    return {table: sorted([tuple(row) for row in rows], key=repr) for table, rows in found.items()}


def carried(rows: Rows) -> Rows:
    """What of these goes along as it is."""
    without = {"hosts": "files", "store": "last_fence_token"}
    left = {table: SCHEMA[table].index(column) for table, column in without.items()}
    kept = {table: [row[: left[table]] + row[left[table] + 1 :] for row in rows[table]] for table in without}
    return {**{table: found for table, found in rows.items() if table != "promotion"}, **kept}


def bytes_of(place: str) -> dict[str, bytes]:
    """The attachments of a store, by name."""
    engine = door_to(place).engine(None)
    try:
        blobs = engine.blobs
        return {name: blobs.read(name, 0, 1 << 24) or b"" for name in blobs.names()}
    finally:
        engine.close()


def is_open(place: str) -> bool:
    """Whether there is a store that a host may open. For places where something is."""
    seen = glance(door_to(place))
    return seen.is_store and (seen.whereabouts is None or seen.whereabouts.state is PromotionState.HERE)


COUNTED: dict[type, tuple[str, ...]] = {
    Connection: ("one", "all"),
    SqliteWriter: ("write", "run", "commit", "begin_unnumbered", "close"),
    PostgresWriter: ("all", "write", "run", "commit", "begin_unnumbered", "close"),
    FolderBlobs: ("begin", "write", "keep", "replace", "remove", "take", "give_back", "drop_taken"),
    TableBlobs: ("begin", "write", "keep", "replace", "remove", "take", "give_back", "drop_taken"),
}


@final
class Mortal:
    """Counts calls, and dies before one of them, or after it."""

    def __init__(self, at: int) -> None:
        self._at = at
        self.count = 0

    def _pass(self) -> None:
        self.count += 1
        if self.count == self._at:
            os.kill(os.getpid(), signal.SIGKILL)

    def around(self, method: Callable[..., Any]) -> Callable[..., Any]:
        @functools.wraps(method)
        def counted(*args: Any, **terms: Any) -> Any:
            self._pass()
            answer = method(*args, **terms)
            self._pass()
            return answer

        return counted


def promote_and_die(source: str, target: str, at: int) -> None:
    mortal = Mortal(at)
    for kind, names in COUNTED.items():
        for name in names:
            setattr(kind, name, mortal.around(getattr(kind, name)))
    trio.run(promote, source, target)
    os.write(1, b"%d " % mortal.count)


@final
class Promoting:
    """Promotes in processes of their own, see above."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def __call__(self, way: Way, at: int = 0) -> tuple[int, int]:
        """How a process ended that is killed at this call, for 0 at none; and how many calls it took, 0 where it was killed."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{way.source}\t{way.target}\t{at}\n")
        self._process.stdin.flush()
        killer = threading.Timer(PATIENCE_S, self._process.kill)
        killer.start()
        said = self._process.stdout.readline()
        killer.cancel()
        *calls, ended = map(int, said.split())
        return ended, sum(calls)


@contextmanager
def promoting() -> Generator[Promoting]:
    command = [sys.executable, "-m", "tests.kit.promoting"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT) as process:
        try:
            yield Promoting(process)
        finally:
            process.kill()


def main() -> None:
    for line in sys.stdin:
        source, target, at = line.rstrip("\n").split("\t")
        child = os.fork()
        if child == 0:
            code = 1
            try:
                promote_and_die(source, target, int(at))
                code = 0
            except BaseException:  # noqa: BLE001 - what a forked process may not leave by
                traceback.print_exc()
            finally:
                os._exit(code)
        _, status = os.waitpid(child, 0)
        os.write(1, b"%d\n" % os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main()
