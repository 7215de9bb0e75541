"""The lifespan of a web application: a store that stops ends the server, and not with exit code 0 (B9)."""

from __future__ import annotations

import asyncio
import errno
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import trio

import tenure
import tenure.asyncio
from tenure.asyncio.lifespan import listens
from tenure.errors import InvalidInput, StoreBroken
from tests.kit.ground import pull_the_plug
from tests.kit.processes import running

ROOT = Path(__file__).parents[2]
ENDS_S = 60.0


def ask(port: int, method: str = "GET") -> bytes:
    request = urllib.request.Request(f"http://127.0.0.1:{port}/", method=method)
    with urllib.request.urlopen(request, timeout=ENDS_S) as response:
        return bytes(response.read())


@pytest.mark.slow
@pytest.mark.process
def test_a_store_that_breaks_ends_the_server_with_its_lifespan(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "uvicorn", "tests.asyncio.breaking_app:app", "--port", "0", "--no-use-colors"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "AGENTS": str(tmp_path / "agents.db")}
    with running(command, env=environment, cwd=ROOT, stderr=subprocess.STDOUT) as server:
        assert server.stdout is not None
        port = 0
        while not port:
            line = server.stdout.readline()
            assert line, "the server did not start"
            if "running on http://127.0.0.1:" in line:
                port = int(line.partition("127.0.0.1:")[2].split(" ")[0])
        assert ask(port) == b'"consumed"'
        assert ask(port, "DELETE") == b'"pulled"'

        assert server.wait(ENDS_S) != 0

        assert "pulled" in server.stdout.read()


class Stubborn:
    """A behaviour whose clean-up lasts for as long as it likes."""

    def __init__(self) -> None:
        self.began = False
        self.may_end = False

    async def in_trio(self, run: tenure.Run) -> None:
        self.began = True
        with trio.CancelScope(shield=True):
            while not self.may_end:  # noqa: ASYNC110 - it is set in another thread
                await trio.sleep(0.01)

    async def on_loop(self, run: tenure.asyncio.Run) -> None:
        self.began = True
        while not self.may_end:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0.01)

    def behaviour(self, where: str) -> Any:
        return self.in_trio if where == "trio" else tenure.asyncio.behaviour(self.on_loop)


async def pull(inner: tenure.Supervisor) -> None:
    await trio.lowlevel.checkpoint()
    pull_the_plug(inner.store)


@pytest.mark.parametrize("where", ["trio", "asyncio"])
def test_a_body_hears_that_its_store_has_broken_before_the_runs_have_cleaned_up(where: str) -> None:
    stubborn = Stubborn()

    async def main() -> None:
        behaviours = {"k": stubborn.behaviour(where)}
        with pytest.raises(StoreBroken, match="pulled"):  # noqa: PT012 - what raises is the end of the body
            async with tenure.asyncio.open_supervisor(":memory:", behaviours=behaviours) as supervisor:
                await break_it(supervisor, stubborn)
                try:
                    async with asyncio.timeout(ENDS_S):
                        await asyncio.Event().wait()
                finally:
                    assert not stubborn.may_end
                    stubborn.may_end = True

    asyncio.run(main())


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    """What a server has, and a test client has not."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


@pytest.mark.usefixtures("listening")
def test_a_server_is_asked_to_end_before_the_runs_have_cleaned_up(monkeypatch: pytest.MonkeyPatch) -> None:
    stubborn = Stubborn()
    asked: list[int] = []

    def kill(pid: int, number: int) -> None:
        asked.append(number)
        stubborn.may_end = True

    async def main() -> None:
        lifespan = tenure.asyncio.lifespan(":memory:", behaviours={"k": stubborn.in_trio})
        async with asyncio.timeout(ENDS_S):
            with pytest.raises(StoreBroken, match="pulled"):  # noqa: PT012 - what raises is the end of the body
                async with lifespan(None) as state:
                    await break_it(state["supervisor"], stubborn)
                    await asyncio.Event().wait()

    monkeypatch.setattr(os, "kill", kill)
    asyncio.run(main())

    assert asked == [signal.SIGTERM]


@pytest.mark.usefixtures("listening")
def test_what_raises_beside_the_supervisor_ends_the_server_too(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    async def fail() -> None:
        raise ZeroDivisionError

    @asynccontextmanager
    async def lifespan() -> AsyncGenerator[None]:
        hosted = tenure.asyncio.lifespan(":memory:", behaviours={})
        async with hosted(None), asyncio.TaskGroup() as beside:
            beside.create_task(fail())
            yield

    async def main() -> None:
        async with asyncio.timeout(ENDS_S):
            with pytest.raises(ExceptionGroup) as raised:
                async with lifespan():
                    await asyncio.Event().wait()
        assert raised.group_contains(ZeroDivisionError)
        async with asyncio.timeout(ENDS_S):
            while not asked:  # noqa: ASYNC110 - a signal
                await asyncio.sleep(0.01)

    def kill(_: int, number: int) -> None:
        asked.append(number)

    monkeypatch.setattr(os, "kill", kill)
    asyncio.run(main())

    assert asked == [signal.SIGTERM]


@pytest.mark.parametrize("error", [ZeroDivisionError(), InvalidInput(detail="wrong", field="a schedule")])
def test_a_server_that_ends_by_itself_gets_no_signal(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    """As where code of the program fails before the application serves: the process of a test client would end with it."""
    asked: list[int] = []

    async def main() -> None:
        with pytest.raises(type(error)):
            async with tenure.asyncio.lifespan(":memory:", behaviours={})(None):
                raise error

    def kill(_: int, number: int) -> None:
        asked.append(number)

    monkeypatch.setattr(os, "kill", kill)
    asyncio.run(main())

    assert asked == []


def test_a_test_client_whose_loop_lasts_gets_no_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lifespan has failed in a test, or its store has stopped; the next test runs on the same loop."""
    asked: list[int] = []
    stubborn = Stubborn()

    async def main() -> None:
        monkeypatch.setattr(sys.modules[listens.__module__], "BY_ITSELF_S", 0.0)
        with pytest.raises(ZeroDivisionError):
            async with tenure.asyncio.lifespan(":memory:", behaviours={})(None):
                raise ZeroDivisionError
        await asyncio.sleep(0.05)
        with pytest.raises(StoreBroken, match="pulled"):  # noqa: PT012 - what raises is the end of the body
            async with tenure.asyncio.lifespan(":memory:", behaviours={"k": stubborn.in_trio})(None) as state:
                stubborn.may_end = True
                await state["supervisor"].in_trio(pull)
                await asyncio.Event().wait()
        await asyncio.sleep(0.05)

    def kill(_: int, number: int) -> None:
        asked.append(number)

    monkeypatch.setattr(os, "kill", kill)
    asyncio.run(main())

    assert asked == []


def test_only_what_accepts_connections_is_a_server(listening: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    socket.setdefaulttimeout(5.0)  # of a program: who looks at its sockets changes none of them
    try:
        blocking = os.get_blocking(listening.fileno())
        assert listens()
        assert os.get_blocking(listening.fileno()) == blocking
    finally:
        socket.setdefaulttimeout(None)
    listening.close()
    near, far = socket.socketpair()
    with near, far, socket.socket(type=socket.SOCK_DGRAM) as datagrams:
        datagrams.bind(("127.0.0.1", 0))
        assert not listens()
        with socket.socket(socket.AF_UNIX) as local:
            local.bind(f"\0tenure-{os.getpid()}")
            assert not listens()
            local.listen()
            assert listens()
    assert not listens()

    def none_left(_: Path) -> list[Path]:
        raise OSError(errno.EMFILE, "too many open files")

    monkeypatch.setattr(Path, "iterdir", none_left)
    assert listens()


async def break_it(supervisor: tenure.asyncio.Supervisor, stubborn: Stubborn) -> None:
    await supervisor.accept("a", 1, kind="k")
    while not stubborn.began:  # noqa: ASYNC110 - it runs in another thread
        await asyncio.sleep(0.01)
    await supervisor.in_trio(pull)
