"""What a runtime emits, as server-sent events: each has its position as its id, so that a browser goes on where it was."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from functools import partial
from typing import TYPE_CHECKING, Any, Final, final

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from tenure.errors import Error, InvalidInput
from tenure.persistence.facets.output.reads import OutputPage
from tenure.persistence.model.output import OutputEntry

from . import reading
from .reading import look
from .showing import json_of

if TYPE_CHECKING:
    from .pages import Console

LOOK_S: Final = 0.5
"""Seconds between two looks for something new."""

RETRY_MS: Final = 1_000
"""After so long a browser connects again."""

FACTS: Final = ("channel", "place", "attempt", "run_id", "drop_after", "said_at")


@final
class Speaking:
    """Follows outputs."""

    def __init__(self, console: Console) -> None:
        """Bind to what is shown."""
        self._console = console

    async def stream(self, request: Request) -> Response:
        """The output of one runtime, from the oldest entry that is there, or after the last that the browser has."""
        if not self._console.content:
            raise InvalidInput(detail="this console shows no content; it was started with --no-content")
        runtime = request.query_params.get("id", "")
        after = request.headers.get("last-event-id") or None
        # The first look is before the answer begins: its error is a page.
        first = await run_in_threadpool(look, self._console.target, partial(reading.output, runtime, after))
        return StreamingResponse(self._events(runtime, after, first), media_type="text/event-stream")

    async def _events(self, runtime: str, after: str | None, page: OutputPage) -> AsyncIterator[str]:
        yield f"retry: {RETRY_MS}\n\n"
        while True:
            for entry in page.entries:
                after = entry.position
                yield f"id: {after}\ndata: {json.dumps(_line(entry))}\n\n"
            if page.whole and page.over:
                yield "event: over\ndata: {}\n\n"
                return
            if page.whole:
                yield ": still here\n\n"
                await asyncio.sleep(LOOK_S)
            try:
                page = await run_in_threadpool(look, self._console.target, partial(reading.output, runtime, after))
            except Error as exc:
                yield f"event: failed\ndata: {json.dumps(f'{type(exc).__name__}: {exc}')}\n\n"
                return


def _line(entry: OutputEntry) -> dict[str, Any]:
    facts = {name: getattr(entry, name) for name in FACTS}
    return {**facts, "kind": entry.kind.value, "value": json_of(entry.value)}
