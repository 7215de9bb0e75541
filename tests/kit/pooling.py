"""A pooler before a PostgreSQL server: of transactions or statements, which an open must refuse, or of sessions.

One of sessions leaves to the next client what a client has left, as PgBouncer does with an empty `server_reset_query`.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit, urlunsplit

import trio

_GONE = (EOFError, trio.BrokenResourceError, trio.ClosedResourceError)
_ENCRYPTED = (80_877_103, 80_877_104)
"""What asks for a connection by TLS, or by GSS."""

_PROCESS = b"\x7f\xff\xff\xff"
"""The process of the server as a pooler names it: nobody's."""


class _Messages:
    """One end of a connection, read by whole messages."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._data = b""

    async def _exactly(self, count: int) -> bytes:
        while len(self._data) < count:
            received = await self.stream.receive_some()
            if not received:
                raise EOFError
            self._data += received
        found, self._data = self._data[:count], self._data[count:]
        return found

    async def greeting(self) -> bytes:
        """What a client says first; TLS and GSS are denied it."""
        while True:
            length = await self._exactly(4)
            said = await self._exactly(int.from_bytes(length, "big") - 4)
            if int.from_bytes(said[:4], "big") not in _ENCRYPTED:
                return length + said
            await self.stream.send_all(b"N")

    async def until(self, kinds: bytes) -> list[bytes]:
        """Messages up to one of such a kind."""
        found: list[bytes] = []
        while not found or found[-1][:1] not in kinds:
            head = await self._exactly(5)
            found.append(head + await self._exactly(int.from_bytes(head[1:], "big") - 4))
        return found


class _Session:
    """A connection to the server, and what the server said when it was made."""

    def __init__(self, server: _Messages, welcome: bytes) -> None:
        self.server = server
        self.welcome = welcome
        self.turn = trio.Lock()
        self.in_transaction = False


class Pooler:
    """A pooler that serves.

    Attributes:
        url: Where it is.
        shares: Whether each transaction gets the next session of the server; else a client has one until it goes.
        refuses_transactions: Whether it shares them for the length of a statement.
    """

    def __init__(self, url: str, *, shares: bool, places: int) -> None:
        """Before a server; where it shares, it has so many sessions."""
        parts = urlsplit(url)
        assert parts.hostname is not None
        assert parts.port is not None
        self._address = (parts.hostname, parts.port)
        self.url = ""
        self.shares = shares
        self.refuses_transactions = False
        self._places = places
        self._sessions: list[_Session] = []  # those that were not asked for longest come first
        self._free: list[_Session] = []

    async def close(self) -> None:
        for each in self._sessions:
            await trio.aclose_forcefully(each.server.stream)

    async def serve(self, stream: trio.SocketStream) -> None:
        client = _Messages(stream)
        async with stream:
            with suppress(*_GONE):  # a client, or the server, has ended it
                shares = self.shares
                session = await self._session(await client.greeting())
                try:
                    await stream.send_all(session.welcome)
                    while True:
                        await self._transaction(client, None if shares else session)
                finally:
                    if not shares and session in self._sessions:
                        self._free.append(session)

    async def _session(self, greeting: bytes) -> _Session:
        if self.shares and len(self._sessions) >= self._places:
            return self._sessions[0]
        if self._free:
            return self._free.pop()
        server = _Messages(await trio.open_tcp_stream(*self._address))
        await server.stream.send_all(greeting)
        said = [each[:5] + _PROCESS + each[9:] if each[:1] == b"K" else each for each in await server.until(b"ZE")]
        session = _Session(server, b"".join(said))
        self._sessions.append(session)
        return session

    def _next(self, own: _Session | None) -> _Session:
        others = (each for each in self._sessions if each is not own)
        found = next(others, self._sessions[0])  # where it was switched, never the one that the client had, by chance
        self._sessions.remove(found)
        self._sessions.append(found)
        return found

    async def _transaction(self, client: _Messages, own: _Session | None) -> None:
        asked = await client.until(b"QSX")
        session = self._next(own) if self.shares or own is None else own
        async with session.turn:
            try:
                while True:
                    if asked[-1][:1] == b"X":
                        raise EOFError
                    if self.refuses_transactions and any(b"BEGIN" in each for each in asked):
                        await client.stream.send_all(_NO_TRANSACTIONS)
                        raise EOFError
                    await session.server.stream.send_all(b"".join(asked))
                    answers = await session.server.until(b"Z")
                    session.in_transaction = answers[-1][-1:] != b"I"
                    await client.stream.send_all(b"".join(answers))
                    if not session.in_transaction:
                        return
                    asked = await client.until(b"QSX")
            finally:
                if session.in_transaction:  # its client has gone
                    session.in_transaction = False
                    self._sessions.remove(session)
                    await trio.aclose_forcefully(session.server.stream)


def _error(said: str) -> bytes:
    body = f"SFATAL\0C08P01\0M{said}\0\0".encode()  # it has no severity that is not translated
    return b"E" + (len(body) + 4).to_bytes(4, "big") + body


_NO_TRANSACTIONS = _error("transaction blocks not allowed in statement pooling mode")


@asynccontextmanager
async def pooler(url: str, *, shares: bool, places: int = 1) -> AsyncGenerator[Pooler]:
    """A pooler before a server; it `shares` so many sessions of the server among all clients, or each has its own."""
    parts = urlsplit(url)
    made = Pooler(url, shares=shares, places=places)
    try:
        async with trio.open_nursery() as nursery:
            (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
            nursery.start_soon(trio.serve_listeners, made.serve, [listener])
            port = listener.socket.getsockname()[1]
            made.url = urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{port}"))
            yield made
            nursery.cancel_scope.cancel()
    finally:
        with trio.CancelScope(shield=True):
            await made.close()
