"""Sessions of the Agent Development Kit as keys and values of `store.state`.

A session is a head in `store.state`, and a key for each of its events:

    adk.sessions:{app}:{user}:{session}     the head: revision, state of the session, time of the last update
    adk.events:{serial}:n:{revision}        an event
    adk.events:{serial}:i:{id}              the revision of the event of this id
    adk.users:{app}:{user}:{name}           a value of the state of a user
    adk.apps:{app}:{name}                   a value of the state of an application

An event lands with the next head, and with what it says of the three states, in one commit, which expects the head that was
read: of two writers who read the same one, the later is stale. The serial is a session's own, so what was left of a deleted one
is never taken for a part of the next of its name.
"""

from __future__ import annotations

import json
from typing import Any, Final, final

import msgspec
from google.adk.events.event import Event
from google.adk.sessions.session import Session
from google.adk.sessions.state import State
from pydantic import ValidationError
from pydantic_core import to_jsonable_python

from tenure.adapters import versioned
from tenure.adapters.keys import part
from tenure.errors import Corrupt, InvalidInput

VERSION: Final = 1

Key = tuple[str, str, str]
"""Application, user and session."""


@final
class Head(msgspec.Struct, array_like=True, frozen=True):
    """What is stored of a session beside its events; `state` is JSON, and `ended` that a deletion of it has begun."""

    version: int
    app_name: str
    user_id: str
    session_id: str
    serial: str
    revision: int
    updated_at: float
    state: bytes
    ended: bool

    @property
    def marker(self) -> str:
        """What a session object carries, to be compared with."""
        return f"{self.serial}:{self.revision}"


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(Head)


@final
class _Timed(msgspec.Struct, frozen=True):
    """An event's time."""

    timestamp: float


_TIME_DECODER: Final = msgspec.json.Decoder(_Timed)


# Keys


def head_key(key: Key) -> str:
    """The key of the head of a session."""
    app_name, user_id, session_id = key
    parts = part(app_name, "app_name"), part(user_id, "user_id"), part(session_id, "session_id")
    return f"adk.sessions:{':'.join(parts)}"


def events_of(serial: str) -> str:
    """The execution whose keys are those of the events of a session."""
    return f"adk.events:{serial}"


def event_key(head: Head, revision: int) -> str:
    """The key of the event that made a revision."""
    return f"{events_of(head.serial)}:n:{revision:012}"


def id_key(head: Head, event_id: str) -> str:
    """The key under which the revision of the event of an id stands."""
    return f"{events_of(head.serial)}:i:{part(event_id, 'event.id')}"


def app_stem(app_name: str) -> str:
    """What the keys of the state of an application begin with."""
    return f"adk.apps:{part(app_name, 'app_name')}:"


def user_stem(app_name: str, user_id: str) -> str:
    """What the keys of the state of a user begin with."""
    return f"adk.users:{part(app_name, 'app_name')}:{part(user_id, 'user_id')}:"


# Records


def divided(app_name: str, user_id: str, state: dict[str, Any]) -> tuple[dict[str, Any], dict[str, bytes | None]]:
    """What a delta says of the session, and the values of the user and the application, as they are stored."""
    own: dict[str, Any] = {}
    shared: dict[str, bytes | None] = {}
    # What has no JSON form is stored as the text that it prints as: so the framework's own services do.
    try:
        plain: dict[str, Any] = to_jsonable_python(state, serialize_unknown=True)
    except (ValueError, RecursionError) as exc:
        raise InvalidInput(detail=f"it has no JSON form: {exc}", field="state") from exc
    for name, value in plain.items():
        for prefix, stem in ((State.APP_PREFIX, app_stem(app_name)), (State.USER_PREFIX, user_stem(app_name, user_id))):
            if name.startswith(prefix):
                short = name.removeprefix(prefix)
                shared[stem + part(short, "state")] = to_json([short, value])
                break
        else:
            if not name.startswith(State.TEMP_PREFIX):
                own[name] = value
    return own, shared


def made(head: Head, events: list[Event], app: dict[str, Any], user: dict[str, Any]) -> Session:
    """The session object of a head."""
    state = from_json(head.state, head.session_id)
    state |= {State.APP_PREFIX + name: value for name, value in app.items()}
    state |= {State.USER_PREFIX + name: value for name, value in user.items()}
    session = Session(
        app_name=head.app_name,
        user_id=head.user_id,
        id=head.session_id,
        state=state,
        events=events,
        last_update_time=head.updated_at,
    )
    mark(session, head)
    return session


def mark(session: Session, head: Head) -> None:
    """Let a session object carry which head it is of, in the framework's own place for that."""
    session._storage_update_marker = head.marker  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def marker_of(session: Session) -> str | None:
    """What a session object carries; None for one that none of its services has made."""
    return session._storage_update_marker  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]


def encode(head: Head) -> bytes:
    """A head as it is stored. Raises `InvalidInput` for one that could not be read."""
    try:
        data = _ENCODER.encode(head)
        _DECODER.decode(data)
    except (UnicodeEncodeError, TypeError, msgspec.MsgspecError) as exc:
        raise InvalidInput(detail=f"what is stored of it could not be read: {exc}", field="session") from exc
    return data


def decode(data: bytes, key: str) -> Head:
    """A head as it was stored under a key. Raises `Corrupt`."""
    return versioned.decode(_DECODER, data, VERSION, record="ADK session", key=key)


def encoded_event(event: Event) -> bytes:
    """An event as it is stored. Raises `InvalidInput` for one that could not be read, for its fields can be set to anything."""
    try:
        # It warns of a field of another type, which the next line refuses.
        data = event.model_dump_json(exclude_none=True, warnings=False).encode()
        Event.model_validate_json(data)
    except (ValueError, TypeError, AttributeError, RecursionError) as exc:
        raise InvalidInput(detail=f"what is stored of it could not be read: {exc}", field="event") from exc
    return data


def decoded_event(data: bytes, key: str) -> Event:
    """An event as it was stored under a key. Raises `Corrupt`."""
    try:
        return Event.model_validate_json(data)
    except ValidationError as exc:
        raise Corrupt(record="ADK event", key=key, detail=str(exc)) from exc


def time_of(data: bytes, key: str) -> float:
    """When an event happened that was stored under a key, without the rest of it. Raises `Corrupt`."""
    try:
        return _TIME_DECODER.decode(data).timestamp
    except msgspec.MsgspecError as exc:
        raise Corrupt(record="ADK event", key=key, detail=str(exc)) from exc


def to_json(value: Any) -> bytes:
    """A value as it is stored. Raises `InvalidInput` for one without a JSON form."""
    try:
        return json.dumps(value, separators=(",", ":")).encode()
    except (TypeError, ValueError, RecursionError) as exc:
        raise InvalidInput(detail=f"it has no JSON form: {exc}", field="state") from exc


def from_json(data: bytes, key: str) -> Any:
    """A value as it was stored under a key. Raises `Corrupt`."""
    try:
        return json.loads(data)
    except ValueError as exc:
        raise Corrupt(record="ADK state", key=key, detail=str(exc)) from exc
