"""Webhooks after the specification of Standard Webhooks: routes that take them in, and a verb that sends them out.

    app = Starlette(
        routes=routes(secret=os.environ["WEBHOOK_SECRET"], kind="chat"),
        lifespan=tenure.asyncio.lifespan("agents.db", behaviours={"chat": chat}),
    )

    async def chat(run: tenure.Run) -> None:
        ...
        await deliver(run, "https://example.com/hook", {"type": "answered"}, secret=OTHER_SECRET)

A webhook is delivered at least once, with an id and a signature. In: the id is the idempotency key of the input, and the
answer comes when it is on disk; so however often it is delivered, and to whichever host, it is worked on once. Out: the id is
made of the receipt of the commit before it, and the same in every attempt and over every crash.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import http.client
import json
import math
import re
import time
import urllib.error
import urllib.request
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import unquote_to_bytes, urlsplit

import tenure.asyncio
from tenure import Run
from tenure.adapters.bounded import OPENER
from tenure.adapters.checking import checked
from tenure.errors import (
    Error,
    IdempotencyConflict,
    InvalidInput,
    KindMismatch,
    NotFound,
    PayloadTooLarge,
    RuntimeDestroyed,
)

try:
    from starlette.requests import ClientDisconnect, Request
    from starlette.responses import JSONResponse
    from starlette.routing import Route
except ModuleNotFoundError as exc:
    exc.add_note("this adapter needs more: pip install 'tenure[webhooks]'")
    raise

TOLERANCE_S: Final = 300
"""So far may the time of a webhook be from ours, before and after."""

RETRY_AFTER_S: Final = 5
"""What an answer of 503 asks a sender to wait."""

_ID, _TIME, _SIGNATURE = "webhook-id", "webhook-timestamp", "webhook-signature"

_STATUS: Final[Mapping[type[Error], HTTPStatus]] = {
    IdempotencyConflict: HTTPStatus.CONFLICT,
    KindMismatch: HTTPStatus.CONFLICT,
    InvalidInput: HTTPStatus.BAD_REQUEST,
    NotFound: HTTPStatus.NOT_FOUND,
    PayloadTooLarge: HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    RuntimeDestroyed: HTTPStatus.GONE,
}
"""What a sender hears of an error. What is not here passes, or is ours: 503, and it tries again."""


# In


@checked
def routes(
    supervisor: tenure.asyncio.Supervisor | None = None,
    *,
    secret: str | Sequence[str],
    kind: str | None = None,
    path: str = "/webhooks/{runtime_id}",
    body_bytes: int = 1 << 20,
    body_s: float = 30.0,
) -> list[Route]:
    """The routes that take webhooks in, each as an input of a runtime: its payload is the body, its key the id.

    ==== =====
    202  It is on disk.
    200  It was already, with the same body: this is a repetition, and nothing was written.
    400  The body is not JSON, or cannot be an input; or the path is not UTF-8.
    401  The signature is missing or wrong, or its time is too far from now.
    404  There is no such runtime, and no `kind` to make one of.
    408  The body did not arrive whole in `body_s`.
    409  The id was used for another body; or the runtime is of another kind.
    410  The runtime was destroyed.
    413  The body is too long.
    503  The host is not ready, or the store did not take it. The sender tries again, after ``Retry-After``.
    ==== =====

    Args:
        supervisor: Which host; None for the one that `tenure.asyncio.lifespan` puts into the state of the request.
        secret: ``whsec_`` and base64, or base64 alone; several while one takes the place of another.
        kind: Makes a runtime of this kind where there is none of the id.
        path: With the parameter ``runtime_id``.
        body_bytes: How long a body may be.
        body_s: Seconds that a body may take to arrive. A server that is asked to end waits for the requests that it has.

    Raises:
        InvalidInput: A secret is not base64, or empty, or there is none; or the path names no runtime.
    """
    if not path.startswith("/") or "{runtime_id" not in path:
        raise InvalidInput(detail="it begins with / and has {runtime_id}", field="path")
    if body_bytes < 1:
        raise InvalidInput(detail="it is a number of bytes above 0", field="body_bytes")
    _check_seconds(body_s, "body_s")
    keys = [_key(each) for each in ([secret] if isinstance(secret, str) else secret)]
    if not keys:
        raise InvalidInput(detail="there is none, so every signature would be wrong", field="secret")

    async def receive(request: Request) -> JSONResponse:
        host = _host_of(request) if supervisor is None else supervisor
        if not host.health().ready:
            return _later("the host is not ready")
        body = await _read(request, body_bytes, body_s)
        if isinstance(body, JSONResponse):
            return body
        if (fault := _fault(request.headers, body, keys)) is not None:
            return _answer(HTTPStatus.UNAUTHORIZED, error=fault)
        try:
            payload: Any = json.loads(body)
        except (ValueError, RecursionError):
            return _answer(HTTPStatus.BAD_REQUEST, error="the body is not JSON")
        try:
            ticket = await host.accept(
                request.path_params["runtime_id"], payload, kind=kind, idempotency_key=request.headers[_ID]
            )
        except Error as error:
            status = _STATUS.get(type(error))
            return _later(str(error)) if status is None else _answer(status, error=str(error))
        status = HTTPStatus.OK if ticket.deduplicated else HTTPStatus.ACCEPTED
        return _answer(status, runtime=ticket.runtime_id, input=ticket.input_id)

    return [Route(path, receive, methods=["POST"])]


def _host_of(request: Request) -> tenure.asyncio.Supervisor:
    """The host that the application has opened."""
    host: object = getattr(request.state, "supervisor", None)
    if not isinstance(host, tenure.asyncio.Supervisor):
        detail = (
            "the application has none: give it to routes, or lifespan=tenure.asyncio.lifespan(...) to the application"
        )
        raise InvalidInput(detail=detail, field="supervisor")
    return host


def _is_text(raw_path: bytes) -> bool:
    """Whether a path is text as it came: servers put one character for all that is none, and two ids would be one."""
    try:
        unquote_to_bytes(raw_path).decode()
    except UnicodeDecodeError:
        return False
    return True


def _check_seconds(seconds: float, field: str) -> None:
    if not 0 < seconds < math.inf:
        raise InvalidInput(detail="it is a number of seconds above 0", field=field)


async def _read(request: Request, most: int, seconds: float) -> bytes | JSONResponse:
    """The body; or the answer where that is too long or too slow, its path is not text, or its sender has gone."""
    if not _is_text(request.scope.get("raw_path", b"")):
        return _answer(HTTPStatus.BAD_REQUEST, error="the path is not UTF-8")
    found = bytearray()
    try:
        async with asyncio.timeout(seconds):
            async for piece in request.stream():
                found += piece
                if len(found) > most:
                    return _answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, error=f"a body has at most {most} bytes")
    except TimeoutError:
        return _answer(HTTPStatus.REQUEST_TIMEOUT, error=f"a body arrives within {seconds:g} seconds")
    except ClientDisconnect:  # there is no one to hear this
        return _answer(HTTPStatus.BAD_REQUEST, error="the body did not arrive whole")
    return bytes(found)


def _answer(status: HTTPStatus, **said: str) -> JSONResponse:
    return JSONResponse(said, status)


def _later(error: str) -> JSONResponse:
    return JSONResponse({"error": error}, HTTPStatus.SERVICE_UNAVAILABLE, {"retry-after": str(RETRY_AFTER_S)})


# Out


@checked
async def deliver(
    run: Run | tenure.asyncio.Run,
    url: str,
    event: object,
    *,
    secret: str,
    attempts: int = 10,
    backoff_s: float = 5.0,
    backoff_limit_s: float = 6 * 3600.0,
    timeout_s: float = 15.0,
) -> str:
    """Send a webhook out, and return its id. What the run has committed is on disk before it leaves.

    The run makes a checkpoint, whose receipt gives the id. Sending is a step of the run: each failed attempt and the time of
    the next one are on disk, so attempts go on over crashes, under the same id and with the same body, each with a signature
    of its time. It may arrive more than once. While it waits between two attempts its runtime does nothing else; where that is
    in the way, `run.send` the event to a runtime that does this alone.

    Args:
        run: That of the behaviour.
        url: Where to: ``http`` or ``https``, in the characters that a URL has. A redirection is not followed. Whether it leads
            into your own network is not looked at: a url that others say goes through a proxy (``https_proxy``) that does.
        event: JSON; by the specification an object with ``type``, ``timestamp`` and ``data``.
        secret: As in `routes`.
        attempts: Most attempts.
        backoff_s: Wait after the first failed one; doubles with each further one.
        backoff_limit_s: Longest wait.
        timeout_s: Longest wait for an answer, to its last header; and for a connection before it.

    Raises:
        InvalidInput: The url, the secret or the event is none; nothing was sent.
        StepFailed: Every attempt failed: no answer, or another status than 2xx. After 410, by which a receiver
            says that it wants no more, there is no further one.
    """
    key = _key(secret)
    _check_seconds(timeout_s, "timeout_s")
    _check_url(url)
    try:
        body = json.dumps(event, allow_nan=False, separators=(",", ":"))
    except (TypeError, ValueError, RecursionError) as exc:
        raise InvalidInput(detail=f"it is not JSON: {exc}", field="event") from exc
    receipt = await run.checkpoint()
    message = f"{receipt.run_id}.{receipt.sequence}"

    def send(message: str, body: str) -> int:
        return _post(url, message, body.encode(), key, timeout_s)

    await run.step(
        "webhook",
        send,
        message,
        body,
        repeat="freely",
        attempts=attempts,
        backoff_s=backoff_s,
        backoff_limit_s=backoff_limit_s,
        retry_on=(OSError,),
    )
    return message


def _check_url(url: str) -> None:
    """Raise `InvalidInput` for what no attempt could send to."""
    if re.search(r"[\x00-\x20\x7f]", url):
        raise InvalidInput(detail="it has a blank or a control character", field="url")
    try:
        parts = urlsplit(url)
        host, _ = (parts.hostname or "").encode("idna"), parts.port
        f"{parts.path}{parts.query}".encode("ascii")
    except ValueError as exc:
        raise InvalidInput(detail=f"it is not a URL: {exc}", field="url") from exc
    if parts.scheme not in {"http", "https"}:
        raise InvalidInput(detail="it begins with neither http nor https", field="url")
    if not host or "@" in parts.netloc:
        raise InvalidInput(detail="it has a host, and neither user nor password", field="url")


class _GoneError(Exception):
    """The receiver wants no more; not an `OSError`, as what is tried again is."""


def _post(url: str, message: str, body: bytes, key: bytes, timeout_s: float) -> int:
    """Send it once. Raises `OSError` for what may be tried again."""
    now = int(time.time())
    headers = {
        "content-type": "application/json",
        _ID: message,
        _TIME: str(now),
        _SIGNATURE: f"v1,{base64.b64encode(_signature(key, message, str(now), body)).decode()}",
    }
    shown = re.split(r"[?#]", url)[0]  # errors are stored, and a query may be a secret
    request = urllib.request.Request(url, body, headers)  # noqa: S310 - the scheme was checked
    try:
        with OPENER.open(request, timeout=timeout_s) as response:
            return int(response.status)
    except urllib.error.HTTPError as error:
        with error:
            if error.code == HTTPStatus.GONE:
                raise _GoneError(f"{shown} answered 410") from None
            raise ConnectionError(f"{shown} answered {error.code}") from None
    except http.client.HTTPException as error:
        raise ConnectionError(f"{shown} did not answer in HTTP: {error!r:.200}") from error


# Signatures


def _key(secret: str) -> bytes:
    """The key that a secret spells."""
    try:
        plain = secret.removeprefix("whsec_")
        key = base64.b64decode(plain + "=" * (-len(plain) % 4), validate=True)
    except (AttributeError, TypeError, ValueError) as exc:
        raise InvalidInput(detail="it is not base64, with or without whsec_ before it", field="secret") from exc
    if not key:
        raise InvalidInput(detail="it is empty", field="secret")
    return key


def _signature(key: bytes, message: str, timestamp: str, body: bytes) -> bytes:
    return hmac.digest(key, f"{message}.{timestamp}.".encode() + body, "sha256")


def _fault(headers: Mapping[str, str], body: bytes, keys: Sequence[bytes]) -> str | None:
    """What is wrong with the signature of a body, or None. Of several signatures one must be right, under one of the keys."""
    message, timestamp, signatures = (headers.get(name) for name in (_ID, _TIME, _SIGNATURE))
    if not message or not timestamp or not signatures:
        return f"a webhook has {_ID}, {_TIME} and {_SIGNATURE}"
    if not (timestamp.isascii() and timestamp.isdecimal() and abs(int(timestamp[:20]) - time.time()) <= TOLERANCE_S):
        return f"{_TIME} is not a time within {TOLERANCE_S} seconds of now"
    right = [b"v1," + base64.b64encode(_signature(key, message, timestamp, body)) for key in keys]
    given = [each.encode() for each in signatures.split()]
    # Each is compared, in constant time: no answer comes sooner for a signature that is nearly right.
    matches = [hmac.compare_digest(each, other) for each in given for other in right]
    return None if any(matches) else f"{_SIGNATURE} has no signature of this body"
