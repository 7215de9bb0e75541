"""A server that is further away: ``far.py HOST PORT DELAY_S`` forwards connections and prints its port.

What a client sends arrives so many seconds later, so that every round trip takes as much longer; answers come at once.
"""

from __future__ import annotations

import math
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from urllib.parse import urlsplit, urlunsplit

import trio

PIECE = 65_536


@contextmanager
def far_away(url: str, delay_s: float) -> Generator[str]:
    """The URL by which a server is so much further away; a process of its own forwards."""
    parts = urlsplit(url)
    command = [sys.executable, __file__, parts.hostname or "127.0.0.1", str(parts.port or 5432), str(delay_s)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:  # noqa: S603 - ourselves
        try:
            assert process.stdout is not None  # noqa: S101 - for the type checker
            user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
            yield urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{process.stdout.readline().strip()}"))
        finally:
            process.kill()


async def _forward(host: str, port: int, delay_s: float, client: trio.SocketStream) -> None:
    server = await trio.open_tcp_stream(host, port)
    sending, waiting = trio.open_memory_channel[tuple[float, bytes]](math.inf)

    async def take() -> None:
        async with sending:
            while data := await client.receive_some(PIECE):
                sending.send_nowait((trio.current_time() + delay_s, data))

    async def send() -> None:
        async for at, data in waiting:
            await trio.sleep_until(at)
            await server.send_all(data)
        nursery.cancel_scope.cancel()

    async def answer() -> None:
        while data := await server.receive_some(PIECE):
            await client.send_all(data)
        nursery.cancel_scope.cancel()

    try:
        async with trio.open_nursery() as nursery:
            for each in (take, send, answer):
                nursery.start_soon(each)
    except* (trio.BrokenResourceError, trio.ClosedResourceError):
        pass  # one side has gone: both ends of the wire are closed, here and by who calls this, so the other side hears of it
    finally:
        await trio.aclose_forcefully(server)


async def _serve(host: str, port: int, delay_s: float) -> None:
    (listener,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    sys.stdout.write(f"{listener.socket.getsockname()[1]}\n")
    sys.stdout.flush()
    await trio.serve_listeners(partial(_forward, host, port, delay_s), [listener])


if __name__ == "__main__":
    trio.run(_serve, sys.argv[1], int(sys.argv[2]), float(sys.argv[3]))
