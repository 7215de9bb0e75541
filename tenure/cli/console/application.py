"""The application: which page stands under which path."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles

from tenure.errors import Error

from .access import Guard
from .acting import act, confirm
from .pages import Console, Pages
from .speaking import Speaking

__all__ = ["Console", "application"]

STATIC: Final = Path(__file__).with_name("static")


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
