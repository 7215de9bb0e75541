"""Checkpoints and writes of LangGraph as keys and values of `store.state`.

The keys of a thread stand together, and in it those of a namespace; in that, each checkpoint in the order of its id, right
before the writes for it:

    langgraph:{thread}:{namespace}:{checkpoint}
    langgraph:{thread}:{namespace}:{checkpoint}!{task}!{index}

A thread is so the execution ``langgraph:{thread}`` of `store.state`. Each part is percent-encoded, and one that is long is
named by its digest; the value under the key has its real text.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, TypeVar, final

import msgspec
from attrs import field, frozen

from tenure.adapters import versioned
from tenure.adapters.keys import PART_LIMIT, part
from tenure.errors import InvalidInput

PREFIX: Final = "langgraph"
_OF_WRITES: Final = "!"
"""Stands before every character of an encoded id, so that the writes come right after their checkpoint."""

_AFTER_WRITES: Final = '"'
VERSION: Final = 1
"""Version of both records."""


@final
class CheckpointRecord(msgspec.Struct, array_like=True, frozen=True):
    """A checkpoint as it is stored; what is serialised, with the name of its form."""

    version: int
    thread_id: str
    namespace: str
    checkpoint_id: str
    parent_id: str | None
    checkpoint: tuple[str, bytes]
    metadata: tuple[str, bytes]


@final
class WriteRecord(msgspec.Struct, array_like=True, frozen=True):
    """A write of a task as it is stored."""

    version: int
    task_id: str
    task_path: str
    index: int
    channel: str
    value: tuple[str, bytes]


def execution_of(thread_id: str) -> str:
    """The execution whose keys are those of a thread."""
    return f"{PREFIX}:{part(thread_id, 'thread_id')}"


def stem_of(thread_id: str, namespace: str) -> str:
    """What the keys of a namespace of a thread begin with, and no others."""
    return f"{execution_of(thread_id)}:{part(namespace, 'checkpoint_ns')}:"


def id_part(checkpoint_id: str) -> str:
    """The id of a checkpoint as a part of a key. Raises `InvalidInput` where it is too long to keep its order."""
    encoded = part(checkpoint_id, "checkpoint_id")
    if not checkpoint_id or encoded.startswith("="):
        detail = f"the id of a checkpoint is a text of 1 to {PART_LIMIT} characters"
        raise InvalidInput(detail=detail, field="checkpoint_id")
    return encoded


def write_key(checkpoint_key: str, task_id: str, index: int) -> str:
    """The key of a write."""
    return f"{checkpoint_key}{_OF_WRITES}{part(task_id, 'task_id')}{_OF_WRITES}{index}"


def checkpoint_key_of(key: str) -> str:
    """The key of the checkpoint that a key is of, its own or that of a write."""
    return key.partition(_OF_WRITES)[0]


def after_group(checkpoint_key: str) -> str:
    """What comes right after the writes of a checkpoint, without being a key."""
    return checkpoint_key + _AFTER_WRITES


@final
@frozen(kw_only=True, slots=True)
class Group:
    """What is stored of one checkpoint, still encoded.

    Attributes:
        key: Of the checkpoint.
        stored: The checkpoint; None where writes came for one that was never put.
        writes: Key and value of each write, in the order of the keys.
    """

    key: str
    stored: bytes | None = field(repr=False)
    writes: tuple[tuple[str, bytes], ...] = field(repr=False)

    @property
    def keys(self) -> list[str]:
        """Every key of it."""
        return [key for key, _ in self.writes] + ([] if self.stored is None else [self.key])

    def record(self) -> CheckpointRecord | None:
        """The checkpoint, or None. Raises `Corrupt`."""
        return None if self.stored is None else decode(self.stored, CheckpointRecord, self.key)

    def write_records(self) -> list[WriteRecord]:
        """The writes in the order in which a run applies them. Raises `Corrupt`."""
        found = [decode(value, WriteRecord, key) for key, value in self.writes]
        return sorted(found, key=lambda write: (write.task_path, write.task_id, write.index))


def groups(items: Iterable[tuple[str, bytes]]) -> Iterator[Group]:
    """Items in the order of their keys, or in reverse, by checkpoint; the last may be cut off by the end of the page."""
    key: str | None = None
    rows: list[tuple[str, bytes]] = []
    for item in items:
        of = checkpoint_key_of(item[0])
        if key is not None and of != key:
            yield _group(key, rows)
            rows = []
        key = of
        rows.append(item)
    if key is not None:
        yield _group(key, rows)


def _group(key: str, rows: list[tuple[str, bytes]]) -> Group:
    stored = dict(rows).get(key)
    return Group(key=key, stored=stored, writes=tuple(sorted([row for row in rows if row[0] != key])))


R = TypeVar("R", CheckpointRecord, WriteRecord)

_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODERS: Final[dict[type, Any]] = {kind: msgspec.msgpack.Decoder(kind) for kind in (CheckpointRecord, WriteRecord)}


def encode(record: CheckpointRecord | WriteRecord) -> bytes:
    """A record as it is stored. Raises `InvalidInput` for one that could not be read."""
    try:
        data = _ENCODER.encode(record)
        _DECODERS[type(record)].decode(data)
    except (UnicodeEncodeError, TypeError, msgspec.MsgspecError) as exc:
        raise InvalidInput(detail=f"what is stored of it could not be read: {exc}", field="record") from exc
    return data


def decode(data: bytes, kind: type[R], key: str) -> R:
    """A record as it was stored under a key. Raises `Corrupt`."""
    decoder: msgspec.msgpack.Decoder[R] = _DECODERS[kind]
    return versioned.decode(decoder, data, VERSION, record="LangGraph record", key=key)
