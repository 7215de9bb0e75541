"""A host whose network goes away in the middle of what it sends: what it holds on the server does not outlive it for long."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
import trio
from attrs import evolve

from proof.fleet.networks import networks, reached_by_hosts
from proof.fleet.server import own_server
from tenure import Behaviour, Limits, Run, open_supervisor
from tenure.errors import Contended, Error
from tenure.persistence.engines.postgres.connecting import Connecting
from tenure.persistence.engines.postgres.target import target_of
from tenure.persistence.opening import open_store
from tests.kit import postgres
from tests.kit.stores import landed, message, own

ROOT = Path(__file__).parents[4]
LOCKED = "SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND objid = 7"
LIMITS = Limits(lease_s=2.0, renew_s=0.5, payload_bytes=4_000_000)
LARGE = "x" * 3_000_000
"""More than is sent at once."""


def hold_half(url: str) -> None:
    """Take a lock in a transaction, send the first message of several, and say no more."""
    connection = Connecting(target_of(url), LIMITS, None).connect(writes=True)
    connection.execute("BEGIN")
    connection.execute("SELECT pg_advisory_xact_lock(7)")
    body = b"\0SELECT 1\0" + struct.pack(">h", 0)
    os.write(connection.fileno(), b"P" + struct.pack(">I", len(body) + 4) + body)  # the Sync at the end does not come
    sys.stdout.write("half\n")
    sys.stdout.flush()
    time.sleep(600)


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.postgres
@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("ip") is None, reason="a network namespace needs root and iproute2"
)
def test_what_a_host_holds_is_free_once_its_network_is_gone_in_the_middle_of_a_group() -> None:
    postgres.needs_own_server()
    with reached_by_hosts() as settings, own_server(None, **settings) as server, networks() as cables:
        cable = cables.make()
        program = [sys.executable, "-m", "tests.persistence.engines.postgres.test_cut_off", cable.url(server.url)]
        with (
            subprocess.Popen(cable.command(program), stdout=subprocess.PIPE, cwd=ROOT) as host,
            psycopg.connect(server.url, autocommit=True) as connection,
        ):
            try:
                assert host.stdout is not None
                assert host.stdout.readline() == b"half\n"
                time.sleep(2 * LIMITS.lease_s)
                assert connection.execute(LOCKED).fetchone() is not None, "a host that is only slow keeps what it holds"

                cable.pull()
                give_up_at = time.monotonic() + 60
                while connection.execute(LOCKED).fetchone() is not None:
                    assert time.monotonic() < give_up_at, "the server waits for a host that is gone"
                    time.sleep(0.1)
            finally:
                host.kill()


class StallingProxy:
    """Forwards connections to a server; once `is_armed`, a while into the next large message, nothing more, and ends none."""

    def __init__(self, url: str) -> None:
        self._url = urlsplit(url)
        self.is_armed = False
        self.stalled = trio.Event()
        self._sent = 0

    async def serve(self, listening: trio.SocketListener) -> None:
        await trio.serve_listeners(self._forward_both, [listening])

    def url(self, port: int) -> str:
        return urlunsplit(self._url._replace(netloc=f"{self._url.username}@127.0.0.1:{port}"))

    async def _forward_both(self, client: trio.SocketStream) -> None:
        server = await trio.open_tcp_stream(str(self._url.hostname), int(self._url.port or 0))
        async with client, server, trio.open_nursery() as nursery:
            nursery.start_soon(self._requests, client, server)
            while data := await server.receive_some(16_384):
                await self._stall()
                await client.send_all(data)
            nursery.cancel_scope.cancel()

    async def _requests(self, client: trio.SocketStream, server: trio.SocketStream) -> None:
        while data := await client.receive_some(16_384):
            self._sent += len(data) if self.is_armed else 0
            if self._sent > len(LARGE) // 8:
                self.stalled.set()
            await self._stall()
            await server.send_all(data)
        await server.send_eof()

    async def _stall(self) -> None:
        if self.stalled.is_set():
            await trio.sleep_forever()


@pytest.mark.postgres
async def test_a_host_that_stalls_in_the_middle_of_a_group_is_judged_and_holds_no_other_up(url: str) -> None:
    postgres.needs_server()

    async def answer(run: Run) -> None:
        for entry in run.inputs:
            run.session.append(str(entry.payload)[:5])

    proxy = StallingProxy(url)
    (listening,) = await trio.open_tcp_listeners(0, host="127.0.0.1")
    opened = partial(open_supervisor, behaviours={"clerk": Behaviour(answer)}, limits=LIMITS)

    async def stall(ready: trio.Event, go: trio.Event) -> None:
        async with opened(proxy.url(listening.socket.getsockname()[1])) as supervisor:
            await (await supervisor.accept("a", "first", kind="clerk")).wait_outcome()
            ready.set()
            await go.wait()
            await supervisor.accept("a", LARGE)

    async with trio.open_nursery() as nursery:
        ready, go = trio.Event(), trio.Event()
        nursery.start_soon(proxy.serve, listening)
        nursery.start_soon(stall, ready, go)
        await ready.wait()
        async with opened(url) as other:
            await (await other.accept("b", "its own", kind="clerk")).wait_outcome()
            proxy.is_armed = True
            go.set()
            await proxy.stalled.wait()
            with trio.fail_after(60):  # a lease of 2 s, and a look
                while True:
                    try:
                        await (await other.accept("a", "second")).wait_outcome()
                        break
                    except Error:
                        await trio.sleep(0.1)
            assert await other.read_session("a") == ["first", "secon"]
        nursery.cancel_scope.cancel()


@pytest.mark.postgres
async def test_a_host_that_stalls_in_the_middle_of_a_group_keeps_the_store_from_none_who_opens_it(url: str) -> None:
    """No other host is there that would judge it, and what stands between answers the server for it."""
    postgres.needs_server()
    limits = evolve(LIMITS, busy_s=0.5, verdict_s=1.0)
    proxy = StallingProxy(url)
    (listening,) = await trio.open_tcp_listeners(0, host="127.0.0.1")

    async def stall() -> None:
        async with open_store(proxy.url(listening.socket.getsockname()[1]), limits=limits) as store:
            await own(store)
            proxy.is_armed = True
            await store.commit(message(store, "m", payload=f'"{LARGE}"'.encode()))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(proxy.serve, listening)
        nursery.start_soon(stall)
        await proxy.stalled.wait()
        with pytest.raises(Contended, match="lock timeout"):
            async with open_store(url, limits=limits):
                pass
        with trio.fail_after(60):  # a lease of 2 s
            while True:
                try:
                    async with open_store(url, limits=limits) as store:
                        assert await landed(store, "m") == []
                        break
                except Contended:
                    await trio.sleep(0.1)
        nursery.cancel_scope.cancel()


if __name__ == "__main__":
    hold_half(sys.argv[1])
