"""What is shown of the journals of a runtime."""

from __future__ import annotations

from tenure.persistence.engines.engine import Statements


def streams_of(statements: Statements, runtime: int) -> dict[str, int]:
    """The streams that are bound to a runtime, with their cursors."""
    return {str(stream): cursor for stream, cursor in statements.readable("journal.of_runtime", runtime=runtime)}
