"""Queries of users: their own SQL, which can read everything and change nothing.

Two walls, each enough by itself: the connection is opened for reading or set to ``query_only``; and an authorizer lets nothing
but SELECT and a few describing pragmas be prepared, which the cache of the store's own statements cannot get around.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing, suppress
from typing import Final

import apsw

from tenure.errors import InvalidInput, LimitReached
from tenure.persistence.engines.engine import (
    QueryParameters,
    QueryStopped,
    Row,
)

from .errors import map_error

_STEPS: Final = 2_000
"""Virtual machine steps of SQLite between two looks at whether the query was stopped; well below a millisecond."""

_READING: Final = frozenset({apsw.SQLITE_SELECT, apsw.SQLITE_READ, apsw.SQLITE_RECURSIVE})
_DESCRIBING: Final = frozenset({"table_info", "table_xinfo", "table_list", "index_list", "index_info", "index_xinfo"})
_REFUSED_FUNCTIONS: Final = frozenset({"load_extension", "fts3_tokenizer"})


def run_query(
    connection: apsw.Connection, sql: str, parameters: QueryParameters, limit: int, stopped: Callable[[], bool]
) -> list[Row]:
    """Run a query on a connection that cannot write.

    Raises:
        InvalidInput: No SQL, or more than a read.
        LimitReached: More rows than `limit`.
        QueryStopped: `stopped` said so.
    """
    rows: list[Row] = []
    try:
        connection.authorizer = _authorize
        connection.set_progress_handler(stopped, _STEPS)
        with closing(connection.cursor()) as cursor:
            cursor.exec_trace = _OneStatement()
            for row in cursor.execute(sql, parameters, can_cache=False):
                if len(rows) == limit:
                    raise LimitReached(what="rows of one query", limit=limit)
                rows.append(row)
    except apsw.InterruptError as exc:
        raise QueryStopped from exc
    except apsw.ExecTraceAbort as exc:
        raise InvalidInput(detail="it is one statement: two would read two moments", field="sql") from exc
    except apsw.AuthError as exc:
        raise InvalidInput(detail=f"only reads are allowed here ({exc})", field="sql") from exc
    except (apsw.SQLError, apsw.BindingsError, apsw.TooBigError, apsw.ReadOnlyError, apsw.MismatchError) as exc:
        raise InvalidInput(detail=str(exc), field="sql") from exc
    except apsw.Error as exc:
        raise map_error(exc, "query", connection) from exc
    except (TypeError, ValueError, OverflowError) as exc:
        raise InvalidInput(detail=str(exc), field="parameters") from exc
    finally:
        with suppress(apsw.ConnectionClosedError):  # a closed one has neither
            connection.set_progress_handler(None)
            connection.authorizer = None
    return rows


class _OneStatement:
    """Lets a cursor begin its first statement and no further one; a comment after it is none."""

    def __init__(self) -> None:
        self._begun = False

    def __call__(self, cursor: apsw.Cursor, *_: object) -> bool:
        if not cursor.has_vdbe:
            return True
        first, self._begun = not self._begun, True
        return first


def _authorize(operation: int, first: str | None, second: str | None, _database: str | None, _by: str | None) -> int:
    allowed = (
        operation in _READING
        or (operation == apsw.SQLITE_FUNCTION and second not in _REFUSED_FUNCTIONS)
        or (operation == apsw.SQLITE_PRAGMA and first in _DESCRIBING)
    )
    return apsw.SQLITE_OK if allowed else apsw.SQLITE_DENY
