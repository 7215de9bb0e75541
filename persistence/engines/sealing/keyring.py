"""What a store says of the codec that seals it: read when it is opened, written when it gets one."""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Final, cast

from attrs import frozen

from tenure.errors import Contended, Corrupt, KeyMissing
from tenure.persistence.engines.engine import Row, SqlValue, Statements, WriteConnection
from tenure.persistence.engines.promotion import refuse_promoted
from tenure.persistence.engines.statements import sealed_tables
from tenure.persistence.model.numbers import INT_LIMIT
from tenure.persistence.seams.options import Codec

from .columns import SEALED_AT_ONCE, Column
from .envelope import KEY_BYTES, MARKER_BYTES, Envelope, seal_with, store_key_place, unseal_with
from .rows import sealed_columns

PAGE: Final = 1000


@frozen(kw_only=True, slots=True)
class Sealing:
    """The row of a sealed store.

    Attributes:
        marker: What every sealed content of the store begins with.
        key_id: The key that the store's own key is sealed with.
        store_key: That key, sealed.
    """

    marker: bytes
    key_id: str
    store_key: bytes


def sealing_of(statements: Statements) -> Sealing | None:
    """What a store says of its codec; None where it has none. Raises `Corrupt`."""
    row = statements.one("sealing.load")
    if row is None:
        return None
    marker, key_id, store_key = row
    if not (type(marker) is bytes and type(key_id) is str and type(store_key) is bytes and len(marker) == MARKER_BYTES):
        raise Corrupt(record="store", key="sealing", detail="its columns are of other types")
    return Sealing(marker=marker, key_id=key_id, store_key=store_key)


def refuse_sealed_store(statements: Statements) -> None:
    """Refuse a store that is sealed, where there is no codec: what a host would write would stand in the clear.

    Raises:
        KeyMissing: It is.
    """
    if (found := sealing_of(statements)) is not None:
        raise KeyMissing(key_id=found.key_id)


def envelope_of(found: Sealing, codec: Codec | None) -> Envelope:
    """The envelope of a store. Raises `KeyMissing`, `WrongKey`, `Corrupt`; nothing without a codec."""
    store_key = None
    if codec is not None:
        place = store_key_place(found.marker)
        store_key = unseal_with(codec, found.key_id, found.store_key, place, "the key of the store")
        if len(store_key) != KEY_BYTES:
            raise Corrupt(record="store", key="sealing", detail="its key is of another length")
    return Envelope(codec, found.marker, store_key, found.key_id)


def rewrapped(found: Sealing, codec: Codec) -> Sealing:
    """The row with the key of the store sealed under the codec's key of today. Raises as `envelope_of`."""
    place = store_key_place(found.marker)
    plain = unseal_with(codec, found.key_id, found.store_key, place, "the key of the store")
    key_id, store_key = seal_with(codec, plain, place)
    return Sealing(marker=found.marker, key_id=key_id, store_key=store_key)


def begin_sealing(
    connection: WriteConnection, codec: Codec, source: random.Random, now: float, *, alone: bool
) -> Sealing:
    """Give a store its codec, in one transaction: a marker and a key, and the digests that rows are looked for by.

    Raises:
        Contended: Hosts that may have no codec have it open, or may have: one of them died, and its lease has not passed.
    """
    marker = source.getrandbits(8 * MARKER_BYTES).to_bytes(MARKER_BYTES, "big")
    key = source.getrandbits(8 * KEY_BYTES).to_bytes(KEY_BYTES, "big")
    key_id, store_key = seal_with(codec, key, store_key_place(marker))
    connection.begin_unnumbered()
    try:
        found = sealing_of(connection)
        if found is None:
            refuse_promoted(connection)
            if not alone:
                _refuse_beside_hosts(connection, now)
            found = Sealing(marker=marker, key_id=key_id, store_key=store_key)
            connection.run("sealing.insert", marker=marker, key_id=key_id, store_key=store_key, now=now)
            _seal_digests(connection, Envelope(codec, marker, key, key_id))
        connection.commit()
    except BaseException:
        connection.rollback()
        raise
    return found


def _refuse_beside_hosts(connection: WriteConnection, now: float) -> None:
    if cast("tuple[int]", connection.one("sealing.hosts", now=now))[0]:
        raise Contended(detail="hosts without a codec have the store open, or had until now: end them first")


def _seal_digests(connection: WriteConnection, envelope: Envelope) -> None:
    for table in dict.fromkeys([table for table, _ in SEALED_AT_ONCE]):
        for row in _rows(connection, table):
            columns = sealed_tables()[table]
            stored = dict(zip(columns, row, strict=True))
            wanted = {each: stored[each] for each in sealed_columns(table)}
            before = {f"before_{name}": value for name, value in wanted.items()}
            sealed = {name: _sealed(envelope, (table, name), value) for name, value in wanted.items()}
            connection.run(f"sealing.update.{table}", row=stored[columns[0]], **sealed, **before)


def _sealed(envelope: Envelope, column: Column, value: SqlValue) -> SqlValue:
    is_one = column in SEALED_AT_ONCE
    return envelope.seal_digest(value) if is_one and isinstance(value, str | bytes) else value


def _rows(connection: WriteConnection, table: str) -> Iterator[Row]:
    after = -INT_LIMIT  # below every key, a damaged one too
    while sizes := connection.all(f"sealing.sizes.{table}", after=after, count=PAGE):
        last = sizes[-1][0]
        yield from connection.all(f"sealing.page.{table}", after=after, last=last)
        after = last
