"""Verification of attachments: every row as its digest says; and their bytes, which stand beside the rows."""

from __future__ import annotations

import hashlib
from typing import Final, final

from tenure.errors import ReadFailed
from tenure.persistence.commits.upkept import Problem
from tenure.persistence.engines.blobs import Blobs
from tenure.persistence.engines.engine import Statements

from . import attachments

CHUNK: Final = 4 << 20
"""Bytes that are compared at a time."""

GONE: Final = "its bytes are gone"
CHANGED: Final = "its bytes are not what its id says"

_OF_NOTHING: Final = hashlib.sha256().hexdigest()


def verify_attachments(statements: Statements, after: int, count: int) -> tuple[int | None, list[Problem]]:
    """A page of rows: where the next begins, None at the end; and what is wrong."""
    rows = statements.readable("attachments.keys", after=after, count=count)
    problems: list[Problem] = []
    for (key,) in rows:
        try:
            attachments.load(statements, key)
        except ReadFailed as exc:
            problems.append((getattr(exc, "record", attachments.RECORD), str(key), str(exc)))
    return (rows[-1][0] if rows else None), problems


def committed_after(statements: Statements, after: int, count: int) -> tuple[int | None, list[tuple[int, str]]]:
    """A page of what is committed: where the next begins, None at the end; and keys with ids. What cannot be read is not."""
    rows = statements.readable("attachments.keys", after=after, count=count)
    found = [(key, attachment_id) for (key,) in rows if (attachment_id := committed_id(statements, key)) is not None]
    return (rows[-1][0] if rows else None), found


def committed_id(statements: Statements, key: int) -> str | None:
    """The id of a row that is committed; None for one that is only meant, is gone, or cannot be read."""
    try:
        stored = attachments.load(statements, key)
    except ReadFailed:
        return None
    return None if stored is None or stored.entry.committed_at_epoch_ms is None else stored.entry.attachment_id


def look_at_bytes(blobs: Blobs, attachment_id: str) -> str | None:
    """What is wrong with the bytes of an attachment, as far as one look goes: whether they are there, and any of them."""
    try:
        first = blobs.read(attachment_id, 0, 1)
    except ReadFailed as exc:
        return f"{CHANGED}: {exc}"
    if first is None:
        return GONE
    return None if first or attachment_id == _OF_NOTHING else f"{CHANGED}: none is left"


@final
class Comparing:
    """Compares the bytes of one attachment with its id, a chunk at a time."""

    def __init__(self, attachment_id: str) -> None:
        """Nothing is read yet."""
        self._attachment_id = attachment_id
        self._digest = hashlib.sha256()
        self._offset = 0

    def go_on(self, blobs: Blobs) -> tuple[bool, str | None]:
        """Read the next chunk: whether that was the last, and what is wrong then."""
        try:
            chunk = blobs.read(self._attachment_id, self._offset, CHUNK)
        except ReadFailed as exc:
            return True, f"{CHANGED}: {exc}"
        if chunk is None:
            return True, GONE
        self._digest.update(chunk)
        self._offset += len(chunk)
        if chunk:
            return False, None
        return True, None if self._digest.hexdigest() == self._attachment_id else CHANGED
