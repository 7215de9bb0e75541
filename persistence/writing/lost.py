"""What is done between two groups on a connection that may have been lost meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import trio

from tenure.errors import Closed, Contended
from tenure.persistence.engines.engine import Again, WriteConnection
from tenure.persistence.seams.executors import Executor, run_to_the_end

T = TypeVar("T")


async def between_groups(executor: Executor, connection: WriteConnection, work: Callable[[WriteConnection], T]) -> T:
    """Do something with the connection, on its executor; see `Writer.between_groups`.

    Raises:
        Contended: The connection was lost, and the next one too.
        Closed: The executor is closed.
        UnknownOutcome: What the work did is not known.

    Cancellation: comes when the work has ended.
    """
    try:
        return await run_to_the_end(executor, lambda: _again_where_lost(connection, work))
    except Again as exc:
        raise Contended(detail=f"between two groups: {exc}") from exc
    except trio.ClosedResourceError:
        raise Closed(what="store") from None


def _again_where_lost(connection: WriteConnection, work: Callable[[WriteConnection], T]) -> T:
    """Do it; once more on a new connection where the first was lost. Raises what it raises, and `Again`."""
    try:
        return work(connection)
    except Again:
        connection.begin_read()  # makes the connection anew
        connection.end_read()
        return work(connection)
