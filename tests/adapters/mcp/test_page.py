"""The program of MCP in docs/adapters.md is run as it stands there, and asked by a client of mcp."""

from __future__ import annotations

import signal
import sys
from pathlib import Path

import pytest

from tests.adapters.programs import program
from tests.adapters.serving import listening, run

from .test_tasks import connected, create, send, until

PORT = """
import uvicorn

config = uvicorn.Config
uvicorn.Config = lambda app, **terms: config(app, **terms | {"port": 0})
"""
"""The port of the page may be another's."""


@pytest.mark.process
@pytest.mark.slow
def test_the_server_of_the_page_knows_its_task_after_a_kill(tmp_path: Path) -> None:
    names: list[str] = []

    async def first(url: str) -> None:
        async with connected(url) as client:
            names.append(str((await create(client, "write_report", topic="pears"))["taskId"]))

    async def again(url: str) -> None:
        async with connected(url) as client:
            assert (await send(client, "get", names[0]))["status"] == "working"
            await send(client, "cancel", names[0])
            await until(client, names[0], "cancelled")

    for main in (first, again):
        with listening([sys.executable, "-c", PORT + program("MCP: tools as tasks")], tmp_path) as (process, url):
            run(lambda main=main, url=url: main(url))
            process.send_signal(signal.SIGKILL)
            process.wait()
