"""Webhooks in and out, through real servers, beside the package `standardwebhooks`."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import http.client
import json
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from queue import Queue
from typing import Any

import pytest
from standardwebhooks import Webhook, WebhookVerificationError
from starlette.routing import Route

import tenure
import tenure.asyncio
from tenure.adapters.webhooks import deliver, routes
from tenure.errors import InvalidInput, StepFailed
from tests.kit.processes import running

ROOT = Path(__file__).parents[3]
SECRET = "whsec_" + base64.b64encode(b"now" * 10).decode()
OLD_SECRET = base64.b64encode(b"before" * 5).decode().rstrip("=")
OTHER = "whsec_" + base64.b64encode(b"of somebody else" * 2).decode()


class Server:
    """One life of the server."""

    def __init__(self, process: Any, port: int) -> None:
        self.process = process
        self.port = port

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> tuple[int, dict[str, Any]]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request("POST", path, body, headers)
            response = connection.getresponse()
            return response.status, json.loads(response.read())
        finally:
            connection.close()

    def send(
        self,
        body: object,
        *,
        message: str = "msg_1",
        to: str = "ada",
        secret: str = SECRET,
        at: datetime | None = None,
        **changed: str,
    ) -> tuple[int, dict[str, Any]]:
        """Deliver a webhook as `standardwebhooks` signs it."""
        text = body if isinstance(body, str) else json.dumps(body)
        at = at or datetime.now(UTC)
        signed = {
            "webhook-id": message,
            "webhook-timestamp": str(int(at.timestamp())),
            "webhook-signature": Webhook(secret).sign(message, at, text),
        }
        signed |= {name.replace("_", "-"): value for name, value in changed.items()}
        return self.post(f"/webhooks/{to}", text.encode(), signed)


@contextmanager
def serving(folder: Path) -> Generator[Server]:
    command = [sys.executable, "-m", "uvicorn", "--port", "0", "--app-dir", Path(__file__).parent, "webhook_app:app"]
    names = {"AGENTS": str(folder / "agents.db"), "SECRET": SECRET, "OLD_SECRET": OLD_SECRET, "PYTHONPATH": str(ROOT)}
    with (folder / "log").open("w+") as log, running(command, env=os.environ | names, stderr=log) as process:
        while (found := re.search(r"http://127\.0\.0\.1:(\d+)", (folder / "log").read_text())) is None:
            assert process.poll() is None, (folder / "log").read_text()
            time.sleep(0.05)
        yield Server(process, int(found[1]))


class Receiver:
    """A server that takes webhooks from ours, and answers as it is told to."""

    def __init__(self, *statuses: int) -> None:
        self.taken: Queue[tuple[dict[str, str], bytes]] = Queue()
        statuses_left = iter(statuses)
        taken = self.taken

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["content-length"]))
                taken.put(({name.lower(): value for name, value in self.headers.items()}, body))
                self.send_response(next(statuses_left, 204))
                self.send_header("location", "/elsewhere")
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its own name
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,))
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


@pytest.fixture
def receiver(request: pytest.FixtureRequest) -> Iterator[Receiver]:
    made = Receiver(*getattr(request, "param", ()))
    yield made
    made.close()


@pytest.mark.slow
@pytest.mark.process
def test_what_is_signed_right_comes_in_once_and_all_else_is_refused(tmp_path: Path) -> None:
    with serving(tmp_path) as server:
        status, first = server.send({"text": "hello"})
        assert (status, first["runtime"]) == (202, "ada")
        assert server.send({"text": "hello"}) == (200, first)
        assert server.send({"text": "other"})[0] == 409
        assert server.send({"text": "old"}, message="msg_2", secret=OLD_SECRET)[0] == 202
        both = f"v1,{base64.b64encode(b'no').decode()} v2,x {Webhook(SECRET).sign('m', datetime.now(UTC), '1')}"
        now = str(int(datetime.now(UTC).timestamp()))
        signed = {"webhook-id": "m", "webhook-timestamp": now, "webhook-signature": both}
        assert server.post("/webhooks/ada", b"1", signed)[0] == 202

        for wrong in (
            server.send({"text": "no"}, message="bad", secret=OTHER),
            server.send({"text": "no"}, message="bad", at=datetime.now(UTC) - timedelta(seconds=400)),
            server.send({"text": "no"}, message="bad", at=datetime.now(UTC) + timedelta(seconds=400)),
            server.send({"text": "no"}, message="bad", webhook_id="other"),
            server.send({"text": "no"}, message="bad", webhook_signature="v1"),
            server.send({"text": "no"}, message="bad", webhook_signature="\xe9,\xff v1,=="),
            server.send({"text": "no"}, message="bad", webhook_timestamp="soon"),
            server.send({"text": "no"}, message="bad", webhook_timestamp="9" * 5000),
            server.post("/webhooks/ada", b"{}", {}),
        ):
            assert wrong[0] == 401, wrong
        for bad in ("{", "NaN", '"\\ud800"', "[" * 100_000, "\x00"):
            assert server.send(bad, message="bad")[0] == (400 if len(bad) < 10_000 else 413), bad[:10]
        assert server.send("1", message="i" * 501)[0] == 400
        for path in ("%00", "%ff", "%ed%a0%80"):
            assert server.send("1", message="bad", to=path)[0] == 400
        assert server.send(json.dumps("x" * 10_000), message="bad")[0] == 413
    assert _conversation(tmp_path) == [{"text": "hello"}, {"text": "old"}, 1]


@pytest.mark.slow
@pytest.mark.process
def test_a_server_that_is_killed_has_what_it_answered_and_takes_the_rest_again(tmp_path: Path) -> None:
    for life in range(3):
        with serving(tmp_path) as server:
            sender = threading.Thread(target=_send_all, args=(server,), daemon=True)
            sender.start()
            while server.send({"text": f"known {life}"}, message=f"known_{life}")[0] not in {200, 202}:
                time.sleep(0.01)
            server.process.kill()
            server.process.wait()
            sender.join()
    with serving(tmp_path) as server:
        _send_all(server)
        for life in range(3):
            assert server.send({"text": f"known {life}"}, message=f"known_{life}")[0] == 200
    said = [each["text"] for each in _conversation(tmp_path)]
    assert sorted(said) == sorted([*(f"known {life}" for life in range(3)), *(f"message {at}" for at in range(30))])


@pytest.mark.slow
@pytest.mark.process
def test_a_sender_that_stalls_in_its_body_keeps_no_server_that_is_asked_to_end(tmp_path: Path) -> None:
    """A server waits for the requests that it has, and such a one had no end."""
    begun = b"POST /webhooks/ada HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n1\r\n[\r\n"
    with serving(tmp_path) as server, socket.create_connection(("127.0.0.1", server.port), timeout=60) as sender:
        sender.sendall(begun)
        assert server.send({"text": "hello"})[0] == 202  # by then it has the other one, too
        server.process.terminate()
        assert server.process.wait(60) == -signal.SIGTERM
        assert sender.recv(100).startswith(b"HTTP/1.1 408")


def _send_all(server: Server) -> None:
    """Deliver thirty webhooks, until the server is gone."""
    for at in range(30):
        try:
            assert server.send({"text": f"message {at}"}, message=f"msg_{at}")[0] in {200, 202}
        except (OSError, http.client.HTTPException):
            return


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("receiver", [(500, 503, 302, 204)], indirect=True)
def test_what_goes_out_keeps_its_id_over_failures_and_a_killed_host(tmp_path: Path, receiver: Receiver) -> None:
    taken = []
    with serving(tmp_path) as server:
        assert server.send({"text": "hello", "url": receiver.url})[0] == 202
        taken.append(receiver.taken.get(timeout=60))
        server.process.kill()
    with serving(tmp_path):
        taken += [receiver.taken.get(timeout=60) for _ in range(3)]

    for headers, body in taken:
        assert Webhook(SECRET).verify(body, headers) == {"type": "noted", "data": "hello"}
        with pytest.raises(WebhookVerificationError):
            Webhook(OTHER).verify(body, headers)
    assert len({headers["webhook-id"] for headers, _ in taken}) == 1
    assert len({body for _, body in taken}) == 1


@pytest.mark.parametrize("receiver", [(410,)], indirect=True)
def test_a_receiver_that_wants_no_more_is_left_alone(tmp_path: Path, receiver: Receiver) -> None:
    ended: list[Exception] = []

    @tenure.asyncio.behaviour
    async def tell(run: tenure.asyncio.Run) -> None:
        for url, event, secret in (
            ("ftp://host", 1, SECRET),
            (receiver.url, object(), SECRET),
            (receiver.url, float("nan"), SECRET),
            (receiver.url, 1, "whsec_?"),
        ):
            with pytest.raises(InvalidInput):
                await deliver(run, url, event, secret=secret)
        with pytest.raises(StepFailed, match="410") as failed:
            await deliver(run, f"{receiver.url}?key=hidden", {"type": "x"}, secret=SECRET, backoff_s=0)
        assert receiver.url in str(failed.value)
        assert "hidden" not in str(failed.value), "what is stored of it has no query"
        ended.append(failed.value)

    async def main() -> None:
        async with (
            asyncio.timeout(60),
            tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={"tell": tell}) as supervisor,
        ):
            ticket = await supervisor.accept("ada", 1, kind="tell")
            assert (await ticket.wait_outcome()).phase == "consumed"

    asyncio.run(main())
    assert len(ended) == receiver.taken.qsize() == 1


def _drip(answer: socket.socket) -> None:
    answer.sendall(b"HTTP/1.1 200 OK\r\n")
    for number in range(100):
        answer.sendall(b"x-%d: y\r\n" % number)
        time.sleep(0.1)


def _say_go_on(answer: socket.socket) -> None:
    while True:
        answer.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")


@pytest.mark.parametrize("answers", [_drip, _say_go_on])
def test_a_receiver_whose_answer_has_no_end_is_left(tmp_path: Path, answers: Callable[[socket.socket], None]) -> None:
    def serve(listener: socket.socket) -> None:
        answer, _ = listener.accept()
        with answer, contextlib.suppress(OSError):  # the other end has gone
            answers(answer)

    took_s: list[float] = []

    @tenure.asyncio.behaviour
    async def tell(run: tenure.asyncio.Run) -> None:
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/hook"
        began = time.monotonic()
        with pytest.raises(StepFailed, match="Timeout"):
            await deliver(run, url, 1, secret=SECRET, attempts=1, timeout_s=0.3)
        took_s.append(time.monotonic() - began)

    async def main() -> None:
        async with (
            asyncio.timeout(60),
            tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={"tell": tell}) as supervisor,
        ):
            assert (await (await supervisor.accept("ada", 1, kind="tell")).wait_outcome()).error is None

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve, args=(listener,), daemon=True)
        thread.start()
        asyncio.run(main())
        thread.join(60)
    assert not thread.is_alive()
    assert took_s[0] < 9


def test_a_receiver_with_many_addresses_that_say_nothing_is_left_as_soon_as_one_with_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A listener that accepts nothing and has as many before it as it lets wait: a further connection is not answered."""
    took_s: list[float] = []

    @tenure.asyncio.behaviour
    async def tell(run: tenure.asyncio.Run) -> None:
        began = time.monotonic()
        with pytest.raises(StepFailed, match="timed out"):
            await deliver(run, "http://many.test/", 1, secret=SECRET, attempts=1, timeout_s=1.0)
        took_s.append(time.monotonic() - began)

    async def main() -> None:
        async with (
            asyncio.timeout(60),
            tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={"tell": tell}) as supervisor,
        ):
            assert (await (await supervisor.accept("ada", 1, kind="tell")).wait_outcome()).error is None

    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(listener.getsockname())
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", listener.getsockname())] * 20
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        asyncio.run(main())

    assert took_s[0] < 10


async def _asked(route: Route, *pieces: Any, **state: Any) -> Any:
    """The first message of the answer to a request that comes in pieces."""
    left, sent = iter(pieces), []

    async def receive() -> Any:
        return next(left)

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http",
        "method": "POST",
        "path": "/webhooks/ada",
        "headers": [],
        "query_string": b"",
        "state": state,
    }
    await route(scope, receive, send)
    return sent[0]


def test_a_host_that_is_closed_asks_the_sender_to_come_again(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={}) as supervisor:
            (route,) = routes(supervisor, secret=SECRET)
        answer = await _asked(route, {"type": "http.request", "body": b"1", "more_body": False})
        assert answer["status"] == 503
        assert (b"retry-after", b"5") in answer["headers"]

    asyncio.run(main())


def test_a_sender_that_goes_in_the_middle_of_its_body_is_no_error_of_ours(tmp_path: Path) -> None:
    async def main() -> None:
        (route,) = routes(secret=SECRET)
        begun = {"type": "http.request", "body": b"1", "more_body": True}
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={}) as supervisor:
            answer = await _asked(route, begun, {"type": "http.disconnect"}, supervisor=supervisor)
        assert answer["status"] == 400
        with pytest.raises(InvalidInput, match="lifespan"):  # nor has this application a host
            await _asked(route, begun)

    asyncio.run(main())


@pytest.mark.parametrize("secret", ["whsec_", "", "not base64!", [], ["whsec_?"], [b"x"]])
def test_a_secret_that_is_none_is_refused_when_the_routes_are_made(secret: Any) -> None:
    with pytest.raises(InvalidInput):
        routes(secret=secret)


def _conversation(folder: Path) -> Any:
    """What has been said, when everything that was accepted is worked on."""

    async def note(run: tenure.Run) -> None:
        for entry in run.inputs:
            run.session.append(entry.payload)

    async def read() -> Any:
        async with (
            asyncio.timeout(120),
            tenure.asyncio.open_supervisor(folder / "agents.db", behaviours={"note": note}) as supervisor,
        ):
            await (await supervisor.accept("ada", "the end")).wait_outcome()
            return (await supervisor.read_session("ada"))[:-1]

    return asyncio.run(read())
