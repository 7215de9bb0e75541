"""Execution state as values: snapshots of executions, and the keys of their working memory (design §13)."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Final, NewType, Self, final

import attrs
import msgspec
from attrs import field, frozen

from tenure.errors import Corrupt, InvalidInput
from tenure.persistence.model.codec import encode
from tenure.persistence.model.numbers import (
    INT_LIMIT,
    is_a,
    shown,
)
from tenure.persistence.model.values import check_name

ExecutionId = NewType("ExecutionId", str)
"""One execution: text of 1 to 200 characters. That of a runtime's own state is its runtime id."""

TenantId = NewType("TenantId", str)
"""Whose executions they are: text of 1 to 200 characters."""

KEY_LIMIT: Final = 500
"""Most characters of a key of working memory."""

_ID_LIMIT: Final = 200
_NAMESPACE: Final = "exec"
_BEFORE_SURROGATES: Final = 0xD7FF
_AFTER_SURROGATES: Final = 0xE000
_LAST_CHARACTER: Final = 0x10FFFF
RECORD_VERSION: Final = 1
"""Version of a stored execution snapshot."""


@final
class ExecutionState(StrEnum):
    """Where an execution is."""

    CREATED = "created"
    PLANNING = "planning"
    RUNNING = "running"
    PAUSED = "paused"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_terminal(self) -> bool:
        """Whether nothing leads away from it."""
        return self in (ExecutionState.COMPLETED, ExecutionState.FAILED, ExecutionState.CANCELLED)

    @property
    def can_resume(self) -> bool:
        """Whether it rests and can go on."""
        return self in (ExecutionState.PAUSED, ExecutionState.WAITING)


def _now() -> datetime:
    return datetime.now(UTC)


@final
@frozen(kw_only=True, slots=True)
class ExecutionSnapshot:
    """An execution as it stood after some event of its journal. A cache: the journal is the truth.

    Attributes:
        execution_id: Which execution.
        tenant_id: Whose.
        state: Where it is.
        sequence_number: The cursor of its journal when this was taken; `StateStore.stale` compares.
        waiting_for: Why it waits, in state ``waiting``.
        user_id: Who started it, for people who look.
        current_step_id: The step it is in.
        step_outputs: JSON by step.
        variables: JSON by name.
        timestamp: When it was taken; aware.
    """

    execution_id: str
    tenant_id: str
    state: ExecutionState
    sequence_number: int
    waiting_for: str | None = None
    user_id: str | None = None
    current_step_id: str | None = None
    step_outputs: Mapping[str, Any] = field(factory=dict[str, Any], repr=False)
    variables: Mapping[str, Any] = field(factory=dict[str, Any], repr=False)
    timestamp: datetime = field(factory=_now)

    @classmethod
    def new(cls, execution_id: str, tenant_id: str, state: ExecutionState, sequence_number: int) -> Self:
        """A snapshot of now, without outputs and variables."""
        return cls(execution_id=execution_id, tenant_id=tenant_id, state=state, sequence_number=sequence_number)

    def with_user(self, user_id: str) -> Self:
        """The same with a user."""
        return attrs.evolve(self, user_id=user_id)


@final
@frozen(kw_only=True, slots=True)
class EncodedSnapshot:
    """A snapshot of an execution as it is stored."""

    execution_id: ExecutionId
    tenant_id: TenantId
    sequence: int
    data: bytes = field(repr=False)


def check_state_name(value: str) -> str:
    """Return a name in a runtime's own state, checked. Raises `InvalidInput`."""
    return check_name(value, "a name in a state", "name", _ID_LIMIT)


def check_execution_id(value: str) -> ExecutionId:
    """Return the id of an execution, checked. Raises `InvalidInput`.

    ``exec`` is the namespace of keys, so it is not an id, and nothing that begins with ``exec:`` is one.
    """
    check_name(value, "an execution id", "execution_id", _ID_LIMIT)
    if value == _NAMESPACE or value.startswith(f"{_NAMESPACE}:"):
        detail = f"{_NAMESPACE!r} is the namespace of keys: no execution has it as its id, or begins with it"
        raise InvalidInput(detail=detail, field="execution_id")
    return ExecutionId(value)


def check_tenant_id(value: str) -> TenantId:
    """Return the id of a tenant, checked. Raises `InvalidInput`."""
    check_name(value, "a tenant id", "tenant_id", _ID_LIMIT)
    return TenantId(value)


def check_state_key(value: str) -> str:
    """Return a key of working memory, checked. Raises `InvalidInput`."""
    check_name(value, "a key", "key", KEY_LIMIT)
    return value


def check_state_keys(keys: Collection[str]) -> None:
    """As `check_state_key` of each, where they are plain texts. Raises `InvalidInput`."""
    lengths = list(map(len, keys))
    if lengths and not (min(lengths) > 0 and max(lengths) <= KEY_LIMIT):
        for key in keys:
            check_state_key(key)


def ttl_seconds(ttl: timedelta | float | None) -> float | None:
    """A time to live in seconds. Raises `InvalidInput` for none above 0."""
    if ttl is None:
        return None
    seconds = ttl.total_seconds() if isinstance(ttl, timedelta) else ttl
    if isinstance(seconds, bool) or not (is_a(seconds, int) or is_a(seconds, float)) or not 0 < seconds < math.inf:
        raise InvalidInput(detail=f"{shown(ttl)} is not a time above 0: a timedelta, or seconds", field="ttl")
    return float(seconds)


def ranges_of(execution_id: str) -> tuple[tuple[str, str], ...]:
    """The ranges of keys of an execution, each from its first key to what comes after its last.

    ``{id}:`` and ``exec:{id}:``. A key that is the id alone is in neither, and ``run10`` not in those of ``run1``.
    """
    return tuple([(f"{name}:", f"{name};") for name in (execution_id, f"{_NAMESPACE}:{execution_id}")])


def range_of(prefix: str) -> tuple[str, str]:
    """The range of the keys that begin with a prefix: the prefix itself, and the least text after all of them."""
    for place in range(len(prefix) - 1, -1, -1):
        last = ord(prefix[place])
        if last < _LAST_CHARACTER:
            # Surrogates are no characters of a text that is stored.
            return prefix, prefix[:place] + chr(_AFTER_SURROGATES if last == _BEFORE_SURROGATES else last + 1)
    return prefix, prefix + chr(_LAST_CHARACTER) * KEY_LIMIT


def executions_of(key: str) -> Iterator[str]:
    """The ids of executions that a key may belong to: ids may hold colons themselves."""
    namespaced = f"{_NAMESPACE}:"
    for rest in (key, key[len(namespaced) :]) if key.startswith(namespaced) else (key,):
        for place, letter in enumerate(rest):
            if letter == ":" and 0 < place <= _ID_LIMIT:
                yield rest[:place]


def encode_execution(snapshot: ExecutionSnapshot) -> EncodedSnapshot:
    """Encode a snapshot. Raises `InvalidInput` for what would not come back."""
    execution_id = check_execution_id(snapshot.execution_id)
    tenant_id = check_tenant_id(snapshot.tenant_id)
    sequence = snapshot.sequence_number
    if isinstance(sequence, bool) or not 0 <= sequence < INT_LIMIT:
        raise InvalidInput(detail=f"{shown(sequence)} is not a sequence number", field="sequence_number")
    data = encode(
        {
            "version": RECORD_VERSION,
            "execution_id": execution_id,
            "tenant_id": tenant_id,
            "sequence_number": sequence,
            "state": snapshot.state,
            "waiting_for": snapshot.waiting_for,
            "user_id": snapshot.user_id,
            "current_step_id": snapshot.current_step_id,
            "step_outputs": snapshot.step_outputs,
            "variables": snapshot.variables,
            "timestamp": _in_utc(snapshot.timestamp).isoformat(),
        },
        "snapshot",
    )
    try:
        decode_execution(data, execution_id)
    except Corrupt as exc:  # what is encoded and is not an object, for one
        raise InvalidInput(detail=f"it could not be read back: {exc.detail}", field="snapshot") from exc
    return EncodedSnapshot(execution_id=execution_id, tenant_id=tenant_id, sequence=sequence, data=data)


def _in_utc(timestamp: datetime) -> datetime:
    if timestamp.tzinfo is None:
        raise InvalidInput(detail="a timestamp is a datetime with a time zone", field="timestamp")
    try:
        return timestamp.astimezone(UTC)
    except Exception as exc:  # the first and the last hours in other zones; and a tzinfo is a user's own code
        raise InvalidInput(detail="it is a time of the years 1 to 9999 in UTC", field="timestamp") from exc


def decode_execution(data: bytes, execution_id: str) -> ExecutionSnapshot:
    """Decode a snapshot. Raises `Corrupt`."""
    try:
        found = _decoder.decode(data)
        if found.version != RECORD_VERSION:
            raise Corrupt(record="execution snapshot", key=execution_id, detail=f"its version is {found.version}")
        return ExecutionSnapshot(
            execution_id=found.execution_id,
            tenant_id=found.tenant_id,
            sequence_number=found.sequence_number,
            state=found.state,
            waiting_for=found.waiting_for,
            user_id=found.user_id,
            current_step_id=found.current_step_id,
            step_outputs=found.step_outputs,
            variables=found.variables,
            timestamp=found.timestamp,
        )
    except msgspec.DecodeError as exc:
        raise Corrupt(record="execution snapshot", key=execution_id, detail=str(exc)) from exc


class _Stored(msgspec.Struct):
    version: int
    execution_id: str
    tenant_id: str
    sequence_number: int
    state: ExecutionState
    timestamp: datetime
    waiting_for: str | None = None
    user_id: str | None = None
    current_step_id: str | None = None
    step_outputs: dict[str, Any] = {}
    variables: dict[str, Any] = {}


_decoder: Final = msgspec.json.Decoder(_Stored)
