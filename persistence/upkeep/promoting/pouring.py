"""What is written into the target of a promotion: attachments, then every row in one transaction."""

from __future__ import annotations

import hashlib
from typing import Final, final

from tenure.errors import CounterOverflow, InvalidInput
from tenure.persistence.engines.blobs import Blobs
from tenure.persistence.engines.engine import Row, SqlValue, Statements, WriteConnection
from tenure.persistence.engines.floors import FLOORS, floor_of
from tenure.persistence.engines.tables import PREFIX, Table
from tenure.persistence.model.values import LAST_TOKEN, TOKEN_RAISE

from .logical_hash import LogicalHash
from .walking import Between, carried_tables, measured, parts, slices

LONG: Final = 2_000
"""Bytes of texts of a row in indexes from which on it is tried whether the target takes them."""

NAMED: Final = 20
"""Rows that a refusal names, at most."""


@final
class Trial:
    """Finds out which rows the target does not take, before anything is written there.

    What an engine refuses depends on it: a text with NUL, or one that is too long for an index, which depends on how well it
    can be compressed. So rows that may be refused are inserted, one by one, in a transaction that is rolled back.
    """

    def __init__(self, target: WriteConnection) -> None:
        """Try nothing yet."""
        self._target = target
        self._begun = False
        self._refused: list[str] = []
        self._count = 0

    def see(self, table: Table, row: Row) -> None:
        """Look at a row of the source, and try it where it may be refused."""
        if not _may_be_refused(table, row):
            return
        if not self._begun:
            self._target.begin_unnumbered()
            self._begun = True
            self._target.one("promotion.be_patient")
            clear(self._target)
        self._target.savepoint()
        try:
            self._target.run(f"{PREFIX}add.{table.name}", **_values(table, row))
            self._target.release()
        except InvalidInput as exc:
            self._refused.append(f"{table.name} {row[0]}: {exc.detail}")
            self._count += 1
            del self._refused[NAMED:]
            self._target.rollback_to_savepoint()

    def end(self) -> None:
        """Roll back, and refuse what was refused. Raises `InvalidInput`."""
        if self._begun:
            self._target.rollback()
        if self._count:
            more = f", and {self._count - NAMED} more" if self._count > NAMED else ""
            detail = f"the target cannot store {'; '.join(self._refused)}{more}"
            raise InvalidInput(detail=detail, field="source")


def clear(target: WriteConnection) -> None:
    """Delete every row that an earlier try has brought, in the transaction that is open."""
    for table in carried_tables():
        target.run(f"{PREFIX}clear.{table.name}")


def pour_rows(source: Statements, target: WriteConnection, between: Between) -> None:
    """Bring every row, in the transaction that is open in the target, and raise its counter of tokens.

    Raises:
        CounterOverflow: That cannot be raised any more.
        Error: Of both stores.
    """
    clear(target)
    for table in carried_tables():
        last = 0
        for rows in slices(source, table, between):
            for row in rows[:-1]:
                target.write(f"{PREFIX}add.{table.name}", **_values(table, row))
            # Waited for, so that what is not sent yet has a bound.
            target.run(f"{PREFIX}add.{table.name}", **_values(table, rows[-1]))
            last = rows[-1][table.carried.index(table.key[0])]
        _go_on_after(source, target, table, last)
    store = target.one("promotion.store")
    if store is not None and store[1] > LAST_TOKEN - TOKEN_RAISE:
        raise CounterOverflow(counter="fence_token")
    target.run("promotion.raise_tokens", raised=TOKEN_RAISE)
    target.one(
        "promotion.count_anew"
    )  # else the first host plans as if the tables were empty, until the server counts by itself


def pour_attachments(source: Blobs, target: Blobs, into: LogicalHash, between: Between) -> None:
    """Bring every attachment that is not there as it is in the source, and hash what the source has; remove all others."""
    for made in target.unfinished():
        target.drop(made)
    there = {*target.names()}
    names = sorted(source.names())
    for name in names:
        into.attachment(name, *_bring(source, target, name, between, there=name in there))
    for name in sorted(there.difference(names)):
        target.remove(name)


def _bring(source: Blobs, target: Blobs, name: str, between: Between, *, there: bool) -> tuple[int, bytes]:
    if there and (found := measured(source, name, between)) == measured(target, name, between):
        return found
    size, digest, made = 0, hashlib.sha256(), f"promotion.{name}"
    target.begin(made)
    for part in parts(source, name, between):
        target.write(made, size, part)
        size += len(part)
        digest.update(part)
    (target.replace if there else target.keep)(made, name)
    return size, digest.digest()


def _go_on_after(source: Statements, target: WriteConnection, table: Table, last: int) -> None:
    if not table.rises:
        return
    floor = FLOORS.get(table.name)
    row = None if floor is None else source.one(floor)
    if row is not None:
        last = max(last, floor_of(row))
    if last > 0:
        target.one("promotion.go_on_after", sequence=f"{table.name}_{table.key[0]}_seq", last=last)


def _values(table: Table, row: Row) -> dict[str, SqlValue]:
    return dict(zip(table.carried, row, strict=True))


def _may_be_refused(table: Table, row: Row) -> bool:
    in_indexes = 0
    for column, value in zip(table.carried, row, strict=True):
        if isinstance(value, str) and "\0" in value:
            return True
        if column in table.indexed and isinstance(value, str | bytes):
            in_indexes += len(value.encode() if isinstance(value, str) else value)
    return in_indexes > LONG
