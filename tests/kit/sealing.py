"""Sealed stores for tests: keys, and what stands in the columns that a codec seals."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import tenure
from tenure.crypto import AesGcm
from tenure.persistence.engines.sealing.columns import CONTENTS, DIGESTS
from tenure.persistence.engines.sealing.envelope import Envelope
from tenure.persistence.engines.sealing.keyring import Sealing, envelope_of
from tests.persistence.contracts.damage import execute

ONE = {"one": b"1" * 32}
TWO = {"two": b"2" * 32, **ONE}


def sealed(keys: dict[str, bytes] | None = None, **seams: Any) -> tenure.Seams:
    """What a host with these keys is opened with; of the first key alone for None."""
    return tenure.Seams(codec=AesGcm(ONE if keys is None else keys), **seams)


async def stored(store: tenure.Store) -> dict[tuple[str, str], list[Any]]:
    """What stands in each column that is sealed, as a look past the store finds it; without what is empty."""
    found: dict[tuple[str, str], list[Any]] = {}
    for table, column in (*CONTENTS, *DIGESTS):
        rows = await execute(store, f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL")
        found[table, column] = [row[0] for row in rows if row[0] not in (b"", "")]
    return found


async def envelope(store: tenure.Store, keys: dict[str, bytes] | None = None) -> Envelope:
    """What unseals the values of a store, with keys of the test; of both for None."""
    ((marker, key_id, store_key),) = await execute(store, "SELECT marker, key_id, store_key FROM sealing")
    found = Sealing(marker=bytes(marker), key_id=key_id, store_key=bytes(store_key))
    return envelope_of(found, AesGcm(TWO if keys is None else keys))


async def open_once(path: Path, seams: tenure.Seams) -> None:
    """Open a store and write to it; what refuses the codec raises before."""
    async with tenure.open_store(path, seams=seams) as store:
        await store.state.set("opened", b"1")
