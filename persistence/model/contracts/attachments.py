"""Attachments of sessions: what is stored of each beside its bytes (design §11)."""

from __future__ import annotations

import re
from typing import Final, Protocol, final

from attrs import frozen

from tenure.errors import InvalidInput
from tenure.persistence.model.values import SessionId

_DIGEST: Final = re.compile(r"[0-9a-f]{64}")


@final
@frozen(kw_only=True, slots=True)
class AttachmentIntent:
    """An attachment that is going to be written.

    Attributes:
        attachment_id: SHA-256 of its bytes, in hex.
        session_id: Whose it is.
        canonical_uri: Where it is known under, for its users.
    """

    attachment_id: str
    session_id: SessionId | str
    canonical_uri: str = ""


@final
@frozen(kw_only=True, slots=True)
class AttachmentManifestEntry:
    """What is stored of an attachment.

    Attributes:
        attachment_id: SHA-256 of its bytes, in hex.
        session_id: Whose it is.
        canonical_uri: Where it is known under.
        intent_at_epoch_ms: When its intent was recorded last, unix milliseconds.
        committed_at_epoch_ms: When it was committed first; None where it is only meant.
    """

    attachment_id: str
    session_id: SessionId | str
    canonical_uri: str
    intent_at_epoch_ms: int
    committed_at_epoch_ms: int | None


class AttachmentManifest(Protocol):
    """What keeps account of attachments: `Store.attachments`, and `NoopAttachmentManifest` for programs that keep none."""

    async def record_intent(self, intent: AttachmentIntent) -> None:
        """Record that an attachment is going to be written."""
        ...

    async def commit_refs(self, session_id: SessionId | str, attachment_ids: tuple[str, ...]) -> None:
        """Stamp attachments as committed."""
        ...

    async def list_uncommitted(self, older_than_epoch_ms: int) -> tuple[AttachmentManifestEntry, ...]:
        """The attachments that are only meant, and were not meant again since."""
        ...

    async def forget(self, session_id: SessionId | str, attachment_id: str) -> None:
        """Let go of what is known of an attachment."""
        ...


@final
class NoopAttachmentManifest:
    """A manifest that keeps nothing: every verb does nothing, and nothing is ever listed."""

    async def record_intent(self, intent: AttachmentIntent) -> None:
        """Keep nothing."""

    async def commit_refs(self, session_id: SessionId | str, attachment_ids: tuple[str, ...]) -> None:
        """Keep nothing."""

    async def list_uncommitted(self, older_than_epoch_ms: int) -> tuple[AttachmentManifestEntry, ...]:  # noqa: ARG002
        """There is nothing."""
        return ()

    async def forget(self, session_id: SessionId | str, attachment_id: str) -> None:
        """There is nothing."""


def check_attachment_id(attachment_id: str) -> None:
    """Raises `InvalidInput` for what is not SHA-256 in hex."""
    if not _DIGEST.fullmatch(attachment_id):
        raise InvalidInput(detail="it is the SHA-256 of the bytes, 64 digits in lower hex", field="attachment_id")
