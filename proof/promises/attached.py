"""Attachments: what was committed is there, and so are its bytes, whatever the disk lost."""

from __future__ import annotations

import hashlib
from typing import Final, final

from attrs import frozen

from proof.stories import attachments as attachment_story
from tenure.persistence.facets.attachments import attachments
from tenure.persistence.facets.attachments.verify import verify_attachments
from tenure.persistence.store import Store, ground_of
from tenure.testing.history import History
from tenure.testing.observing import inside_of

from .facet import (
    FacetProof,
    Promised,
    Rows,
)

WHOLE = 1 << 30


def stamped(change: attachments.StampAttachments, _answer: int) -> Promised:
    """They are committed for ever: the story forgets only what it has not committed."""
    return [("stamped", (change.session_id, attachment_id)) for attachment_id in change.attachment_ids]


def forgotten(change: attachments.ForgetAttachment, _answer: bool) -> Promised:  # noqa: FBT001 - as a change answers
    """It never comes back."""
    return [("forgotten", (change.session_id, change.attachment_id))]


def check_attachments(rows: Rows) -> None:
    """Rows are whole; what was committed is, and what was let go of has gone."""
    at: int | None = 0
    while at is not None:
        at, problems = verify_attachments(rows.statements, at, 500)
        assert not problems, problems
    for session_id, attachment_id in rows.history.acknowledged("stamped"):
        found = attachments.find(rows.statements, session_id, attachment_id)
        assert found is not None, f"attachment {attachment_id} of {session_id} is lost"
        assert found.entry.committed_at_epoch_ms is not None, (
            f"attachment {attachment_id} of {session_id} lost its stamp"
        )
    for session_id, attachment_id in rows.history.acknowledged("forgotten"):
        assert attachments.find(rows.statements, session_id, attachment_id) is None, f"{attachment_id} is back"


@final
@frozen
class AttachedBytes:
    """Every attachment that is committed has its bytes, and they are what its id says.

    Asked of each image: two of them may have the same rows and other files.
    """

    name = "attached bytes"

    async def ask(self, store: Store, _history: History) -> list[str]:
        """See `Invariant.ask`. Returns the ids."""
        rows = inside_of(store).rows("SELECT DISTINCT attachment_id FROM attachments WHERE committed_at IS NOT NULL")
        found: list[str] = sorted([str(name) for (name,) in rows])
        for name in found:
            data = ground_of(store).blobs.read(name, 0, WHOLE)
            assert data is not None, f"the bytes of {name} are lost"
            assert hashlib.sha256(data).hexdigest() == name, f"the bytes of {name} are others"
        return found


PROOFS: Final = (
    FacetProof(
        name="attachments",
        story=attachment_story.attachments,
        everyday=attachment_story.attachment_of_day,
        promises={
            attachments.StampAttachments: stamped,
            attachments.ForgetAttachment: forgotten,
        },
        check=check_attachments,
        quiet=(
            attachments.StampAttachments,
            attachments.ForgetAttachment,
            attachments.ForgetOrphans,
            attachments.BeginRemoval,
            attachments.EndRemoval,
        ),
    ),
)
