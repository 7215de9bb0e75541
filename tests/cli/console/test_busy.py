"""A host that does not answer keeps the verbs that wait for it, and no page."""

from __future__ import annotations

import http.client
import os
import select
import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlencode

import pytest

from tests.architecture.tree import ROOT
from tests.cli.console.worlds import Served, served
from tests.kit.processes import PATIENCE_S, running

pytestmark = [pytest.mark.slow, pytest.mark.process]

MANY = 45
"""More verbs than the server has threads for its pages."""

HOST = """
import sys, trio, tenure

async def idle(run: tenure.Run) -> None:
    pass

async def main(path):
    async with tenure.open_supervisor(path, behaviours={"k": idle}) as supervisor:
        await supervisor.spawn("ann", "k")
        print("owned", flush=True)
        await trio.sleep_forever()

trio.run(main, sys.argv[1])
"""


@contextmanager
def frozen_host(path: Path) -> Generator[int]:
    """A host that owns ``ann`` and is stopped, as by a debugger; goes on when that ends."""
    with running([sys.executable, "-c", HOST, path], env={**os.environ, "PYTHONPATH": str(ROOT)}, stdout=-1) as process:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "owned"
        os.kill(process.pid, signal.SIGSTOP)
        try:
            yield process.pid
        finally:
            os.kill(process.pid, signal.SIGCONT)
            process.terminate()
            process.wait()


def posted(console: Served, secret: str) -> http.client.HTTPConnection:
    """A form that was sent, and whose answer is not waited for."""
    connection = http.client.HTTPConnection("127.0.0.1", console.port, timeout=PATIENCE_S)
    form = urlencode({"form": secret, "verb": "retire", "id": "ann"})
    kind = {"origin": console.origin, "content-type": "application/x-www-form-urlencoded"}
    connection.request("POST", "/act", form, {"cookie": console.cookie, **kind})
    return connection


@pytest.mark.turns(2)
def test_every_page_answers_while_verbs_wait_for_a_host_that_does_not(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    with frozen_host(path) as host, served(path, "--allow-verbs") as console:
        console.let_in()
        shown = console.page("/confirm", verb="retire", id="ann")
        secret = shown.partition('name="form" value="')[2].partition('"')[0]
        acts = [posted(console, secret) for _ in range(MANY)]

        for _ in range(3):
            assert "ann" in console.page("/runtimes")

        answered, _, _ = select.select([act.sock for act in acts], [], [], 0)
        os.kill(host, signal.SIGCONT)
        answers = [act.getresponse().status for act in acts]
        for act in acts:
            act.close()
    assert not answered, "the pages have waited for a verb"
    assert 303 in answers
    assert {*answers} <= {303, 503}
