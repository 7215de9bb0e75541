"""The example of webhooks: of two workers that are killed, what was answered is there, and each delivery was worked on once."""

from __future__ import annotations

import http.client
import json
import os
import queue
import random
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, final

import pytest

from tests.architecture.tree import ROOT
from tests.kit import postgres
from tests.kit.processes import running

pytestmark = [pytest.mark.slow, pytest.mark.process]

SENT = 60
AGENTS = 6
KILLED_AFTER = (5, 20, 40)
PATIENCE_S = 120.0


@final
class Server:
    """Two workers under uvicorn, found by their lines."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self.port = 0
        self.workers: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._process = process
        self._ready = threading.Event()
        self._reading = threading.Thread(target=self._read, daemon=True)
        self._reading.start()
        assert self._ready.wait(PATIENCE_S), "the server did not start"

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if "running on http://127.0.0.1:" in line:
                self.port = int(line.partition("127.0.0.1:")[2].split(" ")[0])
            elif "Started server process [" in line:
                self.workers.put(int(line.partition("[")[2].partition("]")[0]))
            elif "startup complete" in line and self.port:
                self._ready.set()

    def kill_one(self) -> None:
        """Kill the worker that came first of those that live; uvicorn starts another."""
        os.kill(self.workers.get(timeout=PATIENCE_S), signal.SIGKILL)

    def ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, Any]:
        """As a sender does: the same again until there is an answer that is no failure."""
        until = time.monotonic() + PATIENCE_S
        while True:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
            try:
                headers = {} if key is None else {"webhook-id": key}
                connection.request(method, path, None if body is None else json.dumps(body), headers)
                response = connection.getresponse()
                data = response.read()
                if response.status < 500:
                    return response.status, json.loads(data)
                failed: object = response.status, data
            except (OSError, http.client.HTTPException) as exc:
                failed = exc  # the worker that had it was killed, so it is asked again
            finally:
                connection.close()
            assert time.monotonic() < until, f"{method} {path} is not answered: {failed!r}"


@pytest.fixture(params=["file", pytest.param("server", marks=[pytest.mark.postgres, pytest.mark.turns(3)])])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[str]:
    """Where the workers have their store."""
    if request.param == "file":
        yield str(tmp_path / "agents.db")
        return
    postgres.needs_server()
    url = postgres.new_database()
    yield url
    postgres.drop([postgres.name_of(url)])


def test_nothing_that_was_answered_is_lost_or_done_twice_by_workers_that_are_killed(target: str) -> None:
    command = [sys.executable, "-m", "uvicorn", "--workers", "2", "--port", "0", "--app-dir", ROOT / "examples"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "AGENTS": target}
    command += ["--no-use-colors", "webhooks:app"]
    with running(command, env=environment, stderr=subprocess.STDOUT, start_new_session=True) as process:
        server = Server(process)
        try:
            source = random.Random(1)
            taken: list[tuple[int, str]] = []

            def deliver(number: int) -> tuple[int, str]:
                agent = f"agent-{number % AGENTS}"
                status, taken = server.ask("POST", f"/agents/{agent}", {"number": number}, f"msg-{number}")
                assert status == 202, taken
                return number, taken["input"]

            with ThreadPoolExecutor(8) as pool:
                deliveries = pool.map(deliver, [*range(SENT), *source.sample(range(SENT), 20)])
                for count, delivered in enumerate(deliveries, start=1):
                    taken.append(delivered)
                    if count in KILLED_AFTER:  # others are on their way
                        server.kill_one()
            by_number = dict(taken)
            assert all(by_number[number] == found for number, found in taken), "a repeat became another input"
            for number, found in by_number.items():
                path = f"/agents/agent-{number % AGENTS}/inputs/{found}?wait=30"
                until = time.monotonic() + PATIENCE_S
                while (answer := server.ask("GET", path))[0] == 202:
                    assert time.monotonic() < until
                assert answer == (200, {"phase": "consumed", "reason": None})
            for agent in range(AGENTS):
                _, turns = server.ask("GET", f"/agents/agent-{agent}")
                assert sorted(turn["received"]["number"] for turn in turns) == [*range(agent, SENT, AGENTS)]
            assert server.ask("GET", "/agents/nobody")[0] == 404
            assert server.ask("POST", "/agents/agent-0", {"number": -1}, "msg-0")[0] == 409
        finally:
            os.killpg(process.pid, signal.SIGKILL)  # its workers too
