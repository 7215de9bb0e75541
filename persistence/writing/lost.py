"""What is done between two groups on a connection that may have been lost meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tenure.persistence.engines.engine import Again, WriteConnection

T = TypeVar("T")


def again_where_lost(connection: WriteConnection, work: Callable[[WriteConnection], T]) -> T:
    """Do it; once more on a new connection where the first was lost. Raises what it raises, and `Again`."""
    try:
        return work(connection)
    except Again:
        connection.begin_read()  # makes the connection anew
        connection.end_read()
        return work(connection)
