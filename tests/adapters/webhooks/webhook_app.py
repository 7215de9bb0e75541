"""A server that takes webhooks in, keeps what they say, and sends one out for each that names where to."""

from __future__ import annotations

import os

from starlette.applications import Starlette

import tenure
import tenure.asyncio
from tenure.adapters.webhooks import deliver, routes


async def note(run: tenure.Run) -> None:
    for entry in run.inputs:
        said = entry.payload
        run.session.append(said)
        if isinstance(said, dict) and "url" in said:
            event = {"type": "noted", "data": said["text"]}
            await deliver(run, said["url"], event, secret=os.environ["SECRET"], attempts=6, backoff_s=0.2)


app = Starlette(
    routes=routes(secret=[os.environ["OLD_SECRET"], os.environ["SECRET"]], kind="note", body_bytes=10_000, body_s=3.0),
    lifespan=tenure.asyncio.lifespan(os.environ["AGENTS"], behaviours={"note": note}),
)
