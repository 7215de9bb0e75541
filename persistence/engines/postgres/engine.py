"""The PostgreSQL engine: one store is one schema of a database.

Theory of operation: one connection writes (`writer`) and belongs to the writer's executor; a few others read. Each is made anew
where it was lost. What the server answers is mapped in this package and nowhere else.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from importlib.resources import files
from typing import Any, final

import psycopg

from tenure.errors import WeakDurability
from tenure.persistence.engines.blobs import Blobs
from tenure.persistence.engines.engine import (
    MOST_VIEWS,
    QueryConnectionOfItsOwn,
    ReadConnection,
    StoredBytes,
    WriteConnection,
)
from tenure.persistence.engines.listeners import Listeners, NoListeners
from tenure.persistence.engines.proofs import HostProofs, NoProofs
from tenure.persistence.engines.statements import load_statements, parse_statements, schema_files
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams

from .blobs import TableBlobs
from .connecting import Connecting
from .connections import Reader
from .keys import Keys
from .opening import (
    asking,
    check_made,
    check_server,
    make_ready,
)
from .protocol.translation import Statement, key_columns, translated
from .server.clock import ServerClock
from .server.keeping import class_of
from .server.line import ServerLine
from .server.options import PostgresOptions
from .server.timeline import Timeline, has_moved, timeline_of
from .target import Target
from .user_queries import Query
from .writer import Writer


def _translated(statements: Mapping[str, str]) -> Mapping[str, Statement]:
    return {name: translated(sql) for name, sql in statements.items()}


def writing_statements() -> Mapping[str, str]:
    """Those that the connection that writes has in another form."""
    return parse_statements((files("tenure.persistence") / "engines" / "postgres" / "writing.sql").read_text("utf-8"))


@final
class PostgresEngine:
    """One schema of a database on a server."""

    name = "postgresql"
    requires_network = True
    shared = True
    alone = False

    def __init__(
        self,
        target: Target,
        durability: DurabilityClass | None,
        limits: Limits,
        seams: Seams,
        options: PostgresOptions,
        clock: ServerClock,
    ) -> None:
        """Keep what opening needs; touch nothing."""
        self._target = target
        self._asked = durability
        self._limits = limits
        self._view_s = limits.busy_s / MOST_VIEWS
        self._wall_clock = seams.wall_clock
        self._connecting = Connecting(target, limits, durability, clock)
        self._sql = load_statements("postgres/statements.sql")
        self._statements = _translated(self._sql)
        self.authority_key: str | None = None
        self.durability = durability or DurabilityClass.DISK
        self.hosts: HostProofs = NoProofs(self._connecting.sessions)
        self.listeners: Listeners = NoListeners(partial(ServerLine, self._connecting) if options.hints else None)
        self._tables = TableBlobs(self._connecting)
        self.blobs: Blobs = self._tables

    def free_bytes(self) -> int | None:
        """See `Engine.free_bytes`: a server does not say."""
        return None

    def stored_bytes(self) -> StoredBytes | None:
        """See `Engine.stored_bytes`: a question to the server, which not every thread may ask."""
        return None

    def share(self) -> None:
        """See `Engine.share`: who comes finds the tables, or makes them under a lock."""

    def open(self) -> WriteConnection:
        """See `Engine.open`."""
        if self._asked is not None and not self._asked.covers(DurabilityClass.DISK):
            raise WeakDurability(asked=self._asked, given="disk or quorum")
        connection = self._connecting.connect(writes=True)
        try:
            with asking(self._target, "checking the server"):
                check_server(connection, self._target)
                timeline = timeline_of(connection)
                self.authority_key = self._key(connection, timeline)
                self.durability = self._connecting.durability = self._asked or class_of(connection)
            with connection.long():  # after a fail-over all that is open is written
                self._connecting.timeline = make_ready(connection, self._target, timeline, self._wall_clock())
        except BaseException:
            connection.close()
            raise
        columns = key_columns(schema_files())
        wire = self._connecting.wire_over(connection, writes=True)
        keys = Keys(self._sql, columns)
        statements = {**self._statements, **_translated(writing_statements())}
        return Writer(self._connecting, wire, statements, keys, tuple(columns), self._wall_clock)

    def open_reader(self) -> ReadConnection:
        """See `Engine.open_reader`."""
        return Reader(self._connecting, None, self._statements, self._view_s)

    def open_look(self) -> tuple[ReadConnection, bool]:
        """A connection that reads, for a look, which is not a host and makes no tables; and whether no host can be there.

        That is known where the server was failed over, or the store read back, and no host has opened it since: who had it open
        writes nothing there.

        Raises:
            NotADatabase: No store stands there.
            CannotOpen, SchemaMismatch, Again: See `Engine.open`.
        """
        connection = self._connecting.connect(writes=False, lock_s=self._view_s)
        self.blobs = self._tables = TableBlobs(self._connecting, writes=False)  # it may be a standby
        try:
            with asking(self._target, "looking at the tables"):
                check_made(connection, self._target)
                alone = has_moved(connection)
        except BaseException:
            connection.close()
            raise
        wire = self._connecting.wire_over(connection, writes=False)
        return Reader(self._connecting, wire, self._statements, self._view_s, is_look=True), alone

    def open_query(self) -> QueryConnectionOfItsOwn:
        """See `Engine.open_query`."""
        return Query(self._connecting)

    def mark_broken(self, detail: str) -> None:
        """See `Engine.mark_broken`: the server keeps its own log in order, and the next host need not be alone."""

    def close(self) -> None:
        """See `Engine.close`."""
        self._tables.close()

    def _key(self, connection: psycopg.Connection, timeline: Timeline) -> str:
        row: Any = connection.execute("SELECT oid FROM pg_database WHERE datname = current_database()").fetchone()
        return f"postgresql:{timeline.system}:{row[0]}:{self._target.schema}"
