"""The counter of fence tokens, where a store has lost a part of its past: what was minted in it may not be minted again."""

from __future__ import annotations

import apsw

from tenure.errors import Corrupt, CounterOverflow
from tenure.persistence.model.values import LAST_TOKEN, TOKEN_RAISE


def raise_tokens(connection: apsw.Connection) -> None:
    """Raise the counter by `TOKEN_RAISE`. Raises `CounterOverflow`, `Corrupt`."""
    last = last_token(connection)
    if last > LAST_TOKEN - TOKEN_RAISE:
        raise CounterOverflow(counter="fence_token")
    connection.execute("UPDATE store SET last_fence_token = ?", (last + TOKEN_RAISE,))


def last_token(connection: apsw.Connection) -> int:
    """The last token that was minted. Raises `Corrupt`."""
    row = connection.execute("SELECT last_fence_token FROM store").fetchone()
    if row is None:
        raise Corrupt(record="store", key="last_fence_token", detail="the row of the store is missing")
    if not isinstance(row[0], int):
        raise Corrupt(record="store", key="last_fence_token", detail="it is not a number")
    return row[0]
