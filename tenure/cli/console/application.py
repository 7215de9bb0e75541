"""The application: which page stands under which path."""

from __future__ import annotations

import hashlib
import hmac
from pathlib import Path
from typing import Final, final

from attrs import field, frozen
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tenure.errors import Error, InvalidInput

from .access import SHORTEST_TOKEN, Guard
from .acting import act, confirm
from .pages import Pages
from .speaking import Speaking

STATIC: Final = Path(__file__).with_name("static")


@final
@frozen(kw_only=True)
class Console:
    """What a console shows, to whom, and what it may do.

    Attributes:
        target: The store; see `open_store`.
        token: Those who have it see everything that is shown. At least 16 characters.
        allow_verbs: Whether it may do anything but read.
        content: Whether payloads, messages, results, state and output can be looked at.
        name: What stands before the name of its cookie, so that two consoles of one host keep theirs apart.
    """

    target: str
    token: str = field(repr=False)
    allow_verbs: bool = False
    content: bool = True
    name: str = "tenure"

    def __attrs_post_init__(self) -> None:
        """Refuse a token that could be guessed."""
        if len(self.token) < SHORTEST_TOKEN:
            raise InvalidInput(detail=f"it has at least {SHORTEST_TOKEN} characters", field="token")

    def derived(self, purpose: str) -> str:
        """A secret that follows from the token and leads to no other: of the cookie, of the forms."""
        return hmac.new(self.token.encode(), purpose.encode(), hashlib.sha256).hexdigest()


def application(console: Console) -> Starlette:
    """An ASGI application. It opens the store for each look at it, and keeps nothing open between two."""
    pages, speaking = Pages(console), Speaking(console)
    reading = {
        "/": pages.overview,
        "/runtimes": pages.runtimes,
        "/runtime": pages.runtime,
        "/inputs": pages.inputs,
        "/steps": pages.steps,
        "/messages": pages.messages,
        "/state": pages.state,
        "/content": pages.content,
        "/output": pages.output,
        "/dead-letters": pages.dead_letters,
        "/runs": pages.runs,
        "/schedules": pages.schedules,
        "/schedule": pages.schedule,
        "/queue": pages.queue,
    }
    routes = [Route(path, page, methods=["GET"]) for path, page in reading.items()]
    routes.append(Route("/spoken", speaking.stream, methods=["GET"]))
    if console.allow_verbs:
        routes += [
            Route("/confirm", confirm(pages), methods=["GET"]),
            Route("/act", act(pages), methods=["POST"]),
        ]
    return Starlette(
        routes=[*routes, Mount("/static", StaticFiles(directory=STATIC))],
        middleware=[Middleware(Guard, console=console, pages=pages)],
        exception_handlers={Error: pages.failed, 404: pages.missing, 405: pages.missing},
    )
