"""`TenureEventStore`: what a server of the protocols of 2025 has said, for clients whose connection broke; and `EventSessions`.

Theory of operation. The SDK gives an event store the number of a stream, and not the session that the stream is in, which
two clients count alike. `EventSessions` says it, in a context variable: the task that serves a session inherits that of the
request that opened it, and later requests name the session in a header. Events have one count for each session, without
gaps, so a replay sees where one is missing. A replay does not end before its stream has: it gives what comes as it comes,
for the SDK would drop what is stored between the end of a replay and the moment from which it sends again itself.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator
from contextvars import ContextVar
from http import HTTPStatus
from typing import Any, Final, final
from uuid import uuid4
from weakref import WeakValueDictionary

import attrs
import msgspec
from mcp.server.streamable_http import MCP_SESSION_ID_HEADER, EventCallback, EventMessage, EventStore
from mcp_types import (
    INTERNAL_ERROR,
    ErrorData,
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCResponse,
    jsonrpc_message_adapter,
)
from pydantic import ValidationError
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tenure.adapters import versioned
from tenure.adapters.checking import check_value, checked
from tenure.adapters.fronts import AnyStore, Caller
from tenure.errors import Contended, Corrupt, DiskFull, InvalidInput, PayloadTooLarge

_VERSION: Final = 1
_PAGE: Final = 200
_RETRY_S: Final = 0.5
_HEADER: Final = MCP_SESSION_ID_HEADER.encode()
_DIGITS: Final = 16
_IS_NUMBER: Final = re.compile(f"[0-9]{{{_DIGITS}}}").fullmatch


@attrs.define(eq=False)
class _Session:
    """A session of the SDK, for as long as its task or one of its requests is there."""

    name: str = attrs.field(factory=lambda: uuid4().hex)
    last: int = 0
    """The number of the last event that is on disk."""
    has_ended: bool = False
    writing: asyncio.Lock = attrs.field(factory=asyncio.Lock)
    changed: asyncio.Event = attrs.field(factory=asyncio.Event)

    def tell(self) -> None:
        """Wake those who wait for the next event, or the end."""
        self.changed.set()
        self.changed = asyncio.Event()

    def key(self, number: int) -> str:
        """Where an event stands."""
        return f"mcp.events:{self.name}:{number:0{_DIGITS}d}"

    def event_id(self, number: int) -> str:
        """What clients know an event by."""
        return f"{self.name}.{number:0{_DIGITS}d}"

    def number(self, event_id: str) -> int | None:
        """The number of one of the session's own events, or None."""
        name, _, number = event_id.rpartition(".")
        return int(number) if name == self.name and _IS_NUMBER(number) and int(number) <= self.last else None


_SESSION: ContextVar[_Session | None] = ContextVar("_SESSION", default=None)


@final
class _Event(msgspec.Struct, array_like=True, frozen=True):
    version: int
    stream: str
    message: bytes
    """As JSON; empty for one that has only an id."""


_ENCODER: Final = msgspec.msgpack.Encoder()
_DECODER: Final = msgspec.msgpack.Decoder(_Event)


@final
class EventSessions:
    """An ASGI application around that of a server, which says to its `TenureEventStore` what session a request is in."""

    def __init__(self, app: ASGIApp) -> None:
        """Wrap an application. Raises `InvalidInput` for what is none."""
        check_value(app, ASGIApp, "app")
        self._app = app
        self._sessions: WeakValueDictionary[str, _Session] = WeakValueDictionary()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a request; what is not HTTP goes on as it is."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        known = _session_id(scope["headers"])
        session = (self._sessions.get(known) if known is not None else None) or _Session()

        async def hear(message: Message) -> None:
            if message["type"] == "http.response.start" and message["status"] < HTTPStatus.BAD_REQUEST:
                opened = _session_id(message.get("headers", ()))
                if known is None and opened is not None:
                    self._sessions[opened] = session
                elif scope["method"] == "DELETE":
                    session.has_ended = True
                    session.tell()
            await send(message)

        token = _SESSION.set(session)
        try:
            await self._app(scope, receive, hear)
        finally:
            _SESSION.reset(token)


@final
@checked
class TenureEventStore(EventStore):
    """Keeps the events of sessions in a store, each its session's alone.

    An event is on disk, in one commit, before it is sent. `EventSessions` is around the application of the server.
    """

    def __init__(self, store: AnyStore, *, retention_s: float = 3600.0, limit: int = 1000) -> None:
        """Bind to an open store: of `tenure.asyncio`, on whose loop this is called, or of `tenure.sync`.

        Args:
            store: It stays its opener's to close.
            retention_s: Seconds for which an event is kept.
            limit: How many events of a session are kept; the oldest goes with the commit of the next.

        Raises:
            InvalidInput: An argument is none, or there is no running loop for the store.
        """
        self._caller = Caller(store)
        check_value(retention_s, float, "retention_s")
        check_value(limit, int, "limit")
        if not 0 < retention_s < float("inf"):
            raise InvalidInput(detail="it is a number of seconds above 0", field="retention_s")
        if limit < 1:
            raise InvalidInput(detail="it is a whole number above 0", field="limit")
        self._retention_s = retention_s
        self._limit = limit

    async def store_event(self, stream_id: str, message: JSONRPCMessage | None) -> str:
        """Store an event of the session of this request, and return its id. None is an event that has only an id.

        A message that is larger than the store takes is sent, and is not kept: of an answer a replay says so, as an error,
        and others it leaves out. While the disk is full, or the store is busy, this waits and tries again, for the SDK sends
        nothing more in a session whose event was not stored.

        Cancellation: it is stored or not; an id that was not returned is never sent.

        Raises:
            InvalidInput: An argument is none, or no `EventSessions` is around the application.
        """
        session = _current()
        async with session.writing:
            number = session.last + 1
            try:
                await self._write(session, number, stream_id, message)
            except PayloadTooLarge:
                await self._write(session, number, stream_id, _instead(message))
            session.last = number
        session.tell()
        return session.event_id(number)

    async def _write(self, session: _Session, number: int, stream_id: str, message: JSONRPCMessage | None) -> None:
        said = b"" if message is None else message.model_dump_json(by_alias=True, exclude_unset=True).encode()
        values: dict[str, bytes | None] = {session.key(number): _ENCODER.encode(_Event(_VERSION, stream_id, said))}
        if number > self._limit:
            values[session.key(number - self._limit)] = None
        while True:
            try:
                await self._caller.awaited(self._caller.values.write(values, self._retention_s))
            except (DiskFull, Contended):  # nothing was written
                await asyncio.sleep(_RETRY_S)
            else:
                return

    async def replay_events_after(self, last_event_id: str, send_callback: EventCallback) -> None:
        """Send what came after an event in its stream, and what comes, until the stream or the session has ended.

        It returns None, so that the SDK does not send the rest itself: at once for an event of another session, one that
        is not kept any more and one that never was, and where a later one has gone before it could be sent.

        Raises:
            InvalidInput: An argument is none, or no `EventSessions` is around the application.
            Corrupt: An event on disk is none.
        """
        session = _current()
        place = session.number(last_event_id)
        if place is None:
            return
        key = session.key(place)
        found = await self._caller.awaited(self._caller.values.get_all([key]))
        if key not in found:
            return
        stream, message = _decode(found[key], key)
        if _ends(message):
            return
        async for number, of, message in self._follow(session, place):
            if of == stream and message is not None:
                await send_callback(EventMessage(message, session.event_id(number)))
                if _ends(message):
                    return

    async def _follow(self, session: _Session, place: int) -> AsyncGenerator[tuple[int, str, JSONRPCMessage | None]]:
        """The events of all streams after one, by number, until the session ends or one is not kept any more."""
        stem = session.key(0)[:-_DIGITS]
        while True:
            changed = session.changed
            if place < session.last:
                count = min(_PAGE, session.last - place)
                read = self._caller.values.items(stem, after=session.key(place), limit=count)
                for key, data in await self._caller.awaited(read) or [("", b"")]:
                    if key != session.key(place + 1):
                        return
                    place += 1
                    yield place, *_decode(data, key)
            elif session.has_ended:
                return
            else:
                await changed.wait()


def _current() -> _Session:
    session = _SESSION.get()
    if session is None:
        detail = "wrap the server's application: EventSessions(server.streamable_http_app(event_store=...))"
        raise InvalidInput(detail=detail, field="event_store")
    return session


def _session_id(headers: Any) -> str | None:
    return next((value.decode("latin-1") for name, value in headers if name.lower() == _HEADER), None)


def _ends(message: JSONRPCMessage | None) -> bool:
    """Whether this is the last event of its stream."""
    return isinstance(message, JSONRPCResponse | JSONRPCError) and message.id is not None


def _instead(message: JSONRPCMessage | None) -> JSONRPCMessage | None:
    """What is kept of a message that is too large: the end of its stream, where it is that."""
    if not isinstance(message, JSONRPCResponse | JSONRPCError):
        return None
    error = ErrorData(code=INTERNAL_ERROR, message="the answer was too large to be kept for a client that resumes")
    return JSONRPCError(jsonrpc="2.0", id=message.id, error=error)


def _decode(data: bytes, key: str) -> tuple[str, JSONRPCMessage | None]:
    """Stream and message of an event. Raises `Corrupt`."""
    event = versioned.decode(_DECODER, data, _VERSION, record="MCP event", key=key)
    try:
        return event.stream, jsonrpc_message_adapter.validate_json(event.message) if event.message else None
    except ValidationError as exc:
        raise Corrupt(record="MCP event", key=key, detail=str(exc)) from exc
