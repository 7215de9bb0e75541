"""Webhooks into durable agents: Starlette under uvicorn, with several workers on one file.

    pip install starlette uvicorn
    AGENTS=agents.db uvicorn --workers 2 --app-dir examples webhooks:app
    curl localhost:8000/agents/alice -d '{"text": "hello"}' -H 'webhook-id: msg_1'  # 202, on disk, with the id of the input
    curl localhost:8000/agents/alice/inputs/INPUT?wait=10                            # its outcome, waited for
    curl localhost:8000/agents/alice                                                 # the conversation
    curl -N localhost:8000/agents/alice/output                                       # what it says, while it says it
    xdg-open http://localhost:8000/agents/alice/page                                 # all of that, in a browser

With readers that stay connected, give uvicorn `--timeout-graceful-shutdown 1`: it waits for them at its end.

What to look at:

- A sender of webhooks delivers at least once: it repeats a delivery until it hears 2xx. `webhook-id` is the idempotency key,
  so a repeat, to whichever worker, is answered with the input of the first, and worked on once.
- The answer is 202 when the message is on disk, and not before. Killed at any moment, a worker loses nothing that it answered.
- `accept(..., kind=)` makes an agent that is not there, and never minds which worker owns it: every worker is a host, each
  agent is run by one of them, and what a killed one leaves is taken over by the others.
- The page follows the output by server-sent events. Each event has its position as its id; a browser that lost the server says
  by `Last-Event-ID` after which one to go on, to whichever worker. So nothing is missed or shown twice, over a reload, in a
  second tab, and when the server is killed in the middle of a word. What a killed attempt had said is dropped where
  ``restarted`` says so. A message is kept by the page until it was answered with 2xx, and sent again under its key until then.
- `tenure.asyncio.lifespan` ends the server when its store stops. A worker that can promise nothing more does not go on serving.
"""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import AsyncIterator
from json import JSONDecodeError
from pathlib import Path
from typing import Any, Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response, StreamingResponse
from starlette.routing import Route

import tenure
import tenure.asyncio
from tenure.errors import Error, IdempotencyConflict, InvalidInput, NotFound, PayloadTooLarge, PositionGone

LONGEST_WAIT_S: Final = 30.0
"""A client that asks for an outcome is answered after so long at the latest; it may ask again."""

QUIET_S: Final = 15.0
"""After so long without an event a comment is sent: whatever stands between sees that the connection lives."""

RETRY_MS: Final = 500
"""After so long a browser connects again."""

PAGE: Final = Path(__file__).with_name("webhooks.html")

STATUS: Final[dict[type[Exception], int]] = {
    NotFound: 404,
    IdempotencyConflict: 409,
    InvalidInput: 422,
    PayloadTooLarge: 413,
}
"""Whose fault an error is, as a status; what is not here is ours, or passes: 503, and the sender tries again."""


WORD_S: Final = float(os.environ.get("WORD_S", "0.02"))
"""Seconds that the stand-in for a model takes for a word."""


# --- The agent ------------------------------------------------------------------------------------


async def chat(run: tenure.Run) -> None:
    """Answer each message, and keep both in the conversation."""
    for message in run.inputs:
        await run.emit(message.payload, channel="heard")
        reply = await run.step("answer", answer, message.payload, repeat="freely")
        run.session.append({"received": message.payload, "reply": reply})


def answer(payload: dict[str, Any]) -> str:
    """Stand in for a model: word by word."""
    text = payload.get("text", payload)
    words = f"noted {text}".split(" ")
    for word in words:
        tenure.emit(f"{word} ")
        time.sleep(WORD_S)
    return " ".join(words)


# --- The server -----------------------------------------------------------------------------------


async def receive(request: Request) -> JSONResponse:
    """Take one delivery: 202 once it is on disk."""
    key = request.headers.get("webhook-id")
    try:
        payload = await request.json()
    except (JSONDecodeError, UnicodeDecodeError):
        return JSONResponse({"error": "not JSON"}, 400)
    agent = request.path_params["agent"]
    ticket = await supervisor_of(request).accept(agent, payload, kind="chat", idempotency_key=key)
    return JSONResponse({"input": ticket.input_id, "known": ticket.deduplicated}, 202)


async def outcome(request: Request) -> JSONResponse:
    """What became of one input, waited for as long as the client says: 200 when it has ended, 202 while it has not."""
    try:
        wait_s = min(float(request.query_params.get("wait", 0)), LONGEST_WAIT_S)
    except ValueError:
        return JSONResponse({"error": "wait is a number of seconds"}, 400)
    ticket = await supervisor_of(request).ticket(request.path_params["agent"], input_id=request.path_params["input"])
    try:
        async with asyncio.timeout(wait_s):
            ended = await ticket.wait_outcome()
    except TimeoutError:
        return JSONResponse({"phase": "unfinished"}, 202)
    return JSONResponse({"phase": ended.phase, "reason": ended.reason})


async def conversation(request: Request) -> JSONResponse:
    """The whole conversation of an agent."""
    return JSONResponse(await supervisor_of(request).read_session(request.path_params["agent"]))


async def output(request: Request) -> Response:
    """What an agent says, as server-sent events: what is there after `Last-Event-ID`, then what comes."""
    runtime = await supervisor_of(request).find(request.path_params["agent"])
    after = request.headers.get("last-event-id") or request.query_params.get("after")
    events = events_of(runtime, after or None)
    return StreamingResponse(events, media_type="text/event-stream", headers={"cache-control": "no-store"})


async def events_of(
    runtime: tenure.asyncio.Runtime | tenure.asyncio.ForeignRuntime, after: str | None
) -> AsyncIterator[str]:
    """The events of an output. A reader that ends, or is dropped with its connection, leaves nothing that is to be closed."""
    yield f"retry: {RETRY_MS}\n\n"
    reader = runtime.follow(after)
    while True:
        coming = asyncio.ensure_future(anext(reader))
        try:
            while not (await asyncio.wait({coming}, timeout=QUIET_S))[0]:
                yield ": quiet\n\n"
            entry = coming.result()
        except (
            PositionGone
        ) as error:  # older than what is kept: whoever was away for so long begins again with what is there
            yield f"event: gone\ndata: {error.oldest}\n\n"
            reader = runtime.follow(error.oldest)
            continue
        except (StopAsyncIteration, Error):  # it is destroyed, or this worker ends: the browser asks again
            return
        finally:
            coming.cancel()
        said = {
            "run": entry.run_id,
            "kind": entry.kind,
            "channel": entry.channel,
            "value": entry.value,
            "place": entry.place,
            "drop_after": entry.drop_after,
        }
        yield f"id: {entry.position}\ndata: {json.dumps(said)}\n\n"


async def page(_: Request) -> Response:
    """The page of a chat; the same for every agent, whose name stands in its address."""
    return FileResponse(PAGE)


async def refuse(_: Request, error: Exception) -> JSONResponse:
    """Say whose fault it is; a sender repeats what gets 503."""
    return JSONResponse({"error": type(error).__name__, "detail": str(error)}, STATUS.get(type(error), 503))


def supervisor_of(request: Request) -> tenure.asyncio.Supervisor:
    """The supervisor of this worker, as its lifespan has put it there."""
    supervisor: tenure.asyncio.Supervisor = request.state.supervisor
    return supervisor


app = Starlette(
    routes=[
        Route("/agents/{agent}", receive, methods=["POST"]),
        Route("/agents/{agent}", conversation),
        Route("/agents/{agent}/inputs/{input}", outcome),
        Route("/agents/{agent}/output", output),
        Route("/agents/{agent}/page", page),
    ],
    exception_handlers={Error: refuse},
    lifespan=tenure.asyncio.lifespan(os.environ.get("AGENTS", "agents.db"), behaviours={"chat": chat}),
)
