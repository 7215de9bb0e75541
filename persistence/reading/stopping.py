"""How a store that stops is said to have stopped."""

from __future__ import annotations

from typing import Protocol

from tenure.errors import StoreBroken, StoreMoved
from tenure.persistence.engines.engine import Moved, UnknownOutcome


class Stopper(Protocol):
    """Stops the store; the writer is one."""

    def stop_behind_group(self, detail: str, kind: type[StoreBroken] = StoreBroken) -> StoreBroken:
        """See `Writer.stop_behind_group`."""
        ...


def kind_of(exc: UnknownOutcome) -> type[StoreBroken]:
    """What callers get where an engine raises this."""
    return StoreMoved if isinstance(exc, Moved) else StoreBroken
