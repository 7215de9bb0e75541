"""The removal of bytes that was begun in a commit."""

from __future__ import annotations

from functools import partial

from tenure.persistence.contracts.access import BlobAccess
from tenure.persistence.engines.blobs import Blobs
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.attachments import attachments


async def remove_begun(store: BlobAccess, attachment_id: str) -> bool:
    """Remove bytes whose removal this host has begun, and is not judged lost since; whether it was so.

    A host that stood still for a lease may find that a session has put the bytes again, and nothing but the database says
    so. So they are taken from under their name first, and only then it is looked: what is removed was taken while the removal
    was this host's, and what was put meanwhile is given back. It may be done twice.

    Raises as `Store.read`, and `CannotOpen`, `DiskFull`, `NoDescriptor` of the bytes: what was taken stays so.
    """
    await store.read(lambda _: store.blobs.take(attachment_id, store.incarnation))
    return await store.read(partial(_end, store, attachment_id))  # in a view that begins now


async def remove_all_begun(store: BlobAccess, attachment_id: str) -> bool:
    """As `remove_begun`, with what other hosts have taken of these bytes and still have, as one that has died since.

    That is put back, and taken again by this host before it looks: another one may stand still with bytes that a session has.
    """
    while await remove_begun(store, attachment_id):
        if not await store.read(lambda _: bring_back(attachment_id, store.blobs)):
            return True
    return False


def bring_back(attachment_id: str, blobs: Blobs) -> bool:
    """Put what hosts have taken of some bytes under their name again; whether any had. Blocking."""
    takers = [taker for taken, taker in blobs.taken() if taken == attachment_id]
    for taker in takers:
        blobs.give_back(attachment_id, taker)
    return bool(takers)


def _end(store: BlobAccess, attachment_id: str, statements: Statements) -> bool:
    own = attachments.removes(statements, attachment_id, store.host)
    stays = not own and attachments.is_named(statements, attachment_id)
    (store.blobs.give_back if stays else store.blobs.drop_taken)(attachment_id, store.incarnation)
    return own
