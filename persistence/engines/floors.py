"""Keys that are never given again, also where their rows were deleted."""

from __future__ import annotations

from typing import Final

from tenure.errors import Corrupt
from tenure.persistence.model.digests import check_digest, seal

from .engine import Row

FLOORS: Final = {"nodes": "node_floor.find", "output_chunks": "spoken.last_gone"}
"""By table, the statement that reads the highest key of deleted rows."""


def floor_of(row: Row) -> int:
    """The highest key of deleted rows, as it is stored. Raises `Corrupt`."""
    last, *sealed = row
    if not sealed:  # a row of one runtime among others': where it is damaged, verify says so, and the others go on
        return last if type(last) is int else 0
    digest, scheme = sealed
    if type(last) is not int:
        raise Corrupt(record="floor", key="of nodes", detail="it is not a number")
    check_digest(seal(last), digest, scheme, "floor", "of nodes")
    return last
