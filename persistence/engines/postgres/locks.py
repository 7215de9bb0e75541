"""What a group locks before it reads anything, and the versions of what it locked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .protocol.translation import translated
from .protocol.wire import Answer, command

SIDE_BY_SIDE: Final = command(
    "locks.side_by_side", translated("SELECT pg_advisory_xact_lock_shared(hashtext(current_schema()), 0)"), {}
)
ALONE: Final = command("locks.alone", translated("SELECT pg_advisory_xact_lock(hashtext(current_schema()), 0)"), {})
"""Groups whose changes all name their runtimes land side by side, each under the locks of those. One that has another change
lands alone, as every group does on SQLite: that change may write whatever others write."""

LOCK: Final = translated(
    "SELECT runtime_id, owner FROM runtimes WHERE runtime_id = ANY(CAST(:ids AS text[])) ORDER BY runtime_id FOR NO KEY UPDATE"
)
VERSIONS: Final = translated(
    """
SELECT r.runtime_id, CAST(r.xmin AS text), CAST(u.xmin AS text), CAST(s.xmin AS text),
       (SELECT max(c.sequence) FROM receipts c WHERE c.run = r.run)
FROM runtimes r LEFT JOIN runs u ON u.run = r.run LEFT JOIN sessions s ON s.session = r.session
WHERE r.runtime_id = ANY(CAST(:ids AS text[]))
"""
)
"""Which transaction wrote the row of each runtime, of its run and its conversation; no other writes those under its lock."""


def versions_in(answer: Answer) -> Mapping[str, int]:
    """The answer to `VERSIONS`: by runtime, a number that changes where one of its rows was written."""
    return {str(row[0]): hash(row) for row in answer.rows()}
