"""The chat of the example in a browser: it streams, and survives a reload, a second tab and a server that is killed."""

from __future__ import annotations

import http.client
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.architecture.tree import ROOT
from tests.kit.processes import running
from tests.kit.shares import share

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

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


def new_tab(context: BrowserContext) -> Page:
    """A tab that prints what befalls its page, for who reads a failure: that it crashed, or shows another one."""
    page, began = context.new_page(), time.monotonic()

    def note(what: str) -> None:
        sys.stdout.write(f"{time.monotonic() - began:7.2f} s, tab {id(page)}: {what}\n")

    page.on("crash", lambda _: note("its page has crashed"))
    page.on("close", lambda _: note("closed"))
    page.on("framenavigated", lambda frame: note(f"shows {frame.url}"))
    page.on("pageerror", lambda error: note(f"an error of its script: {error}"))
    page.set_default_timeout(PATIENCE_MS)
    page.set_default_navigation_timeout(PATIENCE_MS)
    return page


def open_tab(page: Page, port: int) -> None:
    reach(page, partial(page.goto, f"http://127.0.0.1:{port}/agents/alice/page"))


def reach(page: Page, go: Callable[[], object]) -> None:
    """Go there, also where the workers start only now: what is opened may come from the browser's own cache before that."""
    last = ""
    for _ in range(600):
        try:
            go()
            page.locator("#text").wait_for(timeout=1_000)
        except Exception as exc:  # noqa: BLE001 - playwright's class is known only where it is installed
            last = str(exc)
            page.wait_for_timeout(100)
        else:
            return
    pytest.fail(f"the server does not answer: {last}")


def is_open(page: Page) -> bool:
    """Whether the tab shows the chat, and not that its server could not be reached."""
    return page.locator("#text").count() > 0


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


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    return port


@pytest.mark.parametrize("number", share(range(10), 10))
def test_a_chat_is_whole_wherever_its_server_is_killed(browser: Browser, tmp_path: Path, number: int) -> None:
    """Four servers are killed, each at a moment of its own; tabs open and are opened anew before and after, and one speaks."""
    source = random.Random(f"chat {number}")
    port, context = free_port(), browser.new_context()
    tabs, said = list["Page"](), list[str]()
    for life in range(4):
        with serving(port, tmp_path, word_s=0.05) as server:
            tabs.append(new_tab(context))
            open_tab(tabs[-1], port)
            said.append(" ".join([f"message{life}", *WORDS[: source.randrange(5, 40)]]))
            speaker = source.choice(tabs)
            if not is_open(speaker):
                open_tab(speaker, port)
            say(speaker, said[-1])
            words = source.choice((None, 0, 1, 5, len(said[-1].split(" ")), len(said[-1].split(" ")) + 1))
            if words is not None:  # else it is killed before it may have got the message
                wait_words(tabs[-1], words, len(said) - 1)
            if source.random() < 0.5:
                tab = source.choice(tabs)
                reach(tab, tab.reload)
            kill(server)
        if source.random() < 0.5:
            said.append(f"without a server {life}")
            say(tabs[-1], said[-1])
    whole = [line for text in said for line in (text, f"noted {text}")]
    with serving(port, tmp_path, word_s=0.01):
        for tab in tabs:
            if source.random() < 0.5 or not is_open(tab):
                open_tab(tab, port)
            deadline = time.monotonic() + PATIENCE_MS / 1000
            while talk(tab) != whole and time.monotonic() < deadline:
                tab.wait_for_timeout(50)
            assert talk(tab) == whole
    context.close()


def test_a_chat_streams_and_survives_a_reload_a_second_tab_and_a_killed_server(
    browser: Browser, tmp_path: Path
) -> None:
    port = free_port()
    context = browser.new_context()
    one, other = new_tab(context), new_tab(context)
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
