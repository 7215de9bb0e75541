"""The lifespan of a web application: a store that stops ends the server, and not with exit code 0 (B9)."""

from __future__ import annotations

import os
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

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
