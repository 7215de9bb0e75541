"""An input that is given again under its key, in other words: by another version of the same class (design §20).

A key compares payloads as they are stored. Where they differ, the class decides, at a host that has it: a field that was added
with a default is in the new payload, and not in the old one, and both are the same.
"""

from __future__ import annotations

from functools import partial

from attrs import evolve

from tenure.persistence.facets.inbox.inputs import AcceptInput
from tenure.persistence.facets.inbox.outcomes import payload_of_key
from tenure.persistence.model.codec import digest
from tenure.persistence.store import Store

from .payloads import PayloadType


async def in_stored_words(store: Store, payload_type: PayloadType, change: AcceptInput) -> AcceptInput | None:
    """An accept whose key is known with another payload, with that one; None where the class makes other values of the two."""
    key = partial(payload_of_key, runtime_id=change.runtime_id, idempotency_key=change.idempotency_key)
    stored = await store.read(key)
    if stored is None or not payload_type.same(stored, change.payload):
        return None
    return evolve(change, payload=stored, payload_digest=digest(stored))
