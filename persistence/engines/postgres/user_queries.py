"""Queries of users: their own SQL, which can read everything and change nothing.

Two walls: the transaction only reads, and a statement that returns no rows is not carried out at all.
"""

from __future__ import annotations

import math
import select
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, Final, final

import psycopg
from psycopg import pq

from tenure.errors import Contended, InvalidInput, LimitReached
from tenure.persistence.engines.engine import Again, QueryParameters, QueryStopped, Row, SqlValue

from .connecting import Connecting
from .protocol.errors import QUERY_CANCELED, error_of, map_error
from .protocol.patience import SILENCE_S, PatientConnection
from .protocol.translation import translated
from .protocol.values import TEXT, encoded, text_reader_of, type_of
from .server.pooling import SHARED, WHOSE

_LOOK_MS: Final = 20
"""Milliseconds between two looks at whether the query was stopped."""

CANCEL_S: Final = 5.0
"""Seconds for the server to be reached with the wish that a query is stopped."""

CANCEL_AGAIN_S: Final = 0.5
"""Seconds between two, while a query that is stopped goes on."""

_END: Final = b"ROLLBACK; SELECT pg_advisory_unlock_all()"
"""Ends a query. What it has set goes with the transaction, and what it has locked for its session does not."""

_USERS_FAULT: Final = (
    "22",
    "25",
    "42",
    "0A",
    "54",
    "21",
    "2B",
    "2F",
    "38",
    "39",
    "P0",
    "3D",
    "3F",
    "0L",
    "0P",
    "26",
    "34",
)


@final
class Query:
    """See `QueryConnectionOfItsOwn`."""

    def __init__(self, connecting: Connecting) -> None:
        """Connect with the first query, and anew where the connection was lost."""
        self._connecting = connecting
        self._connection: PatientConnection | None = None

    def query(self, sql: str, parameters: QueryParameters, limit: int, stopped: Callable[[], bool], /) -> list[Row]:
        """See `QueryConnectionOfItsOwn.query`. Raises `Contended` where the connection is lost meanwhile, or cannot be made.

        A query whose connection is lost is not begun anew: it may be what its server process has died of.
        """
        if self._connection is not None and _is_gone(self._connection):
            self.close()
        try:
            if self._connection is None:
                self._connection = self._connecting.connect_within(self._connecting.limits.busy_s, writes=False)
            return run_query(self._connection, sql, parameters, limit, stopped)
        except (Again, psycopg.OperationalError) as exc:
            self.close()
            raise Contended(detail=f"query: {exc}") from exc

    def close(self) -> None:
        """See `QueryConnectionOfItsOwn.close`."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _is_gone(connection: psycopg.Connection) -> bool:
    """Whether an idle connection was lost: the server was started anew since the last query, say."""
    pg = connection.pgconn
    try:
        poll = select.poll()
        poll.register(pg.socket, select.POLLIN)
        while poll.poll(0):
            pg.consume_input()  # at the end of what came it says so
    except psycopg.OperationalError:
        return True
    return False


def run_query(
    connection: PatientConnection, sql: str, parameters: QueryParameters, limit: int, stopped: Callable[[], bool]
) -> list[Row]:
    """Run a query in a transaction that only reads.

    Raises:
        InvalidInput: No SQL, more than a read, or parameters that do not fit.
        LimitReached: More rows than `limit`.
        QueryStopped: `stopped` said so.
        psycopg.OperationalError: The connection is lost, or has another session of the server.
    """
    text, values = _bound(sql, parameters)
    pg = connection.pgconn
    pg.nonblocking = 1
    asking = _Asking(connection, stopped)
    asking.finish(lambda: pg.send_query(b"BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"))
    try:
        if connection.session is not None:
            (whose,) = asking.finish(lambda: pg.send_query(WHOSE))
            if not connection.session.is_there(whose.get_value(0, 0)):
                raise psycopg.OperationalError(SHARED)
        types = [type_of(value) for value in values]
        asking.finish(lambda: pg.send_prepare(b"", text, types))
        (described,) = asking.finish(lambda: pg.send_describe_prepared(b""))
        if described.nfields == 0:
            raise InvalidInput(detail="only reads are allowed here", field="sql")
        pairs = [_encoded(value) for value in values]
        pg.send_query_prepared(b"", [data for data, _ in pairs], [form for _, form in pairs], TEXT)
        return asking.rows(limit)
    finally:
        with suppress(psycopg.OperationalError):  # the first error is on its way, and the next query connects anew
            _Asking(connection, _never, patience_s=SILENCE_S).finish(lambda: pg.send_query(_END))


def _bound(sql: str, parameters: QueryParameters) -> tuple[bytes, list[SqlValue]]:
    """The SQL with numbered parameters, and their values. Raises `InvalidInput`."""
    statement = translated(sql)
    if isinstance(parameters, Mapping):
        missing = [name for name in statement.names if name not in parameters]
        values = [parameters[name] for name in statement.names if name in parameters]
    else:
        values = list(parameters)
        missing = list(statement.names[len(values) :])
    if missing:
        raise InvalidInput(detail=f"no value for {', '.join(missing)}", field="parameters")
    try:
        return statement.sql.encode(), values
    except UnicodeEncodeError as exc:
        raise InvalidInput(detail=str(exc), field="sql") from exc


def _encoded(value: SqlValue) -> tuple[bytes | None, int]:
    try:
        return encoded(value)
    except TypeError as exc:
        raise InvalidInput(detail=str(exc), field="parameters") from exc


def _never() -> bool:
    return False


@final
class _Asking:
    """Waits for the server, and asks again and again whether to go on.

    For a query as long as it takes; for what follows one that was stopped, and for what takes no time, so many seconds.
    """

    def __init__(
        self, connection: psycopg.Connection, stopped: Callable[[], bool], patience_s: float = math.inf
    ) -> None:
        self._connection = connection
        self._pg = pg = connection.pgconn
        self._stopped = stopped
        self._give_up_at = time.monotonic() + patience_s
        self._poll = select.poll()
        self._poll.register(pg.socket, select.POLLIN)
        self._cancelled = False
        self._cancel_at = 0.0

    def finish(self, send: Callable[[], Any]) -> list[pq.abc.PGresult]:
        """Send a command and wait for its results. Raises what they say."""
        send()
        results: list[pq.abc.PGresult] = []
        while (result := self._next()) is not None:
            results.append(result)
        for result in results:
            self._check(result)
        if self._cancelled:  # by then the command had ended: what comes after it would go on for ever
            raise QueryStopped
        return results

    def rows(self, limit: int) -> list[Row]:
        """The rows of the statement that was sent; one that has too many is stopped."""
        self._pg.set_single_row_mode()
        rows: list[Row] = []
        failed: pq.abc.PGresult | None = None
        while (result := self._next()) is not None:
            if result.status == pq.ExecStatus.FATAL_ERROR:
                failed = result
            elif len(rows) <= limit:
                rows += _rows_of(result)
            else:
                self._cancel()  # what it still sends is thrown away
        if len(rows) > limit:
            raise LimitReached(what="rows of one query", limit=limit)
        if failed is not None:
            self._check(failed)
        return rows

    def _next(self) -> pq.abc.PGresult | None:
        while self._pg.flush():
            self._poll.modify(self._pg.socket, select.POLLIN | select.POLLOUT)
            self._wait()
        self._poll.modify(self._pg.socket, select.POLLIN)
        while self._pg.is_busy():
            self._wait()
        return self._pg.get_result()

    def _wait(self) -> None:
        ready = self._poll.poll(_LOOK_MS)
        if ready and ready[0][1] & ~select.POLLOUT:
            self._pg.consume_input()
        if self._cancelled or self._stopped():
            self._cancel()
        if time.monotonic() >= self._give_up_at:
            self._pg.finish()
            message = "no word from the server"
            raise psycopg.OperationalError(message)

    def _cancel(self) -> None:
        now = time.monotonic()
        if not self._cancelled:
            self._cancelled = True
            self._give_up_at = now + SILENCE_S
        elif now < self._cancel_at:
            return
        # Again and again: a server forgets one that comes before the query does.
        with suppress(psycopg.Error):  # it may have ended
            self._connection.cancel_safe(timeout=CANCEL_S)
        self._cancel_at = time.monotonic() + CANCEL_AGAIN_S

    def _check(self, result: pq.abc.PGresult) -> None:
        if result.status != pq.ExecStatus.FATAL_ERROR:
            return
        error = error_of(result)
        if error.ends or self._pg.status == pq.ConnStatus.BAD:
            raise psycopg.OperationalError(error.message)
        if error.state == QUERY_CANCELED and self._cancelled:
            raise QueryStopped
        if error.state.startswith(_USERS_FAULT):
            raise InvalidInput(detail=error.message, field="sql")
        raise map_error(error, "query")


def _rows_of(result: pq.abc.PGresult) -> list[Row]:
    readers = [text_reader_of(result.ftype(at)) for at in range(result.nfields)]
    value = result.get_value
    return [
        tuple([None if (data := value(row, at)) is None else read(data) for at, read in enumerate(readers)])
        for row in range(result.ntuples)
    ]
