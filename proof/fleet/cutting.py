"""A proxy before a PostgreSQL server that cuts a connection around a COMMIT, in every way in which a network can.

It reads no protocol: a COMMIT is known by its word, which may stand nowhere else in what a proof writes.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress
from enum import Enum
from typing import Final, final

import trio

_WORD: Final = b"COMMIT\0"
_PIECE: Final = 65_536
_BROKEN: Final = (trio.BrokenResourceError, trio.ClosedResourceError)


class Cut(Enum):
    """What becomes of a COMMIT.

    Attributes:
        REQUEST: It never reaches the server, which sees the connection end.
        ANSWER: The server carries it out, and its answer is lost.
        LATE: The host sees the connection end, and the server gets the COMMIT a while later.
        SILENT: It never reaches the server, which goes on waiting for a while.
    """

    REQUEST = "request lost"
    ANSWER = "answer lost"
    LATE = "delivered late"
    SILENT = "request lost, and the server does not hear of it"


@final
class CuttingProxy:
    """Forwards connections to a server.

    Attributes:
        port: Where it listens, on the loopback.
        server: Host and port of the server that new connections lead to.
        cut: What is done to the next COMMIT; None: nothing. Taken away when it is done.
        late_s: Seconds for which a late COMMIT, or a silent end, is kept.
        cuts: How many it has made.
        pause_s: Seconds before each piece of a request is passed on: a slow line.
    """

    def __init__(self, host: str, port: int) -> None:
        """Bind to the server's address."""
        self.server = (host, port)
        self.port = 0
        self.cut: Cut | None = None
        self.late_s = 0.0
        self.cuts = 0
        self.pause_s = 0.0
        self._open: set[trio.SocketStream] = set()
        self._swallowing: trio.SocketStream | None = None
        self._still = set[trio.SocketStream]()

    async def cut_all(self) -> None:
        """End every connection."""
        for each in [*self._open]:
            await trio.aclose_forcefully(each)

    def hold_all(self) -> None:
        """Forward nothing more on any connection that is open, and end none of them."""
        self._still |= self._open

    async def serve(self, client: trio.SocketStream) -> None:
        """Forward one connection until one of its ends closes."""
        try:
            server = await trio.open_tcp_stream(*self.server)
        except OSError:
            await trio.aclose_forcefully(client)
            return
        self._open |= {client, server}
        answered = trio.Event()
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._requests, client, server, answered, nursery.cancel_scope)
                nursery.start_soon(self._answers, server, client, answered, nursery.cancel_scope)
        finally:
            self._open -= {client, server}
            self._still -= {client, server}
            with trio.CancelScope(shield=True):
                await trio.aclose_forcefully(client)
                await trio.aclose_forcefully(server)

    async def _requests(
        self, client: trio.SocketStream, server: trio.SocketStream, answered: trio.Event, ends: trio.CancelScope
    ) -> None:
        with suppress(*_BROKEN):
            while data := await client.receive_some(_PIECE):
                await self._forwards(client)
                await trio.sleep(self.pause_s)
                if self.cut is not None and _WORD in data:
                    cut, self.cut = self.cut, None
                    self.cuts += 1
                    await self._make(cut, data, client, server, answered)
                    break
                await server.send_all(data)
        ends.cancel()

    async def _forwards(self, end: trio.SocketStream) -> None:
        if end in self._still:
            await trio.sleep_forever()

    async def _make(
        self, cut: Cut, data: bytes, client: trio.SocketStream, server: trio.SocketStream, answered: trio.Event
    ) -> None:
        if cut is not Cut.ANSWER:
            await trio.aclose_forcefully(client)  # from here on no answer finds its way
        if cut in {Cut.LATE, Cut.SILENT}:
            await trio.sleep(self.late_s)
        if cut in {Cut.ANSWER, Cut.LATE}:
            self._swallowing = server
            await server.send_all(data)
            with trio.move_on_after(5):
                await answered.wait()

    async def _answers(
        self, server: trio.SocketStream, client: trio.SocketStream, answered: trio.Event, ends: trio.CancelScope
    ) -> None:
        with suppress(*_BROKEN):
            while data := await server.receive_some(_PIECE):
                await self._forwards(server)
                if server is self._swallowing:
                    if _WORD in data:
                        answered.set()
                        return
                else:
                    await client.send_all(data)
        if server is not self._swallowing:
            ends.cancel()
        answered.set()


@asynccontextmanager
async def cutting_proxy(host: str, port: int) -> AsyncGenerator[CuttingProxy]:
    """A proxy before the server at an address, while the body runs."""
    proxy = CuttingProxy(host, port)
    async with trio.open_nursery() as nursery:
        (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
        proxy.port = listener.socket.getsockname()[1]
        nursery.start_soon(trio.serve_listeners, proxy.serve, [listener])
        yield proxy
        nursery.cancel_scope.cancel()
