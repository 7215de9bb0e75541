"""The chat of the example in a browser: it streams, and survives a reload, a second tab and a server that is killed."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.architecture.tree import ROOT
from tests.kit.processes import running

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

pytestmark = [pytest.mark.slow, pytest.mark.process, pytest.mark.browser]

PATIENCE_MS = 60_000
WORDS = [f"w{number}" for number in range(60)]
REPLY = " ".join(["noted", *WORDS])


@contextmanager
def serving(port: int, folder: Path, word_s: float) -> Generator[subprocess.Popen[str]]:
    command = [sys.executable, "-m", "uvicorn", "--workers", "2", "--port", port, "--app-dir", ROOT / "examples"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "AGENTS": str(folder / "agents.db"), "WORD_S": str(word_s)}
    log = (folder / "server.log").open("a")
    with (
        log,
        running([*command, "webhooks:app"], env=environment, stdout=log, stderr=log, start_new_session=True) as server,
    ):
        try:
            yield server
        finally:
            kill(server)


def kill(server: subprocess.Popen[str]) -> None:
    """All of it, its workers too, at once."""
    if server.poll() is None:
        os.killpg(server.pid, signal.SIGKILL)
        server.wait()


def open_tab(page: Page, port: int) -> None:
    page.set_default_timeout(PATIENCE_MS)
    page.set_default_navigation_timeout(PATIENCE_MS)
    for _ in range(600):  # the workers start
        try:
            page.goto(f"http://127.0.0.1:{port}/agents/alice/page")
        except Exception:  # noqa: BLE001 - playwright's class is known only where it is installed
            page.wait_for_timeout(100)
        else:
            return
    pytest.fail("the server does not answer")


def say(page: Page, text: str) -> None:
    page.fill("#text", text)
    page.press("#text", "Enter")


def wait_words(page: Page, count: int, reply: int = 0) -> None:
    """Until so many words of a reply are there."""
    page.wait_for_function(
        "([count, reply]) => (document.querySelectorAll('.reply')[reply]?.textContent.trim().split(' ').length ?? 0) >= count",
        arg=[count, reply],
    )


def talk(page: Page) -> list[str]:
    return [text.strip() for text in page.locator("#talk p").all_inner_texts()]


def conversation(port: int) -> list[dict[str, Any]]:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=60)) as connection:
        connection.request("GET", "/agents/alice")
        turns: list[dict[str, Any]] = json.loads(connection.getresponse().read())
    return turns


def test_a_chat_streams_and_survives_a_reload_a_second_tab_and_a_killed_server(
    browser: Browser, tmp_path: Path
) -> None:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    context = browser.new_context()
    one, other = context.new_page(), context.new_page()
    question = " ".join(WORDS)
    with serving(
        port, tmp_path, word_s=0.5
    ) as server:  # half a minute for all of it: also a slow browser sees it in the middle
        open_tab(one, port)
        say(one, question)
        wait_words(one, 5)
        assert len(talk(one)[1].split(" ")) < len(WORDS), "it does not stream"
        one.reload()
        wait_words(one, 8)
        open_tab(other, port)
        wait_words(other, 12)
        before = talk(other)[1]
        assert before != REPLY
        kill(server)
        say(one, "and this while there is no server")
    with serving(port, tmp_path, word_s=0.02):
        for tab in (one, other):
            wait_words(tab, len(WORDS) + 1)
            wait_words(tab, 2 + 6, reply=1)
            assert talk(tab) == [
                question,
                REPLY,
                "and this while there is no server",
                "noted and this while there is no server",
            ]
        deadline = time.monotonic() + PATIENCE_MS / 1000
        while len(turns := conversation(port)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)  # its words come before its end: a turn stands in the conversation once its run has ended
        assert [turn["reply"] for turn in turns] == [REPLY, "noted and this while there is no server"]
        one.reload()
        wait_words(one, 2 + 6, reply=1)
        assert talk(one) == talk(other)
    context.close()
