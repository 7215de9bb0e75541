"""Which server holds a store, and on which timeline: what changes where a fail-over, or a copy, may have lost commits.

A standby that is promoted begins a new timeline, and so does a server that is brought back to an earlier moment; a dump that
is read back stands in another system, or in another table of the same. Each may lack commits that were acknowledged. Who
opens the store there first raises every counter from which something is handed out, so that nothing comes twice, and ends
all hosts, before a host writes anything. A host that finds itself there with what it remembers stops (`Moved`).

Two standbys of one server that are promoted one after another are on timelines of the same number, and the second knows nothing
of the first. So a number is drawn where a store settles in, by which the two differ, and the raise of the counters with it.
"""

from __future__ import annotations

import secrets
from typing import Any, Final, final

import psycopg
from attrs import evolve, frozen
from psycopg import sql

from tenure.errors import CounterOverflow
from tenure.persistence.model.values import LAST_TOKEN, TOKEN_RAISE

TIMELINE: Final = (
    "(SELECT system_identifier FROM pg_control_system())",
    """CASE WHEN pg_is_in_recovery() THEN NULL
            ELSE ('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int8 END""",
)
"""Asks for the two halves of a timeline. The control file shows the old timeline for a while after a promotion; the name of
the log's file shows the new one at once. Any role may ask."""

RAISES: Final = 2**12
"""Counters are raised by one of so many multiples of `TOKEN_RAISE`."""

TABLE: Final = """CREATE TABLE timeline (
    singleton INTEGER PRIMARY KEY CHECK (singleton = 1), system BIGINT NOT NULL, number BIGINT NOT NULL,
    database BIGINT NOT NULL, made_as BIGINT NOT NULL, drawn BIGINT NOT NULL
)"""
"""Where the store stands. `made_as` is the number of this very table: what a dump makes anew has another one."""

_STANDS_IN: Final = (
    "(SELECT oid::int8 FROM pg_database WHERE datname = current_database())",
    "'timeline'::regclass::oid::int8",
)

_STOOD: Final = "SELECT system, number, database, made_as, drawn FROM timeline"

_RAISE_KEYS: Final = """
SELECT setval(each, nextval(each) + %s) FROM (
    SELECT format('%%I.%%I', schemaname, sequencename)::regclass AS each FROM pg_sequences WHERE schemaname = current_schema()
) AS sequences
"""


@final
@frozen(kw_only=True, slots=True)
class Timeline:
    """A server at a time between two fail-overs.

    Attributes:
        system: What `initdb` drew for it; its standbys have the same.
        number: One more with each promotion; None: a standby, which only reads.
        drawn: The number that the store has drawn there; 0 before.
    """

    system: int
    number: int | None
    drawn: int = 0

    @property
    def words(self) -> str:
        """For people."""
        return f"timeline {self.number} of system {self.system}"


def timeline_of(connection: psycopg.Connection) -> Timeline:
    """Where a connection leads to. Raises `psycopg.Error`."""
    row: Any = connection.execute(f"SELECT {', '.join(TIMELINE)}".encode()).fetchone()
    return Timeline(system=row[0], number=row[1])


def drawn_in(schema: str) -> sql.Composed:
    """Asks for `Timeline.drawn`, of a store that has its tables."""
    return sql.SQL("(SELECT coalesce(max(drawn), 0) FROM {}.timeline)").format(sql.Identifier(schema))


def has_moved(connection: psycopg.Connection) -> bool:
    """Whether the store stands elsewhere than its last host left it, and no host has settled in yet. Raises `psycopg.Error`.

    Not on a standby, whose hosts are at the server that it follows.
    """
    here = timeline_of(connection)
    row: Any = connection.execute(_STOOD).fetchone()
    return here.number is not None and row is not None and row[:-1] != _found(connection, here)


def settle_in(connection: psycopg.Connection, here: Timeline, now: float) -> Timeline:
    """Note where the store stands, inside the transaction that checks the tables, which one connection has at a time.

    Returns the same with the number that was drawn there.

    Where it stood elsewhere: tokens and keys are raised, every host is lost, as one whose lease has lapsed is, and all that
    is unfinished in the inboxes counts as just come in, as numbers of transactions may begin anew.

    Raises:
        CounterOverflow: There are not so many tokens left.
    """
    found = _found(connection, here)
    row: Any = connection.execute(_STOOD).fetchone()
    drawn = secrets.randbits(62)
    if row is None:
        connection.execute("INSERT INTO timeline VALUES (1, %s, %s, %s, %s, %s)", (*found, drawn))
    elif row[:-1] == found:
        drawn = row[-1]
    else:
        connection.execute(
            "UPDATE timeline SET system = %s, number = %s, database = %s, made_as = %s, drawn = %s", (*found, drawn)
        )
        by = TOKEN_RAISE * (1 + drawn % RAISES)
        _raise_tokens(connection, by)
        connection.execute(_RAISE_KEYS, (by,))
        connection.execute(
            "UPDATE hosts SET lost_at = %s, lost_how = 'lapsed' WHERE closed_at IS NULL AND lost_at IS NULL", (now,)
        )
        connection.execute("UPDATE inputs SET landed = DEFAULT WHERE finished_at IS NULL")
    return evolve(here, drawn=drawn)


def _found(connection: psycopg.Connection, here: Timeline) -> tuple[Any, ...]:
    """Where the store stands, as its row would say it."""
    stands: Any = connection.execute(f"SELECT {', '.join(_STANDS_IN)}".encode()).fetchone()
    return here.system, here.number, *stands


def _raise_tokens(connection: psycopg.Connection, by: int) -> None:
    row: Any = connection.execute("SELECT last_fence_token FROM store FOR UPDATE").fetchone()
    if row is None:
        return  # no host has ever opened it
    if row[0] > LAST_TOKEN - by:
        raise CounterOverflow(counter="fence_token")
    connection.execute("UPDATE store SET last_fence_token = last_fence_token + %s", (by,))
