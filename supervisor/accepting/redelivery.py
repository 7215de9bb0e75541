"""An input that is given again under its key, in other words: by another version of the same class (design §20).

A key compares payloads as they are stored. Where they differ, the class decides, at a host that has it: a field that was added
with a default is in the new payload, and not in the old one, and both are the same.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from attrs import evolve

from tenure.errors import IdempotencyConflict
from tenure.persistence.facets.inbox.inputs import AcceptInput
from tenure.persistence.facets.inbox.outcomes import payload_of_key
from tenure.persistence.model.codec import digest
from tenure.persistence.store import Store

from .payloads import PayloadType

T = TypeVar("T")


async def accept_or_find(
    store: Store, payload_type: PayloadType, change: AcceptInput, accept: Callable[[AcceptInput], Awaitable[T]]
) -> T:
    """Accept an input whose payload fits, or find the one that its key names where the class makes the same of both payloads.

    Raises:
        IdempotencyConflict: The key is known with another payload.
    """
    try:
        return await accept(change)
    except IdempotencyConflict:
        key = partial(payload_of_key, runtime_id=change.runtime_id, idempotency_key=change.idempotency_key)
        stored = await store.read(key)
        if stored is None or not payload_type.same(stored, change.payload):
            raise
        return await accept(evolve(change, payload=stored, payload_digest=digest(stored)))
