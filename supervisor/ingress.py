"""What comes in from outside, checked and encoded before it reaches an actor."""

from __future__ import annotations

from typing import Final

from tenure.errors import InvalidInput
from tenure.persistence.codec import digest
from tenure.persistence.facets.inputs import RESERVED_KEYS, AcceptInput
from tenure.persistence.seams import Seams
from tenure.persistence.values import InputId, Lane, LogicalRuntimeId

from .payloads import PayloadType

KEY_LIMIT: Final = 500
"""Most characters of an idempotency key."""


def accept_change(
    seams: Seams,
    runtime_id: LogicalRuntimeId,
    payload: object,
    payload_type: PayloadType,
    *,
    idempotency_key: str | None,
    lane: Lane,
) -> AcceptInput:
    """The change that puts one payload into an inbox, under a fresh input id.

    Raises:
        InvalidInput: The payload has no JSON form or does not fit, or the key is none that a user may give.
    """
    _check_key(idempotency_key)
    data = payload_type.encode(payload)
    return AcceptInput(
        runtime_id=runtime_id,
        input_id=InputId(seams.new_id()),
        lane=lane,
        idempotency_key=idempotency_key,
        payload=data,
        payload_digest=digest(data),
    )


def _check_key(key: str | None) -> None:
    if key is None:
        return
    if not 0 < len(key) <= KEY_LIMIT or "\0" in key:
        raise InvalidInput(detail=f"a key has 1 to {KEY_LIMIT} characters and no NUL", field="idempotency_key")
    if any("\ud800" <= character <= "\udfff" for character in key):
        raise InvalidInput(detail="a key has no lone surrogate", field="idempotency_key")
    if key.startswith(RESERVED_KEYS):
        raise InvalidInput(detail=f"keys that begin with {RESERVED_KEYS} are tenure's own", field="idempotency_key")
