"""The event store for resumption: clients whose connections are cut, and what one session never hears of another."""

from __future__ import annotations

import asyncio
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx2
import pytest
from mcp.client.client import Client
from mcp.server.streamable_http import EventMessage
from mcp_types import (
    JSONRPCError,
    JSONRPCMessage,
    JSONRPCNotification,
    JSONRPCResponse,
    TextContent,
    ToolListChangedNotification,
)
from starlette.types import Receive, Scope, Send

import tenure
import tenure.asyncio
import tenure.sync
from tenure.adapters.mcp import EventSessions, TenureEventStore
from tenure.errors import Corrupt, InvalidInput
from tests.adapters.programs import program
from tests.adapters.serving import listening, run as run_bounded

from .served import EVENT_S, Wire, make_app, serving_here, wire_to
from .test_page import PORT

STREAM = {"accept": "application/json, text/event-stream", "mcp-protocol-version": "2025-11-25"}


def run(main: Callable[[tenure.asyncio.Store], Awaitable[None]], path: Path) -> None:
    async def opened() -> None:
        async with tenure.asyncio.open_store(path / "agents.db") as store:
            await main(store)

    run_bounded(opened)


# Over HTTP, with the client of mcp


CUTS = (0, 3, 17, 39)
"""Each in a call of its own: the client of mcp 2.3.0, cut again in a resumed stream, asks for what it has heard there too."""


async def count(name: str, wire: Wire, url: str) -> None:
    """A client calls a tool that counts, and is cut in each of its calls."""
    heard: list[tuple[str | None, float]] = []
    async with Client(url, mode="legacy", read_timeout_seconds=60) as client:
        for cut in CUTS:
            heard.clear()

            async def hear(progress: float, total: float | None, message: str | None, cut: int = cut) -> None:
                heard.append((message, progress))
                if progress == cut:
                    wire.cut()

            result = await client.call_tool("count", {"name": name, "to": 40}, progress_callback=hear)
            (content,) = result.content
            assert isinstance(content, TextContent)
            assert content.text == f"{name} counted"
            assert heard == [(name, number) for number in range(40)]
    assert wire.cuts == len(CUTS)


def test_a_client_whose_connection_is_cut_hears_each_event_once(tmp_path: Path) -> None:
    async def main(store: tenure.asyncio.Store) -> None:
        async with serving_here(make_app(store)) as port, wire_to(port) as (wire, url):
            await count("a", wire, url)

    run(main, tmp_path)


def test_two_clients_at_once_hear_nothing_of_one_another(tmp_path: Path) -> None:
    async def main(store: tenure.asyncio.Store) -> None:
        async with serving_here(make_app(store)) as port, wire_to(port) as (a, to_a), wire_to(port) as (b, to_b):
            await asyncio.gather(count("a", a, to_a), count("b", b, to_b))

    run(main, tmp_path)


def test_the_stream_of_the_session_is_resumed_too(tmp_path: Path) -> None:
    heard: list[Any] = []

    async def hear(message: Any) -> None:
        heard.append(type(message))

    async def main(store: tenure.asyncio.Store) -> None:
        async with (
            serving_here(make_app(store)) as port,
            wire_to(port) as (wire, url),
            Client(url, mode="legacy", message_handler=hear) as client,
        ):
            while not heard:  # until the client has opened its stream
                await client.call_tool("change", {})
                await asyncio.sleep(5 * EVENT_S)
            before = len(heard)
            wire.cut()
            for _ in range(2):  # while the stream is not there
                await client.call_tool("change", {})
            while len(heard) < before + 2:  # noqa: ASYNC110 - heard on another connection
                await asyncio.sleep(EVENT_S)
            await client.call_tool("change", {})  # on the stream that was resumed
            while len(heard) < before + 3:  # noqa: ASYNC110 - heard on another connection
                await asyncio.sleep(EVENT_S)
            await asyncio.sleep(5 * EVENT_S)
            assert heard == [ToolListChangedNotification] * (before + 3)

    run(main, tmp_path)


@pytest.mark.process
@pytest.mark.slow
def test_the_server_of_the_page_resumes_and_does_not_know_a_session_after_a_kill(tmp_path: Path) -> None:
    """The SDK holds sessions in memory: where this is red it takes them up again, and docs/adapters.md can say so."""
    hello = {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}}
    first = {"jsonrpc": "2.0", "id": 0, "method": "initialize", "params": hello}
    page = [sys.executable, "-c", PORT + program("MCP: event store for resumption")]
    with listening(page, tmp_path) as (process, url):
        opened = httpx2.post(f"{url}/mcp", json=first, headers=STREAM)
        known = STREAM | {"mcp-session-id": opened.headers["mcp-session-id"]}
        ids = re.findall(r"^id: (\S+)", opened.text, flags=re.MULTILINE)
        resumed = httpx2.get(f"{url}/mcp", headers=known | {"last-event-id": ids[0]})
        assert (resumed.status_code, re.findall(r"^id: (\S+)", resumed.text, flags=re.MULTILINE)) == (200, ids[1:])
        process.send_signal(signal.SIGKILL)
        process.wait()
    with tenure.sync.open_store(tmp_path / "agents.db") as store:
        assert len(store.state.items("mcp.events:")) == len(ids) == 2
    with listening(page, tmp_path) as (_, url):
        for header in ({}, {"last-event-id": ids[0]}):
            assert httpx2.get(f"{url}/mcp", headers=known | header).status_code == httpx2.codes.NOT_FOUND
        anew = httpx2.post(f"{url}/mcp", json=first, headers=STREAM)
        assert (anew.status_code, anew.headers["mcp-session-id"] == known["mcp-session-id"]) == (200, False)


# The store alone, in an application that does what a test says


class Desk:
    """A server whose requests do what a test says."""

    def __init__(self) -> None:
        self._sessions = EventSessions(self._serve)
        self._tasks: list[asyncio.Task[Any]] = []

    async def _serve(self, scope: Scope, _: Receive, send: Send) -> None:
        headers = []
        if "opens" in scope:
            headers = [(b"mcp-session-id", scope["opens"])]
            self._tasks.append(asyncio.create_task(asyncio.sleep(240)))  # as the SDK: one that serves the session
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        if "does" in scope:
            scope["said"] = await scope["does"]

    async def open(self, *sessions: bytes) -> None:
        for session in sessions:
            await self._sessions({"type": "http", "method": "POST", "headers": [], "opens": session}, _deaf, _deaf)

    async def ask(self, session: bytes, does: Awaitable[Any], method: str = "POST") -> Any:
        scope = {"type": "http", "method": method, "headers": [(b"mcp-session-id", session)], "does": does}
        await self._sessions(scope, _deaf, _deaf)
        return scope["said"]

    async def end(self, session: bytes) -> None:
        scope = {"type": "http", "method": "DELETE", "headers": [(b"mcp-session-id", session)]}
        await self._sessions(scope, _deaf, _deaf)


async def _deaf(*_: Any) -> Any:
    """What comes is not looked at."""


def note(number: int) -> JSONRPCMessage:
    return JSONRPCNotification(jsonrpc="2.0", method="n", params={"at": number})


DONE = JSONRPCResponse(jsonrpc="2.0", id=1, result={})


async def replayed(desk: Desk, events: TenureEventStore, session: bytes, after: str) -> list[EventMessage]:
    """What a replay sends that ends."""
    heard: list[EventMessage] = []

    async def hear(event: EventMessage) -> None:
        heard.append(event)

    async with asyncio.timeout(60):
        assert await desk.ask(session, events.replay_events_after(after, hear)) is None
    return heard


def test_events_are_those_of_their_session_and_stream_alone(tmp_path: Path) -> None:
    async def main(store: tenure.asyncio.Store) -> None:
        desk, events = Desk(), TenureEventStore(store)
        await desk.open(b"a", b"b")
        ids: dict[bytes, list[str]] = {b"a": [], b"b": []}
        for session in (b"a", b"b"):
            for stream, message in [("1", None), ("2", None), ("1", note(1)), ("2", note(2)), ("1", DONE)]:
                ids[session].append(await desk.ask(session, events.store_event(stream, message)))
        assert len({*ids[b"a"], *ids[b"b"]}) == len(await store.state.items("mcp.events:")) == 10
        mine = ids[b"a"]
        heard = await replayed(desk, events, b"a", mine[0])
        assert heard == [EventMessage(note(1), mine[2]), EventMessage(DONE, mine[4])]
        assert await replayed(desk, events, b"a", mine[2]) == heard[1:]
        assert await replayed(desk, events, b"a", mine[4]) == []
        unknown = mine[0][:-1] + "9", mine[0] + "0", mine[0].upper(), "", ".", "x", "9" * 5000, ids[b"b"][0]
        for event_id in (*unknown, mine[0][:-16] + "0" * 16):
            assert await replayed(desk, events, b"a", event_id) == []
        assert await replayed(desk, events, b"not opened", mine[0]) == []

    run(main, tmp_path)


def test_a_replay_goes_on_until_its_stream_or_its_session_ends(tmp_path: Path) -> None:
    async def main(store: tenure.asyncio.Store) -> None:
        desk, events = Desk(), TenureEventStore(store)
        await desk.open(b"a")
        first = await desk.ask(b"a", events.store_event("1", None))
        following = asyncio.create_task(replayed(desk, events, b"a", first))
        own = await desk.ask(b"a", events.store_event("_GET_stream", None))
        until_end = asyncio.create_task(replayed(desk, events, b"a", own))
        for number in range(450):  # more than a page
            await desk.ask(b"a", events.store_event("1", note(number)))
        await desk.ask(b"a", events.store_event("1", DONE))
        assert [event.message for event in await following] == [*map(note, range(450)), DONE]
        assert [event.message for event in await replayed(desk, events, b"a", first)] == [*map(note, range(450)), DONE]
        last = await desk.ask(b"a", events.store_event("_GET_stream", note(0)))
        assert not until_end.done()
        await desk.end(b"a")
        assert await until_end == [EventMessage(note(0), last)]

    run(main, tmp_path)


def test_old_events_go_and_what_came_after_them_is_not_sent(tmp_path: Path) -> None:
    async def main(store: tenure.asyncio.Store) -> None:
        desk = Desk()
        await desk.open(b"a", b"b")
        few = TenureEventStore(store, limit=3)
        ids = [await desk.ask(b"a", few.store_event("1", note(number))) for number in range(4)]
        ids.append(await desk.ask(b"a", few.store_event("1", DONE)))
        assert len(await store.state.items("mcp.events:")) == 3
        assert await replayed(desk, few, b"a", ids[1]) == []
        assert [event.event_id for event in await replayed(desk, few, b"a", ids[2])] == ids[3:]
        (gap, _), *_ = (await store.state.items("mcp.events:"))[1:]
        await store.state.write({gap: None})
        assert await replayed(desk, few, b"a", ids[2]) == []

        short = TenureEventStore(store, retention_s=0.2)
        gone = await desk.ask(b"b", short.store_event("1", None))
        await desk.ask(b"b", short.store_event("1", DONE))
        await asyncio.sleep(0.3)
        assert await replayed(desk, short, b"b", gone) == []

    run(main, tmp_path)


def test_what_is_too_large_to_be_kept_is_sent_and_its_session_goes_on(tmp_path: Path) -> None:
    async def main() -> None:
        limits = tenure.Limits(payload_bytes=10_000)
        async with (
            tenure.asyncio.open_store(tmp_path / "agents.db", limits=limits) as store,
            serving_here(make_app(store)) as port,
            Client(f"http://127.0.0.1:{port}/mcp", mode="legacy", read_timeout_seconds=60) as client,
        ):
            for name in ("x" * 20_000, "a"):  # what it says meanwhile is as large as its answer
                result = await client.call_tool("count", {"name": name, "to": 2})
                (content,) = result.content
                assert isinstance(content, TextContent)
                assert content.text == f"{name} counted"

    run_bounded(main)


def test_a_replay_says_of_an_answer_that_it_was_too_large(tmp_path: Path) -> None:
    async def main(store: tenure.asyncio.Store) -> None:
        desk, events = Desk(), TenureEventStore(store)
        await desk.open(b"a")
        first = await desk.ask(b"a", events.store_event("1", None))
        text = {"text": "x" * 2**24}
        for large in (
            JSONRPCNotification(jsonrpc="2.0", method="n", params=text),
            JSONRPCResponse(jsonrpc="2.0", id=1, result=text),
        ):
            last = await desk.ask(b"a", events.store_event("1", large))
        (event,) = await replayed(desk, events, b"a", first)
        assert event.event_id == last
        assert isinstance(event.message, JSONRPCError)
        assert (event.message.id, "too large" in event.message.error.message) == (1, True)

    run(main, tmp_path)


def test_damage_is_said(tmp_path: Path) -> None:
    async def main(store: tenure.asyncio.Store) -> None:
        desk, events = Desk(), TenureEventStore(store)
        await desk.open(b"a")
        first = await desk.ask(b"a", events.store_event("1", None))
        await desk.ask(b"a", events.store_event("1", DONE))
        for key, data in await store.state.items("mcp.events:"):
            for damaged in (b"\xc1", data[:1] + b"\x07" + data[2:], data[:-2] + b"\xff\xff"):
                await store.state.write({key: damaged})
                with pytest.raises(Corrupt):
                    await replayed(desk, events, b"a", first)
            await store.state.write({key: data})
        assert len(await replayed(desk, events, b"a", first)) == 1

    run(main, tmp_path)


def test_what_makes_no_sense_is_refused_and_stores_nothing(tmp_path: Path) -> None:
    wrong: Any
    for wrong in (b"x", None, 3):
        with pytest.raises(InvalidInput):
            TenureEventStore(wrong)
        with pytest.raises(InvalidInput):
            EventSessions(wrong)

    async def main(store: tenure.asyncio.Store) -> None:
        wrong: Any
        for wrong in (0, -1, float("nan"), float("inf"), "1", None, True):
            with pytest.raises(InvalidInput, match="retention_s"):
                TenureEventStore(store, retention_s=wrong)
        for wrong in (0, -1, 1.5, "1", None, True):
            with pytest.raises(InvalidInput, match="limit"):
                TenureEventStore(store, limit=wrong)
        events = TenureEventStore(store)
        with pytest.raises(InvalidInput, match="EventSessions"):
            await events.store_event("1", None)
        with pytest.raises(InvalidInput, match="EventSessions"):
            await events.replay_events_after("1", _deaf)
        desk = Desk()
        await desk.open(b"a")
        for wrong in (b"x", None, 3, "\ud800"):
            with pytest.raises(InvalidInput):
                await desk.ask(b"a", events.store_event(wrong, None))
            with pytest.raises(InvalidInput):
                await desk.ask(b"a", events.replay_events_after(wrong, _deaf))
        for wrong in (b"x", 3, "x", {}):
            with pytest.raises(InvalidInput):
                await desk.ask(b"a", events.store_event("1", wrong))
            with pytest.raises(InvalidInput):
                await desk.ask(b"a", events.replay_events_after("1", wrong))
        assert await store.state.items("mcp.events:") == []

    run(main, tmp_path)


def test_a_store_of_threads_serves_as_well(tmp_path: Path) -> None:
    async def main() -> None:
        with tenure.sync.open_store(tmp_path / "agents.db") as store:
            desk, events = Desk(), TenureEventStore(store)
            await desk.open(b"a")
            first = await desk.ask(b"a", events.store_event("1", None))
            await desk.ask(b"a", events.store_event("1", DONE))
            assert [event.message for event in await replayed(desk, events, b"a", first)] == [DONE]

    run_bounded(main)
