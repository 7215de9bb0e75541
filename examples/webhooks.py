"""Webhooks into durable agents: Starlette under uvicorn, with several workers on one file.

    pip install starlette uvicorn
    AGENTS=agents.db uvicorn --workers 2 --app-dir examples webhooks:app
    curl localhost:8000/agents/alice -d '{"text": "hello"}' -H 'webhook-id: msg_1'  # 202, on disk, with the id of the input
    curl localhost:8000/agents/alice/inputs/INPUT?wait=10                            # its outcome, waited for
    curl localhost:8000/agents/alice                                                 # the conversation

What to look at:

- A sender of webhooks delivers at least once: it repeats a delivery until it hears 2xx. `webhook-id` is the idempotency key,
  so a repeat, to whichever worker, is answered with the input of the first, and worked on once.
- The answer is 202 when the message is on disk, and not before. Killed at any moment, a worker loses nothing that it answered.
- `accept(..., kind=)` makes an agent that is not there, and never minds which worker owns it: every worker is a host, each
  agent is run by one of them, and what a killed one leaves is taken over by the others.
- `tenure.asyncio.lifespan` ends the server when its store stops. A worker that can promise nothing more does not go on serving.
"""

from __future__ import annotations

import asyncio
import os
from json import JSONDecodeError
from typing import Final

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import tenure
import tenure.asyncio
from tenure.errors import Error, IdempotencyConflict, InvalidInput, NotFound, PayloadTooLarge

LONGEST_WAIT_S: Final = 30.0
"""A client that asks for an outcome is answered after so long at the latest; it may ask again."""

STATUS: Final[dict[type[Exception], int]] = {
    NotFound: 404,
    IdempotencyConflict: 409,
    InvalidInput: 422,
    PayloadTooLarge: 413,
}
"""Whose fault an error is, as a status; what is not here is ours, or passes: 503, and the sender tries again."""


# --- The agent ------------------------------------------------------------------------------------


async def chat(run: tenure.Run) -> None:
    """Answer each message, and keep both in the conversation."""
    for message in run.inputs:
        reply = await run.step("answer", answer, message.payload, repeat="freely")
        run.session.append({"received": message.payload, "reply": reply})


def answer(payload: object) -> str:
    """Stand in for a model."""
    return f"noted {payload}"


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
    ],
    exception_handlers={Error: refuse},
    lifespan=tenure.asyncio.lifespan(os.environ.get("AGENTS", "agents.db"), behaviours={"chat": chat}),
)
