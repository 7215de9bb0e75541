"""Commits of a session as they are stored: encoded, checked and hashed in the task of the caller."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from operator import attrgetter
from typing import Any, Final, cast, final

import msgspec
from attrs import field, fields, frozen
from msgspec.structs import replace

from tenure.errors import Corrupt, InvalidInput
from tenure.persistence.model.arguments import check_value
from tenure.persistence.model.codec import (
    decode,
    encode,
    is_object,
)
from tenure.persistence.model.contracts.queued_work import (
    EncodedBatch,
    QueuedWorkCompletion,
    encode_batch,
)
from tenure.persistence.model.digests import seal
from tenure.persistence.model.numbers import INT_LIMIT
from tenure.persistence.model.values import check_name

from .graph import (
    OWN_NODES,
    AgentFrame,
    CheckpointPart,
    RuntimeCommit,
    RuntimeCommitResult,
    SessionCheckpoint,
    SessionMeta,
    SessionNodeRecord,
    SessionRelation,
    TokenLedgerEntry,
    TokenUsage,
)

NAME_LIMIT: Final = 500
"""Most characters of a node's id, a frame's, a turn's, a part's name, a source and a model."""

_KINDS: Final = 64
"""Of so many kinds it is known how a node says that it is of them."""

COUNTERS: Final = tuple([each.name for each in fields(TokenUsage)])
"""The counters of a usage, in the order in which they are stored."""

_encode: Final = msgspec.msgpack.Encoder().encode
_PAYLOAD: Final = attrgetter("payload")
_ABOUT: Final = attrgetter("about")


@final
class EncodedNode(msgspec.Struct, frozen=True, kw_only=True):
    """A node as it is stored. A frozen struct, as `Commit`.

    Attributes:
        node_id: Its id.
        parent: Id of its parent.
        payload: Its bytes.
        about: JSON of all else, without the time.
        timestamp: Its author's time.
        frame: The frame that it names.
    """

    node_id: str
    parent: str | None
    payload: bytes
    about: bytes
    timestamp: str | None
    frame: str | None

    def __repr__(self) -> str:
        """Without its content."""
        return f"EncodedNode(node_id={self.node_id!r}, parent={self.parent!r})"


@final
@frozen(kw_only=True, slots=True)
class EncodedPart:
    """A part of a checkpoint as it is stored; `body` is None where it must be stored already."""

    name: str
    hash: bytes
    version: int
    body: bytes | None = field(repr=False)


@final
@frozen(kw_only=True, slots=True)
class EncodedCheckpoint:
    """A checkpoint as it is stored; its parts are sorted by name."""

    turn_state: bytes
    parts: tuple[EncodedPart, ...]

    @property
    def ref(self) -> bytes:
        """The digest that names it, the same from every writer."""
        return checkpoint_ref(self.turn_state, [(part.name, part.hash, part.version) for part in self.parts])


@final
class EncodedCommit(msgspec.Struct, frozen=True, kw_only=True):
    """A `RuntimeCommit` as it is stored; `content` is the hash of what a turn says, of one with a turn id. A frozen struct."""

    session_id: str
    expected: int
    nodes: tuple[EncodedNode, ...]
    leaf: str | None
    config: bytes | None
    frames: tuple[tuple[str, bytes], ...] | None
    current_frame: str | None
    checkpoint: EncodedCheckpoint | None
    usage: tuple[TokenLedgerEntry, ...]
    claims: tuple[QueuedWorkCompletion, ...]
    batches: tuple[EncodedBatch, ...]
    attachments: tuple[str, ...]
    turn_id: str | None
    content: bytes = b""

    @property
    def weight(self) -> int:
        """Payload bytes."""
        weight = sum(map(len, map(_PAYLOAD, self.nodes)))
        if self.checkpoint is not None:
            weight += sum([len(part.body or b"") for part in self.checkpoint.parts])
        return weight if self.frames is None else weight + sum([len(frame) for _, frame in self.frames])

    @property
    def largest(self) -> int:
        """Bytes of the largest value in it."""
        sizes = [len(self.config or b""), *map(len, map(_PAYLOAD, self.nodes)), *map(len, map(_ABOUT, self.nodes))]
        if self.frames is not None:
            sizes += [len(frame) for _, frame in self.frames]
        if self.checkpoint is not None:
            sizes += [len(part.body or b"") for part in self.checkpoint.parts]
            sizes.append(len(self.checkpoint.turn_state))
        return max(sizes)


def checkpoint_ref(turn_state: bytes, parts: list[tuple[str, bytes, int]]) -> bytes:
    """The digest of a checkpoint: of its turn state, and of name, digest and version of each part, sorted by name."""
    return hashlib.sha256(_encode((turn_state, parts))).digest()


def encode_commit(commit: RuntimeCommit) -> EncodedCommit:
    """A commit as it is stored, of one that has passed the door: its ids are those of nodes and sessions.

    Raises:
        InvalidInput: It cannot be stored and read back.
    """
    if not 0 <= commit.expected_head_revision < INT_LIMIT:
        raise InvalidInput(detail="a revision is a whole number from 0", field="expected_head_revision")
    encoded = EncodedCommit(
        session_id=commit.session_id,
        expected=commit.expected_head_revision,
        nodes=tuple(map(_encode_node, commit.nodes)),
        leaf=commit.leaf_node_id,
        config=None if commit.config is None else encode(commit.config, "config"),
        frames=_encode_frames(commit.agent_frames),
        current_frame=_name(commit.current_agent_frame_id, "current_agent_frame_id"),
        checkpoint=None if commit.checkpoint is None else encode_checkpoint(commit.checkpoint),
        usage=tuple(map(_check_usage, commit.usage_deltas)),
        claims=commit.completed_queue_claims,
        batches=tuple([_of_session(encode_batch(draft), commit) for draft in commit.enqueued_queue_batches]),
        attachments=commit.committed_attachment_ids,
        turn_id=_name(commit.turn_id, "turn_id"),
    )
    if len(encoded.nodes) > 1 and len({node.node_id for node in encoded.nodes}) < len(encoded.nodes):
        raise InvalidInput(detail="two of its nodes have the same id", field="nodes")
    return encoded if encoded.turn_id is None else replace(encoded, content=_content(encoded))


def _of_session(batch: EncodedBatch, commit: RuntimeCommit) -> EncodedBatch:
    if batch.draft.session_id != commit.session_id:
        raise InvalidInput(detail="it is another session's work: queue it by itself", field="enqueued_queue_batches")
    return batch


def _content(commit: EncodedCommit) -> bytes:
    """The hash of what a turn says; revisions, times, tokens and whatever the store assigns are no part of it (design §9).

    Of a claim it has the batches, so that a turn which was claimed anew after a crash is the same.
    """
    return hashlib.sha256(
        _encode(
            (
                [(node.node_id, node.parent, node.payload, node.about) for node in commit.nodes],
                commit.leaf,
                commit.config,
                commit.frames,
                commit.current_frame,
                None if commit.checkpoint is None else commit.checkpoint.ref,
                [(entry.source, entry.model, counts_of(entry.usage)) for entry in commit.usage],
                sorted([batch_id for claim in commit.claims for batch_id in claim.batch_ids]),
                [
                    (each.draft.source_key, each.delivery, each.slot, each.merge, each.payloads)
                    for each in commit.batches
                ],
                sorted(set(commit.attachments)),
            )
        )
    ).digest()


def _encode_node(node: SessionNodeRecord) -> EncodedNode:
    if node.node_id.startswith(OWN_NODES):
        raise InvalidInput(detail=f"ids that begin with {OWN_NODES} are the store's own", field="node_id")
    frame = node.agent_frame_id
    about = _about_of(node.kind)
    if frame is not None or node.caused_by is not None:
        about = encode((node.kind, _name(frame, "agent_frame_id"), node.caused_by), "caused_by")
    return EncodedNode(
        node_id=node.node_id,
        parent=node.parent_node_id,
        payload=node.payload,
        about=about,
        timestamp=node.timestamp,
        frame=frame,
    )


@lru_cache(maxsize=_KINDS)
def _about_of(kind: str) -> bytes:
    """What nearly every node says of itself: its kind alone, which is a name."""
    return encode((_name(kind, "kind"), None, None), "kind")


def decode_about(about: bytes, key: str) -> tuple[str, str | None, Any]:
    """Kind, frame and cause of a node. Raises `Corrupt`."""
    match decode(about, "node", key):
        case [str(kind), str() | None as frame, caused_by]:
            return kind, frame, caused_by
        case _:
            raise Corrupt(record="node", key=key, detail="what it says of itself has another form")


def _encode_frames(frames: tuple[AgentFrame, ...] | None) -> tuple[tuple[str, bytes], ...] | None:
    if frames is None:
        return None
    found = [(_name(each.frame_id, "frame_id") or "", encode(each.frame, "frame")) for each in frames]
    if len({name for name, _ in found}) < len(found):
        raise InvalidInput(detail="two frames have the same id", field="agent_frames")
    return tuple(found)


def encode_checkpoint(checkpoint: SessionCheckpoint) -> EncodedCheckpoint:
    """A checkpoint as it is stored. Raises `InvalidInput`."""
    if not issubclass(type(checkpoint.parts), dict):
        raise InvalidInput(detail="parts come by name, in a dict", field="parts")
    # Past whatever a subclass has in the place of it.
    items: list[tuple[object, object]] = list(cast("Any", dict).items(checkpoint.parts))
    parts = [_encode_part(name, part) for name, part in items]
    return EncodedCheckpoint(
        turn_state=encode(checkpoint.turn_state, "turn_state"), parts=tuple(sorted(parts, key=lambda part: part.name))
    )


def _encode_part(name: object, part: object) -> EncodedPart:
    plain = check_value(name, str, "parts")
    check_name(plain, "the name of a part", "parts", NAME_LIMIT)
    given: CheckpointPart = check_value(part, CheckpointPart, "parts")
    if given.encoding_version < 0:
        raise InvalidInput(detail="a version is a whole number from 0", field="encoding_version")
    if given.body is None:
        return EncodedPart(name=plain, hash=_hash_of(given.ref), version=given.encoding_version, body=None)
    digest = hashlib.sha256(given.body).digest()
    if given.ref not in (None, digest.hex()):
        raise InvalidInput(detail="it is not the SHA-256 of the body", field="ref")
    return EncodedPart(name=plain, hash=digest, version=given.encoding_version, body=given.body)


def _hash_of(ref: str | None) -> bytes:
    try:
        digest = bytes.fromhex(ref or "")
    except ValueError:
        digest = b""
    if len(digest) != 32 or digest.hex() != ref:  # noqa: PLR2004 - of SHA-256
        raise InvalidInput(detail="a part has its bytes, or the ref of those that are stored", field="ref")
    return digest


def _check_usage(entry: TokenLedgerEntry) -> TokenLedgerEntry:
    _name(entry.source, "source")
    _name(entry.model, "model")
    if min(counts_of(entry.usage)) < 0:
        raise InvalidInput(detail="no count is below 0", field="usage")
    return entry


def counts_of(usage: TokenUsage) -> tuple[int, ...]:
    """The counts, in the order of `COUNTERS`."""
    return tuple([getattr(usage, name) for name in COUNTERS])


def _name(value: str | None, name: str) -> str | None:
    if value is not None:
        check_name(value, "a name", name, NAME_LIMIT)
    return value


def encode_result(result: RuntimeCommitResult) -> bytes:
    """A result, as it is stored with its stamp."""
    manifest = None
    if result.manifest is not None:
        parts = result.manifest.parts
        refs = {name: [part.ref, part.encoding_version] for name, part in parts.items()}
        manifest = {"turn_state": result.manifest.turn_state, "parts": refs}
    return encode(
        {
            "head_revision": result.head_revision,
            "leaf_node_id": result.leaf_node_id,
            "checkpoint_ref": result.checkpoint_ref,
            "manifest": manifest,
            "enqueued_batch_ids": result.enqueued_batch_ids,
        },
        "result",
    )


def decode_result(data: bytes, key: str) -> RuntimeCommitResult:
    """A stored result. Raises `Corrupt`."""
    found = decode(data, "turn", key)
    try:
        manifest = found["manifest"]
        if manifest is not None:
            parts = {name: CheckpointPart(ref=ref, encoding_version=v) for name, (ref, v) in manifest["parts"].items()}
            manifest = SessionCheckpoint(turn_state=manifest["turn_state"], parts=parts)
        return RuntimeCommitResult(
            head_revision=found["head_revision"],
            leaf_node_id=found["leaf_node_id"],
            checkpoint_ref=found["checkpoint_ref"],
            manifest=manifest,
            enqueued_batch_ids=tuple(found["enqueued_batch_ids"]),
        )
    except (AttributeError, KeyError, TypeError, ValueError) as exc:
        raise Corrupt(record="turn", key=key, detail="its result has another form") from exc


def encode_session_meta(meta: SessionMeta) -> bytes:
    """The meta of a session, as it is stored. Raises `InvalidInput`."""
    return encode(meta, "meta")


def decode_session_meta(data: bytes, session_id: str) -> SessionMeta:
    """The stored meta of a session. Raises `Corrupt`."""
    found = decode(data, "session meta", session_id)
    if not is_object(found) or not is_object(found.get("relation")):
        raise Corrupt(record="session meta", key=session_id, detail="it has another form")
    try:
        relation: dict[str, Any] = found.pop("relation")
        return SessionMeta(**found, relation=SessionRelation(**relation))
    except TypeError as exc:
        raise Corrupt(record="session meta", key=session_id, detail="it has another form") from exc


def node_seal(session_id: str, node_id: str, digest: bytes, about: bytes, timestamp: str | None) -> bytes:
    """The digest of what a node says beside its payload; `digest` is that of the path to it."""
    return seal(session_id, node_id, digest, about, timestamp)
