"""What is shown of the attachments of a runtime's session."""

from __future__ import annotations

from typing import Any, Final

from tenure.errors import ReadFailed
from tenure.persistence.commits.upkept import Subject
from tenure.persistence.engines.engine import Statements

from .attachments import load

SHOWN: Final = 20
"""Attachments that are listed, the newest first."""


def attachments_of(statements: Statements, subject: Subject) -> dict[str, Any]:
    """How many there are, committed and only meant, and the newest with their times; neither bytes nor where they come from."""
    if subject.session_id is None:
        return {}
    counts = statements.one("attachments.counts", session_id=subject.session_id) or (0, 0)
    newest: list[dict[str, Any]] = []
    for (key,) in statements.readable("attachments.newest", session_id=subject.session_id, count=SHOWN):
        try:
            stored = load(statements, key)
        except ReadFailed as exc:
            newest.append({"error": str(exc)})
            continue
        if stored is not None:
            entry = stored.entry
            newest.append(
                {
                    "attachment_id": entry.attachment_id,
                    "intent_at_epoch_ms": entry.intent_at_epoch_ms,
                    "committed_at_epoch_ms": entry.committed_at_epoch_ms,
                }
            )
    return {"committed": counts[0], "uncommitted": counts[1], "newest": newest}
