"""A store that has something for every page of the console, and a console that serves it."""

from __future__ import annotations

import http.client
import json
import os
import socket
import sys
from collections.abc import AsyncGenerator, Generator, Iterator, Mapping
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path
from typing import final
from urllib.parse import urlencode

import trio
from attrs import frozen

import tenure
from tests.architecture.tree import ROOT
from tests.kit.processes import running
from tests.kit.serving import draft, put

DEAD = 9
TOKEN = "a token of sixteen or more"
HOSTILE = '<script>alert(1)</script>/..?id=&\u202ex%00"'
SECRET = "<img src=x onerror=alert(1)>\u202e in a payload"


def noted(what: object) -> dict[str, object]:
    return {"note": what}


async def work(run: tenure.Run) -> None:
    """Does as it is told."""
    for message in run.inputs:
        match message.payload:
            case "boom":
                raise ValueError("it failed <script>alert(1)</script>\nsecond line")
            case "wait":
                await run.step("look up", noted, SECRET, repeat="freely")
                await run.wait_steered()
            case "spawn":
                await run.spawn("child", "worker")
            case "speak":
                for number in range(1_000_000):
                    await run.emit(f"<b>word {number}</b>")
                    await run.sleep(0.2)
            case "die":
                await run.step("pay", os._exit, DEAD, repeat="never")
            case other:
                await run.step("look up", noted, other, repeat="freely")
                await run.emit("looked up")
        run.session.append({"heard": message.payload})


BEHAVIOURS = {"worker": tenure.Behaviour(work, restart=tenure.RestartPolicy(max_attempts=1))}


@asynccontextmanager
async def host(path: Path) -> AsyncGenerator[tenure.Supervisor]:
    async with tenure.open_supervisor(path, behaviours=BEHAVIOURS, drain_s=0) as supervisor:
        yield supervisor


async def _die(path: Path) -> None:
    async with host(path) as supervisor:
        await (await supervisor.accept("doubt", "die", kind="worker")).wait_outcome()


async def _fill(path: Path) -> None:
    async with host(path) as supervisor:
        await (await supervisor.accept("ada", {"note": SECRET}, kind="worker")).wait_outcome()
        await (await supervisor.accept(HOSTILE, "hello", kind="worker")).wait_outcome()
        await (await supervisor.accept("parent", "spawn", kind="worker")).wait_outcome()
        for name in ("dead", "dead-2"):
            await (await supervisor.accept(name, "boom", kind="worker")).wait_outcome()
        await supervisor.accept("waiting", "wait", kind="worker")
        await supervisor.accept("cancelled", "wait", kind="worker")
        await (await supervisor.find("ada")).relabel({"tier": "gold", "note": "<img src=x onerror=alert(1)>"})
        await supervisor.schedules.create("nightly", "ada", tenure.Cron("0 3 * * *"), {"do": SECRET})
        await put(supervisor.store, draft("piece"))
        await (await supervisor.find("doubt")).wait_held()
        await supervisor.set_execution_state("ada", {"budget": SECRET})
        for name in ("waiting", "cancelled"):
            while len(await supervisor.entries(name)) < 2:  # noqa: ASYNC110 - what is on disk sets no event
                await trio.sleep(0.05)


def fill(path: Path) -> None:
    """Put it all there; a process dies in a step that must not be done twice."""
    with running([sys.executable, __file__, path], env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        assert process.wait() == DEAD
    trio.run(_fill, path)


@final
@frozen
class Answer:
    status: int
    headers: Mapping[str, str]
    text: str


@final
class Served:
    """A console in a process of its own, and a client of it."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.cookie = ""

    @property
    def origin(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def ask(self, path: str, form: Mapping[str, str] | None = None, **headers: str) -> Answer:
        """A request with the cookie, if there is one; a form is posted, as a page of the console does."""
        body = None if form is None else urlencode(form)
        given = {"cookie": self.cookie} if self.cookie else {}
        if form is not None:
            given |= {"origin": self.origin, "content-type": "application/x-www-form-urlencoded"}
        given |= {name.replace("_", "-"): value for name, value in headers.items()}
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("GET" if form is None else "POST", path, body, {k: v for k, v in given.items() if v})
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read().decode())

    @contextmanager
    def following(self, runtime_id: str, after: str = "") -> Generator[Iterator[str]]:
        """The lines of a stream of output."""
        headers = {"cookie": self.cookie} | ({"last-event-id": after} if after else {})
        with closing(http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)) as connection:
            connection.request("GET", f"/spoken?{urlencode({'id': runtime_id})}", headers=headers)
            with closing(connection.getresponse()) as answer:
                assert answer.headers["content-type"].startswith("text/event-stream"), answer.status
                yield (line.decode().rstrip("\n") for line in iter(answer.readline, b""))

    def page(self, path: str, **query: str) -> str:
        answer = self.ask(f"{path}?{urlencode(query)}")
        assert answer.status == 200, answer.text
        return answer.text

    def let_in(self) -> None:
        answer = self.ask(f"/?{urlencode({'token': TOKEN})}")
        assert answer.status == 303
        self.cookie = answer.headers["set-cookie"].partition(";")[0]

    def act(self, verb: str, runtime_id: str, **fields: str) -> Answer:
        """As the button of a page does it: the hidden secret is read from the form."""
        shown = self.page("/confirm", verb=verb, id=runtime_id)
        secret = shown.partition('name="form" value="')[2].partition('"')[0]
        return self.ask("/act", {"form": secret, "verb": verb, "id": runtime_id, **fields})


@contextmanager
def served(path: Path, *options: str) -> Generator[Served]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tenure.cli", "console", path, "--json", "--port", port, *options]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TENURE_CONSOLE_TOKEN": TOKEN}
    with running(command, env=environment) as process:
        assert process.stdout is not None
        said = "".join(iter(process.stdout.readline, "}\n")) + "}"
        assert json.loads(said) == {"link": f"http://127.0.0.1:{port}/"}
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), timeout=60).close()
            except ConnectionRefusedError:
                assert process.poll() is None, "it has ended"
                trio.run(trio.sleep, 0.05)
            else:
                break
        yield Served(port)


if __name__ == "__main__":
    trio.run(_die, Path(sys.argv[1]))
