"""An A2A server that notes what it is asked in a file, and answers when there is a second file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import BasePushNotificationSender
from a2a.types.a2a_pb2 import AgentCapabilities, AgentCard
from starlette.applications import Starlette

import tenure.asyncio
from tenure.adapters.a2a import TenurePushConfigStore, open_handler

FOLDER = Path(os.environ["FOLDER"])
GATE = FOLDER / "gate"
CARD = AgentCard(
    name="clerk",
    description="answers",
    version="1",
    capabilities=AgentCapabilities(streaming=True, push_notifications=True),
    default_input_modes=["text/plain"],
    default_output_modes=["text/plain"],
)


def note(text: str) -> None:
    with (FOLDER / "asked").open("a") as file:
        file.write(f"{text}\n")


@tenure.asyncio.behaviour
async def clerk(run: tenure.asyncio.Run) -> Any:
    (entry,) = run.inputs
    payload: Any = entry.payload
    text: str = payload["parts"][0]["text"]
    if text == "data":
        return {"answer": [1, None, {"é": 0.5}]}
    if text.startswith("deep "):
        nested: Any = 1
        for _ in range(int(text.removeprefix("deep "))):
            nested = [nested]
        return nested
    if text == "nothing":
        return None
    if text == "no":
        run.reject(entry, "we are closed")
        return None
    await run.step("note", note, text, repeat="never")
    while not GATE.exists():  # noqa: ASYNC110 - another process makes it
        await asyncio.sleep(0.02)
    return f"done: {text}"


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncGenerator[None]:
    async with (
        httpx.AsyncClient() as client,
        tenure.asyncio.open_supervisor(FOLDER / "agents.db", behaviours={"clerk": clerk}, drain_s=0.1) as supervisor,
    ):
        sender = BasePushNotificationSender(client, TenurePushConfigStore(supervisor.store))
        async with open_handler(supervisor, CARD, kind="clerk", push_sender=sender) as handler:
            app.router.routes += [*create_agent_card_routes(CARD), *create_jsonrpc_routes(handler, "/")]
            yield


app = Starlette(lifespan=lifespan)
