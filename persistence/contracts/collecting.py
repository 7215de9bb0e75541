"""The collection of checkpoint parts that no session refers to any more: everything is marked before anything is deleted."""

from __future__ import annotations

from functools import partial

from tenure.persistence.commits.commit import Commit
from tenure.persistence.commits.upkept import PAGE
from tenure.persistence.facets.graph import checkpoints
from tenure.persistence.facets.graph.checkpoints import CollectBlobs
from tenure.persistence.model.conversation.graph import GcReport

from .access import Access


async def collect_unreachable(store: Access) -> GcReport:
    """See `SessionsContract.gc_unreachable`."""
    roots, retained, after = 0, set[str](), 0
    at: int | None = 0
    while at is not None:
        at, count, refs = await store.read(partial(checkpoints.mark, after=at, count=PAGE))
        roots += count
        retained |= refs
    deleted = 0
    while blobs := await store.read(partial(checkpoints.unreachable, after=after, count=PAGE)):
        deleted += (await store.commit(Commit(changes=(CollectBlobs(blobs=blobs),)))).values[0]
        after = blobs[-1]
    return GcReport(root_count=roots, retained_blob_count=len(retained), deleted_blob_count=deleted)
