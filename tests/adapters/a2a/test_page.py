"""The program of A2A in docs/adapters.md is run as it stands there, and asked by a client of a2a-sdk."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from a2a.types.a2a_pb2 import GetTaskRequest

from tests.adapters.programs import program
from tests.adapters.serving import run, serving

from .test_agent import COMPLETED, ask, asking, connected, ended, told


@pytest.mark.process
@pytest.mark.slow
def test_the_server_of_the_page_answers_and_knows_its_task_after_a_kill(tmp_path: Path) -> None:
    app = tmp_path / "program.py"
    app.write_text(program("A2A: tasks, and an agent as a server"))
    names: list[str] = []

    async def first(url: str) -> None:
        async with connected(url, streaming=False) as client:
            names.append((await ask(client, asking("hello", later=True))).id)
            task = await ended(client, names[0])
            assert (task.status.state, told(task)) == (COMPLETED, ["noted: hello"])

    async def again(url: str) -> None:
        async with connected(url, streaming=False) as client:
            task = await client.get_task(GetTaskRequest(id=names[0]))
            assert (task.status.state, told(task)) == (COMPLETED, ["noted: hello"])

    for main in (first, again):
        with serving(app, tmp_path) as (process, url):
            run(lambda main=main, url=url: main(url))
            process.send_signal(signal.SIGKILL)
            process.wait()
