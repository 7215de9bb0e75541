"""Queued work of sessions: batches, the claims on them, and what is stored of both (design §10)."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import Final, Self, final

import msgspec
from attrs import field, frozen

from tenure.errors import Corrupt, InvalidInput
from tenure.persistence.model.numbers import INT_LIMIT
from tenure.persistence.model.values import (
    SessionId,
    check_name,
)

NAME_LIMIT: Final = 500
"""Most characters of a source key, of the name of a merge group and of an owner."""

CLAIMED_AT_ONCE: Final = 512
"""Most batches of one claim, whatever is asked for."""

LAST_BATCH: Final = 2**63 - 1

NEVER_MS: Final = 2**63 - 1
"""The time that a dead batch waits for."""

_BATCH: Final = "qwb:"
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[tuple[str, bytes]]).decode


@final
class DeliveryPolicy(StrEnum):
    """When a batch may be claimed: also within a turn, at its next safe boundary; or not before the turn has committed."""

    EARLIEST_SAFE_BOUNDARY = "earliest_safe_boundary"
    AFTER_CURRENT_TURN_COMMIT = "after_current_turn_commit"


@final
class SlotPolicy(StrEnum):
    """Whether a batch may share its claim with the batches next to it."""

    JOIN = "join"
    EXCLUSIVE = "exclusive"


@final
class QueuedWorkKind(StrEnum):
    """What a payload is, for the worker that carries it out."""

    TURN_INPUT = "turn_input"
    PROCESS_WAKE = "process_wake"
    SESSION_COMMAND = "session_command"


@final
class QueuedWorkClaimBoundary(StrEnum):
    """Where the claimant stands: at a checkpoint of a turn that goes on, or between two turns."""

    ACTIVE_TURN_CHECKPOINT = "active_turn_checkpoint"
    IDLE = "idle"


@final
class MergeKind(StrEnum):
    """Which batches join one another."""

    NEVER = "never"
    PAYLOAD_DEFAULT = "payload_default"
    GROUP = "group"


@final
@frozen(kw_only=True, slots=True)
class MergeKey:
    """Which batches a batch may share a claim with: those of the same key, and none where it is `never`.

    Attributes:
        kind: `never`, `payload_default`, or a group.
        group_name: Name of the group; None for the other two.
    """

    kind: MergeKind = MergeKind.NEVER
    group_name: str | None = None

    @classmethod
    def never(cls) -> Self:
        """Share a claim with no other batch."""
        return cls()

    @classmethod
    def payload_default(cls) -> Self:
        """Share a claim with the batches that say the same."""
        return cls(kind=MergeKind.PAYLOAD_DEFAULT)

    @classmethod
    def group(cls, name: str) -> Self:
        """Share a claim with the batches of a group."""
        return cls(kind=MergeKind.GROUP, group_name=name)


_NEVER: Final = MergeKey.never()
"""One for all drafts: the door knows it again, and has nothing to look at."""


@final
@frozen(kw_only=True, slots=True)
class QueuedWorkPayload:
    """One piece of work.

    Attributes:
        kind: What it is.
        body: Opaque bytes.
    """

    kind: QueuedWorkKind = QueuedWorkKind.TURN_INPUT
    body: bytes = field(repr=False)


@final
@frozen(kw_only=True, slots=True)
class QueuedWorkBatchDraft:
    """A batch, before it is queued: where no more is said, it comes after the turn that goes on and is claimed alone.

    Attributes:
        session_id: Whose work it is. The session need not be there.
        delivery_policy: When it may be claimed.
        slot_policy: Whether it may share a claim.
        payloads: One or more, carried out together.
        source_key: While a batch of this key is queued, the session takes no second one: an enqueue returns the first.
        merge_key: Which batches it may share a claim with.
        available_at_ms: Unix milliseconds before which it is not claimed.
    """

    session_id: SessionId | str
    delivery_policy: DeliveryPolicy = DeliveryPolicy.AFTER_CURRENT_TURN_COMMIT
    slot_policy: SlotPolicy = SlotPolicy.EXCLUSIVE
    payloads: tuple[QueuedWorkPayload, ...]
    source_key: str | None = None
    merge_key: MergeKey = _NEVER
    available_at_ms: int = 0


@final
@frozen(kw_only=True, slots=True)
class QueuedWorkItem:
    """One payload of a batch, with its id."""

    item_id: str
    payload: QueuedWorkPayload


@final
@frozen(kw_only=True, slots=True)
class QueuedWorkBatch:
    """A queued batch.

    Attributes:
        session_id: Whose work it is.
        batch_id: Its id; one store has it once.
        enqueue_seq: Its place: rises over all sessions, and is never used again.
        enqueued_at_ms: When it was queued, unix milliseconds.
        source_key: As in the draft.
        delivery_policy: As in the draft.
        slot_policy: As in the draft.
        merge_key: As in the draft.
        available_at_ms: As in the draft.
        items: The payloads in the order of the draft.
    """

    session_id: SessionId | str
    batch_id: str
    enqueue_seq: int
    enqueued_at_ms: int
    source_key: str | None
    delivery_policy: DeliveryPolicy
    slot_policy: SlotPolicy
    merge_key: MergeKey
    available_at_ms: int
    items: tuple[QueuedWorkItem, ...]


@final
@frozen(kw_only=True, slots=True)
class QueuedWorkCompletion:
    """What completes a claim: all of its batches are done.

    Attributes:
        session_id: Whose work it was.
        claim_id: The claim.
        lease_token: Its token.
        batch_ids: All batches of the claim.
    """

    session_id: SessionId | str
    claim_id: str
    lease_token: str = field(repr=False)
    batch_ids: tuple[str, ...]


@final
@frozen(kw_only=True, slots=True)
class QueuedWorkClaim:
    """The right to carry out some batches of a session.

    Attributes:
        session_id: Whose work it is.
        claim_id: Names the claim.
        owner_id: Who claimed, as it calls itself.
        lease_token: What renew, complete and abandon are known by.
        fencing_token: How often the first of its batches was claimed, this time included.
        claimed_at_epoch_ms: When, unix milliseconds.
        expires_at_epoch_ms: When it would expire, unix milliseconds, for people: observers judge by how long it was not
            renewed on their own clock.
        batches: What was claimed, in the order of the queue.
    """

    session_id: SessionId | str
    claim_id: str
    owner_id: str
    lease_token: str = field(repr=False)
    fencing_token: int
    claimed_at_epoch_ms: int
    expires_at_epoch_ms: int
    batches: tuple[QueuedWorkBatch, ...]

    def completion(self) -> QueuedWorkCompletion:
        """What completes this claim."""
        return QueuedWorkCompletion(
            session_id=self.session_id,
            claim_id=self.claim_id,
            lease_token=self.lease_token,
            batch_ids=tuple([batch.batch_id for batch in self.batches]),
        )


@final
@frozen(kw_only=True, slots=True)
class QueuedWorkFailure:
    """What is stored of a batch whose work failed under `Supervisor.serve_queue`, until it is done or cancelled.

    Attributes:
        session_id: Whose work it is.
        batch_id: The batch.
        attempts: Attempts that failed.
        crashes: Attempts whose worker died.
        failed_at_ms: When the last one failed, unix milliseconds.
        retry_at_ms: When the next one is due, unix milliseconds; None: it is dead.
        error: Why the last one failed.
    """

    session_id: SessionId
    batch_id: str
    attempts: int
    crashes: int
    failed_at_ms: int
    retry_at_ms: int | None
    error: str

    @property
    def is_dead(self) -> bool:
        """Whether it is not tried again by itself."""
        return self.retry_at_ms is None


# As it is stored


@final
@frozen(kw_only=True, slots=True)
class EncodedBatch:
    """A batch as it is stored; its policies and its merge key are their words.

    Attributes:
        draft: The draft, for what is stored as it is, and for the answer.
        delivery: The word of its policy.
        slot: The word of its policy.
        merge: Its merge key.
        payloads: Encoded.
    """

    draft: QueuedWorkBatchDraft = field(repr=False)
    delivery: str
    slot: str
    merge: str
    payloads: bytes = field(repr=False)


def encode_batch(draft: QueuedWorkBatchDraft) -> EncodedBatch:
    """A draft as it is stored. Raises `InvalidInput`: it cannot be stored and read back."""
    if draft.source_key is not None:
        check_name(draft.source_key, "a source key", "source_key", NAME_LIMIT)
    if not draft.payloads:
        raise InvalidInput(detail="a batch has one payload or more", field="payloads")
    if not 0 <= draft.available_at_ms < INT_LIMIT:
        raise InvalidInput(detail="a time is a whole number from 0", field="available_at_ms")
    return EncodedBatch(
        draft=draft,
        delivery=_WORDS[draft.delivery_policy],
        slot=_WORDS[draft.slot_policy],
        merge=_encode_merge_key(draft.merge_key),
        payloads=_encode([(_WORDS[payload.kind], payload.body) for payload in draft.payloads]),
    )


def _encode_merge_key(merge_key: MergeKey) -> str:
    if (merge_key.kind is MergeKind.GROUP) is (merge_key.group_name is None):
        raise InvalidInput(detail="a group has a name, and the other kinds have none", field="group_name")
    if merge_key.group_name is None:
        return _WORDS[merge_key.kind]
    check_name(merge_key.group_name, "the name of a group", "group_name", NAME_LIMIT)
    return f"{MergeKind.GROUP.value}:{merge_key.group_name}"


_PLAIN_KEYS: Final = {each.kind.value: each for each in (MergeKey.never(), MergeKey.payload_default())}
_KINDS: Final = {each.value: each for each in QueuedWorkKind}
_WORDS: Final = {each: each.value for kind in (DeliveryPolicy, SlotPolicy, QueuedWorkKind, MergeKind) for each in kind}
"""Of each member its word: to ask the member itself is a call of Python."""


def decode_merge_key(text: str, key: str) -> MergeKey:
    """A stored merge key. Raises `Corrupt`."""
    plain = _PLAIN_KEYS.get(text)
    if plain is not None:
        return plain
    kind, mark, name = text.partition(":")
    try:
        return MergeKey(kind=MergeKind(kind), group_name=name if mark else None)
    except ValueError as exc:
        raise Corrupt(record="batch", key=key, detail="its merge key has another form") from exc


def decode_items(data: bytes, batch_id: str) -> tuple[QueuedWorkItem, ...]:
    """The stored payloads of a batch, with their ids. Raises `Corrupt`."""
    try:
        return items_of([QueuedWorkPayload(kind=_KINDS[kind], body=body) for kind, body in _decode(data)], batch_id)
    except (msgspec.DecodeError, LookupError) as exc:
        raise Corrupt(record="batch", key=batch_id, detail="its payloads have another form") from exc


def items_of(payloads: Iterable[QueuedWorkPayload], batch_id: str) -> tuple[QueuedWorkItem, ...]:
    """The payloads of a batch, with their ids."""
    return tuple(
        [QueuedWorkItem(item_id=f"{batch_id}:item:{place}", payload=payload) for place, payload in enumerate(payloads)]
    )


def name_of_batch(key: int) -> str:
    """The id of a batch."""
    return f"{_BATCH}{key}"


def key_of_batch(batch_id: str) -> int | None:
    """The key of a batch, or None where no batch has such an id."""
    digits = batch_id.removeprefix(_BATCH)
    if digits == batch_id or not (digits.isascii() and digits.isdigit()) or len(digits) > len(str(LAST_BATCH)):
        return None
    key = int(digits)
    return key if key <= LAST_BATCH and name_of_batch(key) == batch_id else None
