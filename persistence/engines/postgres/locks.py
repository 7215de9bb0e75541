"""What a group locks before it reads anything, and the versions of what it locked."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from .protocol.translation import translated
from .protocol.wire import Answer, Command, command

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


_END_STALLED: Final = translated(
    """
SELECT pg_terminate_backend(s.pid) FROM pg_stat_activity s JOIN pg_locks l ON l.pid = s.pid
WHERE l.locktype = 'advisory' AND l.database = s.datid AND l.classid = CAST(hashtext(current_schema()) & 4294967295 AS oid)
  AND l.objid = 0 AND l.objsubid = 2 AND l.granted AND s.pid <> pg_backend_pid()
  AND s.datname = current_database() AND s.usename = current_user AND s.wait_event_type = 'Client'
  AND (s.application_name = :own
       OR s.application_name LIKE 'tenure %' AND clock_timestamp() - s.state_change >= make_interval(secs => :stalled_s))
"""
)


def end_stalled(own: str, stalled_s: float) -> Command:
    """Ends sessions that hold the store and wait in the middle of a group for their host.

    Those whose host has sent nothing for so many seconds: no limit of the server counts there, and beyond a proxy that stands
    still they would stay for ever. A host that lives tries its group again. And all that are named `own`: who meets a lock is
    not in a group, so they are connections that it has lost.
    """
    return command("locks.end_stalled", _END_STALLED, {"own": own, "stalled_s": stalled_s})
