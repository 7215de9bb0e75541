"""A pooler before a PostgreSQL server: of transactions, which an open must refuse, or of sessions, which it lets through."""

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


class _Pooler:
    def __init__(self, host: str, port: int, *, shares: bool) -> None:
        self._address = (host, port)
        self._shares = shares
        self._shared: _Session | None = None
        self._servers: list[trio.SocketStream] = []

    async def close(self) -> None:
        for each in self._servers:
            await trio.aclose_forcefully(each)

    async def serve(self, stream: trio.SocketStream) -> None:
        client = _Messages(stream)
        async with stream:
            with suppress(*_GONE):  # a client, or the server, has ended it
                session = await self._session(await client.greeting())
                await stream.send_all(session.welcome)
                while True:
                    await self._transaction(client, session)

    async def _session(self, greeting: bytes) -> _Session:
        if self._shared is not None:
            return self._shared
        server = _Messages(await trio.open_tcp_stream(*self._address))
        self._servers.append(server.stream)
        await server.stream.send_all(greeting)
        said = [each[:5] + _PROCESS + each[9:] if each[:1] == b"K" else each for each in await server.until(b"ZE")]
        session = _Session(server, b"".join(said))
        if self._shares:
            self._shared = session
        return session

    async def _transaction(self, client: _Messages, session: _Session) -> None:
        asked = await client.until(b"QSX")
        async with session.turn:
            while True:
                if asked[-1][:1] == b"X":
                    raise EOFError
                await session.server.stream.send_all(b"".join(asked))
                answers = await session.server.until(b"Z")
                await client.stream.send_all(b"".join(answers))
                if answers[-1][-1:] == b"I":  # in no transaction
                    return
                asked = await client.until(b"QSX")


@asynccontextmanager
async def pooler(url: str, *, shares: bool) -> AsyncGenerator[str]:
    """The URL of a pooler before a server; it `shares` one session of the server among all clients, or each has its own."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        made = _Pooler(parts.hostname, parts.port, shares=shares)
        nursery.start_soon(trio.serve_listeners, made.serve, [listener])
        yield urlunsplit(parts._replace(netloc=f"{parts.username}@127.0.0.1:{listener.socket.getsockname()[1]}"))
        nursery.cancel_scope.cancel()
    await made.close()
