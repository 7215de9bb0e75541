"""What is shown of the journals of a runtime."""

from __future__ import annotations

from tenure.persistence.commits.upkept import Subject
from tenure.persistence.engines.engine import Statements


def streams_of(statements: Statements, subject: Subject) -> dict[str, int]:
    """The streams that are bound to a runtime, with their cursors."""
    rows = statements.readable("journal.of_runtime", runtime=subject.runtime)
    return {str(stream): cursor for stream, cursor in rows}
