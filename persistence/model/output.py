"""The output of a runtime as values: positions, entries, and the chunks in which they are stored (design §22)."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from typing import Any, Final, NewType, final

import msgspec
from attrs import field, frozen

from tenure.errors import Corrupt, InvalidInput

from .arguments import check_value
from .codec import decode
from .numbers import is_a
from .values import LogicalRuntimeId, RunId

Position = NewType("Position", str)
"""A place in the output of a store: opaque, and of two the later one is greater. Never given twice."""

Place = tuple[int, int]
"""A position as it is stored: the key of a chunk, and how many entries of it stand before, or at, that place."""

START: Final[Place] = (0, 0)
"""Before everything."""

OUTPUT_BYTES: Final = 256 * 1024
"""Most bytes of one entry, encoded."""

CHANNEL: Final = "output"
"""The channel where none is named."""

CHANNEL_LIMIT: Final = 200
"""Most characters of the name of a channel."""

IN_STEP: Final = -1
"""In place of how much its branch had asked for: the entry was said inside a step, whose place it names."""

_CHUNK_DIGITS: Final = 16
_INDEX_DIGITS: Final = 5


@final
class OutputKind(StrEnum):
    """What an entry says.

    ``begun``: a run says its first word. ``data``: what was emitted. ``restarted``: what was said by an attempt that led to
    nothing is to be dropped. ``ended``: a run that has said something is over.

    With ``follow(events=True)``, where the behaviour has `events`, also ``input``: an input has ended, and ``run``: what
    became of a run.
    """

    DATA = "data"
    BEGUN = "begun"
    RESTARTED = "restarted"
    ENDED = "ended"
    INPUT = "input"
    RUN = "run"


EVENTS: Final = frozenset({OutputKind.INPUT, OutputKind.RUN})
"""The kinds that are given to those alone who ask for events."""


@final
@frozen(kw_only=True, slots=True)
class OutputEntry:
    """One entry of the output of a runtime.

    Attributes:
        position: Its place: where to go on after it.
        runtime_id: Whose output.
        run_id: Which run; of ``input`` the one that had it, or "".
        attempt: Which attempt of the run has said it, from 1: each ``restarted`` of the run begins the next.
        kind: What it is.
        channel: Where it was emitted to; "" for what is not ``data``.
        value: What was emitted; of ``ended`` how the run ended: ``finished``, ``failed``, ``cancelled``, ``restarted``, ...
            Of ``input``: ``{"input_id", "phase"}``, with ``reason`` or ``successor`` where it has one. Of ``run``:
            ``{"state"}``, one of ``begun`` or ``again`` (entered another time), each with the ids of its ``inputs``;
            ``joined``, with those that steer it from now on; ``failed``, with ``error`` and ``retry_at``; ``aside``, with
            ``wake_at``; ``ended``, with ``outcome``.
        place: Where it was said: the place of a step, or the branch of the run, ``main`` for the behaviour itself. Of
            ``restarted``: only what was said there is to be dropped; "" for all of the run.
        drop_after: Of ``restarted``: drop every ``data`` entry of the run after this position that was said at `place`.
        said_at: When it was written, unix seconds.
    """

    position: Position
    runtime_id: LogicalRuntimeId
    run_id: RunId
    attempt: int
    kind: OutputKind
    channel: str = ""
    value: Any = field(default=None, repr=False)
    place: str = ""
    drop_after: Position | None = None
    said_at: float


def is_wanted(entry: OutputEntry, channel: str | None, *, events: bool) -> bool:
    """Whether a reader of a channel, or of all for None, and perhaps of events gets this entry."""
    if entry.kind in EVENTS:
        return events
    return channel is None or entry.kind is not OutputKind.DATA or entry.channel == channel


@final
class Said(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One entry on its way to the disk, or as it stands in its chunk.

    A struct, which is made in a fifth of the time and is encoded as it is: there is one for each token of a model.

    Attributes:
        kind: See `OutputEntry`.
        channel: See `OutputEntry`.
        place: See `OutputEntry`. Of an event the id of the run that it is about, or "".
        reached: How much its branch had asked for by place; `IN_STEP` for a step.
        value: Encoded.
        drop: Of ``restarted``: after which place to drop; until it is stored, a number alone is that of an entry of the
            same speech, the first to be dropped.
    """

    kind: str
    channel: str = ""
    place: str = ""
    reached: int = 0
    value: bytes = b"null"
    drop: Place | int | None = None


def position_of(place: Place) -> Position:
    """A place, for users."""
    return Position(f"{place[0]:0{_CHUNK_DIGITS}x}{place[1]:0{_INDEX_DIGITS}x}")


def place_of_position(position: str, what: str = "after") -> Place:
    """The place of a position. Raises `InvalidInput`."""
    digits = set("0123456789abcdef")
    if not is_a(position, str) or len(position) != _CHUNK_DIGITS + _INDEX_DIGITS or not digits.issuperset(position):
        raise InvalidInput(detail="it is not a position of an output", field=what)
    place = int(position[:_CHUNK_DIGITS], 16), int(position[_CHUNK_DIGITS:], 16)
    if place[0] >= 2**63:
        raise InvalidInput(detail="it is not a position of an output", field=what)
    return place


def check_channel(channel: str) -> str:
    """A channel that can be stored. Raises `InvalidInput`."""
    if channel is CHANNEL:
        return channel
    if type(channel) is not str:
        channel = check_value(channel, str, "channel")
    if not channel or len(channel) > CHANNEL_LIMIT or "\0" in channel:
        detail = f"a channel is a text of 1 to {CHANNEL_LIMIT} characters without NUL"
        raise InvalidInput(detail=detail, field="channel")
    try:
        channel.encode()
    except UnicodeEncodeError as exc:
        raise InvalidInput(detail="a channel with half a character cannot be stored", field="channel") from exc
    return channel


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(list[Said]).decode


def encode_chunk(entries: Sequence[Said]) -> bytes:
    """The entries of a chunk as its body; what they drop is known."""
    return _encode(entries)


def decode_chunk(body: bytes, key: object) -> list[Said]:
    """The entries of a chunk. Raises `Corrupt`."""
    try:
        return _decode(body)
    except msgspec.MsgspecError as exc:
        raise Corrupt(record="output", key=str(key), detail="its entries cannot be read") from exc


def entry_of(
    said: Said, place: Place, runtime_id: LogicalRuntimeId, run_id: RunId, attempt: int, said_at: float
) -> OutputEntry:
    """An entry for users. Raises `Corrupt`."""
    try:
        kind = OutputKind(said.kind)
    except ValueError as exc:
        raise Corrupt(record="output", key=str(place[0]), detail="an entry is of no kind") from exc
    is_event = kind in EVENTS
    return OutputEntry(
        position=position_of(place),
        runtime_id=runtime_id,
        run_id=RunId(said.place) if is_event else run_id,
        attempt=attempt,
        kind=kind,
        channel=said.channel,
        value=decode(said.value, "output", str(place[0])),
        place="" if is_event else said.place,
        drop_after=position_of(said.drop) if isinstance(said.drop, tuple) else None,
        said_at=said_at,
    )
