"""Connections whose named statements seal what they write and unseal what they read; all else is the engine's."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Generic, TypeVar, final

from tenure.errors import Unreadable
from tenure.persistence.engines.engine import (
    Begun,
    Group,
    QueryParameters,
    ReadConnection,
    Row,
    SqlValue,
    Statements,
    Strand,
    Versions,
    WriteConnection,
)
from tenure.persistence.engines.housekeeping import Housekeeping
from tenure.persistence.engines.statements import rows_of

from .envelope import Envelope
from .plans import Plan, Source

S = TypeVar("S", bound=Statements)


class _Sealed(Generic[S]):
    """Named statements, through an envelope."""

    def __init__(self, inner: S, envelope: Envelope, plans: Mapping[str, Plan]) -> None:
        self._inner = inner
        self._envelope = envelope
        self._plans = plans

    def one(self, name: str, /, **parameters: SqlValue) -> Row | None:
        """See `Statements.one`. Raises `Unreadable`, too."""
        plan = self._plans.get(name)
        if plan is None:
            return self._inner.one(name, **parameters)
        row = self._inner.one(name, **self._seal(plan, parameters))
        return None if row is None else self._unseal(plan, parameters, row)

    def all(self, name: str, /, **parameters: SqlValue) -> list[Row]:
        """See `Statements.all`. Raises `Unreadable`, too."""
        plan = self._plans.get(name)
        if plan is None:
            return self._inner.all(name, **parameters)
        rows = self._inner.all(name, **self._seal(plan, parameters))
        return [self._unseal(plan, parameters, row) for row in rows]

    def readable(self, name: str, /, **parameters: SqlValue) -> list[Row]:
        """See `Statements.readable`: what cannot be unsealed cannot be decoded."""
        plan = self._plans.get(name)
        if plan is None:
            return self._inner.readable(name, **parameters)
        rows: list[Row] = []
        for row in self._inner.readable(name, **self._seal(plan, parameters)):
            with suppress(Unreadable):
                rows.append(self._unseal(plan, parameters, row))
        return rows

    def _seal(self, plan: Plan, parameters: Mapping[str, SqlValue]) -> dict[str, SqlValue]:
        sealed = dict(parameters)
        for each in plan.contents:
            value = parameters[each.name]
            if isinstance(value, bytes | str):
                key = tuple([None if part is None else parameters[part] for part in each.key])
                sealed[each.name] = self._envelope.seal(each.column, key, value)
        for name in plan.digests:
            value = parameters[name]
            if isinstance(value, bytes | str):
                sealed[name] = self._envelope.seal_digest(value)
        return sealed

    def _unseal(self, plan: Plan, parameters: Mapping[str, SqlValue], row: Row) -> Row:
        values = list(row)
        for at in plan.digest_results:
            values[at] = self._envelope.unseal_digest(row[at])
        for each in plan.results:
            if row[each.at] is not None:
                key = tuple([_part(source, parameters, row) for source in each.key])
                values[each.at] = self._envelope.unseal(each.columns, key, row[each.at])
        return tuple(values)


def _part(source: Source, parameters: Mapping[str, SqlValue], row: Row) -> object:
    if source is None:
        return None
    return parameters[str(source[1])] if source[0] else row[int(source[1])]


@final
class SealedReader(_Sealed[ReadConnection]):
    """See `ReadConnection`."""

    def begin_read(self) -> None:
        """See `Reading.begin_read`."""
        self._inner.begin_read()

    def end_read(self) -> None:
        """See `Reading.end_read`."""
        self._inner.end_read()

    def close(self) -> None:
        """See `ReadConnection.close`."""
        self._inner.close()


@final
class SealedWriter(_Sealed[WriteConnection]):
    """See `WriteConnection`."""

    def write(self, name: str, /, **parameters: SqlValue) -> None:
        """See `WriteConnection.write`."""
        plan = self._plans.get(name)
        self._inner.write(name, **(parameters if plan is None else self._seal(plan, parameters)))

    def run(self, name: str, /, **parameters: SqlValue) -> int:
        """See `WriteConnection.run`."""
        plan = self._plans.get(name)
        return self._inner.run(name, **(parameters if plan is None else self._seal(plan, parameters)))

    def insert(self, name: str, /, **parameters: SqlValue) -> int:
        """See `WriteConnection.insert`: what is sealed says which row it is of, so the key comes first."""
        plan = self._plans.get(name)
        if plan is None or plan.table is None:
            return self._inner.insert(name, **parameters)
        key = self._inner.key(plan.table)
        self._inner.write(name, **self._seal(plan, {**parameters, "key": key}))
        return key

    def insert_all(self, name: str, /, **columns: Sequence[SqlValue]) -> None:
        """See `WriteConnection.insert_all`."""
        if name not in self._plans:
            self._inner.insert_all(name, **columns)
            return
        for row in rows_of(columns):
            self.insert(name, **row)

    def key(self, table: str, /) -> int:
        """See `WriteConnection.key`."""
        return self._inner.key(table)

    def raw(self, sql: str, parameters: Sequence[SqlValue] = (), /) -> list[Row]:
        """See `WriteConnection.raw`: what is stored, as it is."""
        return self._inner.raw(sql, parameters)

    @property
    def tables(self) -> Sequence[str]:
        """See `WriteConnection.tables`."""
        return self._inner.tables

    @property
    def in_transaction(self) -> bool:
        """See `WriteConnection.in_transaction`."""
        return self._inner.in_transaction

    @property
    def rows_written(self) -> int:
        """See `WriteConnection.rows_written`."""
        return self._inner.rows_written

    def begin(self, group: Group, /) -> Begun:
        """See `WriteConnection.begin`."""
        return self._inner.begin(group)

    @property
    def side_by_side(self) -> Callable[[Sequence[Strand]], None] | None:
        """See `WriteConnection.side_by_side`."""
        return self._inner.side_by_side

    def begin_unnumbered(self) -> None:
        """See `WriteConnection.begin_unnumbered`."""
        self._inner.begin_unnumbered()

    def commit(self) -> Versions:
        """See `WriteConnection.commit`."""
        return self._inner.commit()

    def rollback(self) -> None:
        """See `WriteConnection.rollback`."""
        self._inner.rollback()

    def savepoint(self) -> None:
        """See `WriteConnection.savepoint`."""
        self._inner.savepoint()

    def release(self) -> None:
        """See `WriteConnection.release`."""
        self._inner.release()

    def rollback_to_savepoint(self) -> None:
        """See `WriteConnection.rollback_to_savepoint`."""
        self._inner.rollback_to_savepoint()

    @property
    def housekeeping(self) -> Housekeeping | None:
        """See `WriteConnection.housekeeping`."""
        return self._inner.housekeeping

    def begin_read(self) -> None:
        """See `Reading.begin_read`."""
        self._inner.begin_read()

    def end_read(self) -> None:
        """See `Reading.end_read`."""
        self._inner.end_read()

    def query(self, sql: str, parameters: QueryParameters, limit: int, stopped: Callable[[], bool], /) -> list[Row]:
        """See `Querying.query`: a user's SQL gets what is stored."""
        return self._inner.query(sql, parameters, limit, stopped)

    def close(self, *, checkpoint: bool) -> None:
        """See `WriteConnection.close`."""
        self._inner.close(checkpoint=checkpoint)
