"""A host under systemd: what it says to the socket of its service, against one of the test's own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Generator
from contextlib import closing
from pathlib import Path

import pytest
import trio

import tenure
from tenure.errors import CannotOpen, InvalidInput
from tenure.supervisor.operators.log import HostLog
from tenure.supervisor.service_manager import ServiceManager
from tests.architecture.tree import ROOT

PATIENCE_S = 120.0
NAMES = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")


class Systemd:
    """The other end of the socket."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)
        self.socket.settimeout(PATIENCE_S)

    def hear(self) -> list[str]:
        return self.socket.recv(65536).decode().split("\n")

    def all_that_is_there(self) -> list[list[str]]:
        self.socket.setblocking(False)
        found: list[list[str]] = []
        try:
            while True:
                found.append(self.hear())
        except BlockingIOError:
            return found


@pytest.fixture(params=["path", "abstract"])
def systemd(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Generator[Systemd]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@tenure-{os.getpid()}-{tmp_path.name}"
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NOTIFY_SOCKET", address)
    found = Systemd(address)
    yield found
    found.socket.close()


async def nothing(_: tenure.Run) -> None:
    pass


async def test_a_host_says_when_it_is_ready_and_when_it_ends(systemd: Systemd, tmp_path: Path) -> None:
    async with tenure.open_supervisor(tmp_path / "s.db", behaviours={"kind": nothing}, systemd=True):
        assert await trio.to_thread.run_sync(systemd.hear) == ["READY=1", "STATUS=ready"]
    assert systemd.all_that_is_there() == [["STOPPING=1", "STATUS=stopping"]]


async def test_a_host_that_was_not_asked_to_says_nothing(systemd: Systemd, tmp_path: Path) -> None:
    async with tenure.open_supervisor(tmp_path / "s.db", behaviours={"kind": nothing}):
        pass
    assert systemd.all_that_is_there() == []


async def test_a_host_that_is_watched_shows_that_it_lives_until_its_loop_stands_still(
    systemd: Systemd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "40000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    quiet = threading.Event()

    async def blocks(_: tenure.Run) -> None:
        systemd.all_that_is_there()
        blocked.set()
        quiet.wait(PATIENCE_S)

    blocked = threading.Event()
    silence: list[list[list[str]]] = []

    def listen() -> None:
        assert blocked.wait(PATIENCE_S)
        threading.Event().wait(0.3)  # many beats long
        silence.append(systemd.all_that_is_there())
        quiet.set()

    async with tenure.open_supervisor(tmp_path / "s.db", behaviours={"kind": blocks}, systemd=True) as supervisor:
        for _ in range(2):
            await trio.to_thread.run_sync(systemd.hear)
        assert await trio.to_thread.run_sync(systemd.hear) == ["STATUS=ready", "WATCHDOG=1"]
        listener = threading.Thread(target=listen)
        listener.start()
        ticket = await (await supervisor.spawn("alice", "kind")).accept(1)
        await ticket.wait_outcome()
        await trio.to_thread.run_sync(listener.join)
    assert silence == [[]]


async def test_a_host_that_is_not_live_says_what_is_wrong_and_not_that_it_lives(
    systemd: Systemd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "20000")
    problem = tenure.HealthProblem(reason=tenure.HealthReason.STOPPED, detail="gone")
    ill = tenure.Health(live=False, ready=False, problems=(problem,))
    with closing(ServiceManager(os.environ)) as manager:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(manager.beat, lambda: ill, HostLog())
            said = [await trio.to_thread.run_sync(systemd.hear) for _ in range(3)]
            nursery.cancel_scope.cancel()
    assert said == [["STATUS=store stopped"]] * 3


async def test_a_watch_over_another_process_is_left_to_it(
    systemd: Systemd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "1000")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid() + 1))
    async with tenure.open_supervisor(tmp_path / "s.db", behaviours={"kind": nothing}, systemd=True):
        await trio.sleep(0.05)
    assert [said[0] for said in systemd.all_that_is_there()] == ["READY=1", "STOPPING=1"]


@pytest.mark.parametrize(
    ("name", "value"), [("NOTIFY_SOCKET", "here"), ("WATCHDOG_USEC", "soon"), ("WATCHDOG_USEC", "²")]
)
async def test_an_environment_that_makes_no_sense_opens_nothing(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(InvalidInput):
        async with tenure.open_supervisor(tmp_path / "s.db", behaviours={"kind": nothing}, systemd=True):
            pytest.fail("it is open")
    assert not (tmp_path / "s.db").exists()


async def test_a_socket_that_is_not_there_is_said_at_the_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "absent"))
    with pytest.raises(CannotOpen, match="systemd does not hear"):
        async with tenure.open_supervisor(tmp_path / "s.db", behaviours={"kind": nothing}, systemd=True):
            pytest.fail("it is open")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd is not installed")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    program = tmp_path / "python"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = (ROOT / "deploy" / "tenure-host.service").read_text()
    changed = tmp_path / "tenure-host.service"
    changed.write_text(unit.replace("/opt/agents/venv/bin/python", str(program)))
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", changed],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (verified.returncode, verified.stderr) == (0, "")
