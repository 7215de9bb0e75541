"""A server of the protocol of 2025 whose connections a test cuts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import uvicorn
from mcp.server.mcpserver import Context, MCPServer
from starlette.types import ASGIApp

from tenure.adapters.fronts import AnyStore
from tenure.adapters.mcp import EventSessions, TenureEventStore

RETRY_MS = 60
EVENT_S = 0.02


def make_app(store: AnyStore) -> ASGIApp:
    server = MCPServer("desk")

    @server.tool()
    async def count(name: str, to: int, ctx: Context) -> str:
        """Count, and say so."""
        for number in range(to):
            await ctx.report_progress(number, to, name)
            await asyncio.sleep(EVENT_S)
        return f"{name} counted"

    @server.tool()
    async def change(ctx: Context) -> None:
        """Say on the session's own stream that something has changed."""
        await ctx.session.send_tool_list_changed()

    return EventSessions(server.streamable_http_app(event_store=TenureEventStore(store), retry_interval=RETRY_MS))


@asynccontextmanager
async def serving_here(app: ASGIApp) -> AsyncIterator[int]:
    """Serve an application on this loop: its port."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="warning", timeout_graceful_shutdown=1))
    serving = asyncio.create_task(server.serve())
    try:
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.01)
        yield server.servers[0].sockets[0].getsockname()[1]
    finally:
        server.should_exit = True
        await serving


class Wire:
    """Connections that a test cuts, all at once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._writers: set[asyncio.StreamWriter] = set()
        self.cuts = 0

    def cut(self) -> None:
        for writer in self._writers:
            writer.transport.abort()
        self.cuts += 1

    async def carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", self._port)
        ends = {writer, far_writer}
        self._writers |= ends
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pass(reader, far_writer))
                group.create_task(self._pass(far_reader, writer))
        finally:
            self._writers -= ends

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                writer.write(data)
        except ConnectionError:
            pass  # it was cut, or one end has gone: the other end hears of it by the close, as on a wire
        finally:
            writer.close()


@asynccontextmanager
async def wire_to(port: int) -> AsyncIterator[tuple[Wire, str]]:
    """A wire to a port, and the address of its near end."""
    wire = Wire(port)
    async with await asyncio.start_server(wire.carry, "127.0.0.1", 0) as near:
        yield wire, f"http://127.0.0.1:{near.sockets[0].getsockname()[1]}/mcp"
        wire.cut()
