"""What is wrong is refused where routes are made and before anything is sent."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import tenure
import tenure.asyncio
from tenure.adapters.webhooks import deliver, routes
from tenure.errors import InvalidInput
from tests.adapters.sweep import Verb, ended, sweep

SECRET = "whsec_c2VjcmV0IG9mIHRoZSB0ZXN0"
NO_URLS = (
    "http://",
    "http:///x",
    "https://:80/",
    "http://[::1",
    "http://[::1]:x/",
    "http://127.0.0.1:99999/",
    "http://127.0.0.1:9/a b",
    "http://127.0.0.1:9/é",
    "http://127.0.0.1:9/\n",
    " http://127.0.0.1:9/",
    "http://127.0.0.1:9\r\nX: y/",
    "http://user:password@127.0.0.1:9/",
    "http://a..b/",
)


def test_a_wrong_argument_of_routes_is_a_typed_error(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={}) as supervisor:
            terms = {"secret": SECRET, "kind": "chat", "path": "/hooks/{runtime_id}", "body_bytes": 3, "body_s": 1.0}
            verbs: dict[str, Verb] = {"routes": (routes, {"supervisor": supervisor, **terms})}

            async def intact() -> list[Any]:
                return []

            assert await ended(*verbs["routes"])
            assert await sweep(verbs, intact) > 80

    asyncio.run(main())


def test_a_wrong_argument_of_deliver_is_a_typed_error_and_sends_nothing(tmp_path: Path) -> None:
    refused: list[int] = []

    async def sends(run: tenure.Run) -> None:
        """Is given each wrong value; a receiver is not there, so what sends raises another error."""
        terms: dict[str, Any] = {"url": "http://127.0.0.1:9/", "event": {}, "secret": SECRET}
        for place, wrongs in {
            "run": (None, b"x", 3),
            "url": (None, b"http://x", 3, "ftp://x", "\ud800", "", *NO_URLS),
            "event": (object(), b"x", {1, 2}, float("nan"), {"a": b"x"}),
            "secret": (None, b"x", "", "é", 3, []),
            "timeout_s": (0, -1, float("nan"), float("inf"), "1", None, True),
        }.items():
            for wrong in wrongs:
                try:
                    await deliver(**({"run": run, **terms} | {place: wrong}))
                except InvalidInput:
                    refused.append(1)

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={"sends": sends}) as supervisor:
            ticket = await supervisor.accept("a", "x", kind="sends")
            assert (await ticket.wait_outcome()).error is None

    asyncio.run(main())
    assert len(refused) == 27 + len(NO_URLS)
