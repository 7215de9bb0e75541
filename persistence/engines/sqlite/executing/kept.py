"""Rows of a group that are kept until they are needed, and written many by one statement.

What a group writes and asks no answer for need not be in the database before something reads it, or the group ends. So rows of
one statement gather here, and are written together: 28 calls into SQLite in place of 400 for the boundaries of 100 runs,
between which a busy loop would take the interpreter lock each time.

One rule keeps the order. No table has rows of two statements here, and before a statement is executed, the rows of every table
that it touches are written. Rows of different tables do not depend on one another: no table of a store has triggers or foreign
keys.

An error of such a write is of no commit that could be named: it is `FailedLate`, and the group is carried out again in
savepoints, where nothing is kept. So is a row that was to be updated and is not there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import final

import apsw

from tenure.persistence.engines.engine import FailedLate, SqlValue, UnknownOutcome
from tenure.persistence.engines.sqlite.errors import STATEMENT_ERRORS, map_statement_error

from .forms import SIZES, Many

Row = tuple[SqlValue, ...]


@final
class Kept:
    """The rows that are kept.

    Attributes:
        tables: Their tables, each with its statement. Where there are some, `touch` goes before another statement.
        count: How many rows were kept since the connection was opened.
        written: How many of them were written, as the connection counts what it changes.
    """

    def __init__(self, connection: apsw.Connection) -> None:
        """Keep nothing yet."""
        self._db = connection
        self._rows: dict[Many, list[Row]] = {}
        self.tables: dict[str, Many] = {}
        self.count = 0
        self.written = 0

    def keep(self, many: Many, parameters: Mapping[str, SqlValue]) -> None:
        """Keep a row. Raises as `write`, where its table has rows of another statement."""
        self._rows_of(many).append(many.values(parameters))
        self.count += 1

    def keep_all(self, many: Many, columns: Mapping[str, Sequence[SqlValue]]) -> None:
        """Keep rows that are given by column; see `keep`."""
        rows = self._rows_of(many)
        before = len(rows)
        rows.extend(zip(*[columns[name] for name in many.names], strict=True))
        self.count += len(rows) - before

    def _rows_of(self, many: Many) -> list[Row]:
        rows = self._rows.get(many)
        if rows is None:
            if many.table in self.tables:
                self._write([self.tables[many.table]])
            self.tables[many.table] = many
            rows = self._rows[many] = []
        return rows

    def touch(self, tables: frozenset[str]) -> None:
        """Write what is kept of these tables. Raises as `write`."""
        if not tables.isdisjoint(self.tables):
            self._write([many for table, many in self.tables.items() if table in tables])

    def write(self) -> None:
        """Write all that is kept.

        Raises:
            FailedLate: A statement has failed, or has not written each of its rows.
            UnknownOutcome: What is on disk cannot be known.
        """
        if self.tables:
            self._write(list(self.tables.values()))

    def forget(self) -> None:
        """The transaction was rolled back."""
        self._rows.clear()
        self.tables.clear()

    def _write(self, statements: Iterable[Many]) -> None:
        before = self._db.total_changes()
        try:
            for many in statements:
                del self.tables[many.table]
                self._write_rows(many, self._rows.pop(many))
        except (*STATEMENT_ERRORS, UnicodeEncodeError, TypeError) as exc:
            if isinstance(exc, STATEMENT_ERRORS):
                mapped = map_statement_error(exc, "rows that were kept", self._db)
                if isinstance(mapped, UnknownOutcome):
                    raise mapped from exc
            raise FailedLate(str(exc)) from exc
        finally:
            self.written += self._db.total_changes() - before

    def _write_rows(self, many: Many, rows: list[Row]) -> None:
        if many.keyed:
            rows = list({row[-1]: row for row in rows}.values())
        for part in _parts(rows):
            self._db.execute(many.texts[len(part)], tuple(chain.from_iterable(part)))
            if many.counted and self._db.changes() != len(part):
                message = f"{self._db.changes()} of {len(part)} rows of {many.table} were there"
                raise FailedLate(message)


def _parts(rows: list[Row]) -> Iterator[list[Row]]:
    """Rows in parts of the sizes that there are statements for."""
    at = 0
    for size in (*SIZES, 1):
        while len(rows) - at >= size:
            yield rows[at : at + size]
            at += size
