"""An application whose store breaks when it is asked to: uvicorn serves it in a process of its own."""

from __future__ import annotations

import os

import trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

import tenure
import tenure.asyncio
from tests.kit.ground import pull_the_plug


async def chat(run: tenure.Run) -> None:
    run.session.append(run.inputs[0].payload)


async def pull(inner: tenure.Supervisor) -> None:
    await trio.lowlevel.checkpoint()
    pull_the_plug(inner.store)


async def say(request: Request) -> JSONResponse:
    supervisor: tenure.asyncio.Supervisor = request.state.supervisor
    if request.method == "DELETE":
        await supervisor.in_trio(pull)
        return JSONResponse("pulled")
    ticket = await supervisor.accept("alice", "hello", kind="chat")
    return JSONResponse((await ticket.wait_outcome()).phase)


app = Starlette(
    routes=[Route("/", say, methods=["GET", "DELETE"])],
    lifespan=tenure.asyncio.lifespan(os.environ["AGENTS"], behaviours={"chat": chat}),
)
