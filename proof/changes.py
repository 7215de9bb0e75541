"""Changes that a proof commits by itself, with no host to make them."""

from __future__ import annotations

from tenure.persistence.facets.inbox.inputs import AcceptInput
from tenure.persistence.facets.ownership.ownership import TakeOwnership
from tenure.persistence.model.codec import digest
from tenure.persistence.model.values import InputId, LogicalRuntimeId, SessionId
from tenure.persistence.store import Store


def owning(store: Store, runtime_id: LogicalRuntimeId, kind: str = "story") -> TakeOwnership:
    """A runtime is owned from here on, under a new token."""
    session_id = SessionId(store.seams.new_id())
    return TakeOwnership(runtime_id=runtime_id, kind=kind, epoch=store.seams.new_id(), session_id=session_id)


def accepting(
    store: Store, runtime_id: LogicalRuntimeId, key: str, payload: bytes, *, bound_by_inbox: bool = True
) -> AcceptInput:
    """An input comes under an idempotency key."""
    return AcceptInput(
        runtime_id=runtime_id,
        input_id=InputId(store.seams.new_id()),
        idempotency_key=key,
        payload=payload,
        payload_digest=digest(payload),
        bound_by_inbox=bound_by_inbox,
    )
