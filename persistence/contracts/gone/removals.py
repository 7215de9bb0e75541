"""The removal of bytes that was begun in a commit."""

from __future__ import annotations

from tenure.persistence.contracts.access import BlobAccess
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.attachments import attachments


def remove_begun(store: BlobAccess, attachment_id: str, statements: Statements) -> bool:
    """Remove bytes whose removal this host has begun, and is not judged lost since; whether it was so. Blocking.

    A host that stood still for a lease may find that a session has put the bytes again, and nothing but the database says so.
    It is looked at in the very call that removes them, with no turn of the loop between.
    """
    own = attachments.removes(statements, attachment_id, store.host)
    if own:
        store.blobs.remove(attachment_id)
    return own
