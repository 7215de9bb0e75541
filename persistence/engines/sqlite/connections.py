"""Connections to a SQLite file: what runs named statements, and what only reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import final

import apsw

from tenure.persistence.engines.engine import QueryParameters, Row, SqlValue

from .errors import STATEMENT_ERRORS, close_quietly, map_error, map_statement_error
from .executing.forms import Forms
from .user_queries import run_query


class Connection:
    """Runs named statements on one APSW connection."""

    def __init__(self, connection: apsw.Connection, statements: Mapping[str, str]) -> None:
        """Take the connection."""
        self._db = connection
        self._forms = Forms(statements)

    def one(self, name: str, /, **parameters: SqlValue) -> Row | None:
        """See `Statements.one`."""
        form = self._forms[name]
        try:
            return self._db.execute(form.sql, form.values(parameters)).fetchone()
        except STATEMENT_ERRORS as exc:
            raise map_statement_error(exc, name, self._db) from exc

    def all(self, name: str, /, **parameters: SqlValue) -> list[Row]:
        """See `Statements.all`."""
        form = self._forms[name]
        try:
            return self._db.execute(form.sql, form.values(parameters)).fetchall()
        except STATEMENT_ERRORS as exc:
            raise map_statement_error(exc, name, self._db) from exc

    def readable(self, name: str, /, **parameters: SqlValue) -> list[Row]:
        """See `Statements.readable`."""
        form = self._forms[name]
        rows: list[Row] = []
        try:
            cursor = self._db.execute(form.sql, form.values(parameters))
            while True:
                try:
                    row = cursor.fetchone()
                except UnicodeDecodeError:
                    continue  # the cursor stands after that row
                if row is None:
                    return rows
                rows.append(row)
        except STATEMENT_ERRORS as exc:
            raise map_statement_error(exc, name, self._db) from exc

    def _execute(self, sql: str) -> None:
        try:
            self._db.execute(sql)
        except apsw.Error as exc:
            raise map_error(exc, sql, self._db) from exc


@final
class Reader(Connection):
    """See `ReadConnection`."""

    def begin_read(self) -> None:
        """See `ReadConnection.begin_read`."""
        self._execute("BEGIN")

    def end_read(self) -> None:
        """See `ReadConnection.end_read`."""
        if self._db.in_transaction:
            self._execute("ROLLBACK")

    def close(self) -> None:
        """See `ReadConnection.close`."""
        close_quietly(self._db)


@final
class Query:
    """See `QueryConnectionOfItsOwn`."""

    def __init__(self, connection: apsw.Connection) -> None:
        """Take the connection."""
        self._db = connection

    def query(self, sql: str, parameters: QueryParameters, limit: int, stopped: Callable[[], bool], /) -> list[Row]:
        """See `QueryConnectionOfItsOwn.query`."""
        return run_query(self._db, sql, parameters, limit, stopped)

    def close(self) -> None:
        """See `QueryConnectionOfItsOwn.close`."""
        close_quietly(self._db)
