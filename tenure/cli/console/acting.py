"""Verbs from a page: first a page that says what it is about to do, then the deed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

import anyio
import anyio.to_thread
import trio
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from tenure.cli.upkeep.keys import seams
from tenure.errors import InvalidInput
from tenure.persistence.seams.executors import run_loop
from tenure.supervisor.visiting import visit

from .verbs import OF_SCHEDULES, VERBS

if TYPE_CHECKING:
    from .pages import Pages
    from .verbs import Form, Verb

PATIENCE_S: Final = 30.0
"""Seconds that a verb is waited for. The request stays stored, and is carried out when the owner answers."""

AT_ONCE: Final = 8
"""Verbs that are carried out at one time, each in a thread. More wait for their turn in none, so that every page answers."""


def confirm(pages: Pages) -> Callable[[Request], Response]:
    """The page of a verb: what it takes, what it warns of, and the button."""

    def page(request: Request) -> Response:
        asked = request.query_params
        name = asked.get("verb", "")
        verb, runtime_id = _verb(name), asked.get("id", "")
        given = {field: asked.get(field, "") for field in ("input", "place")}
        return pages.show(request, "confirm.html", name=name, verb=verb, id=runtime_id, given=given)

    return page


def act(pages: Pages) -> Callable[[Request], Awaitable[Response]]:
    """Carry a verb out, and lead back to where it was asked for."""
    turns = anyio.Semaphore(AT_ONCE)

    async def page(request: Request) -> Response:
        with anyio.move_on_after(PATIENCE_S) as waiting:
            await turns.acquire()
        if waiting.cancelled_caught:
            text = f"{AT_ONCE} verbs wait for their hosts, and have for {PATIENCE_S:g} s. Nothing of this one was done."
            return pages.show(request, "error.html", 503, title="Too many at once", text=text)
        try:
            # With threads that no page waits for.
            return await anyio.to_thread.run_sync(perform, request, limiter=anyio.CapacityLimiter(1))
        finally:
            turns.release()

    def perform(request: Request) -> Response:
        form: Form = request.scope["console.form"]
        name, about = form.get("verb", ""), form.get("id", "")
        verb = _verb(name)
        if not about:
            raise InvalidInput(detail="it is missing in the form", field="id")
        if verb.typed and form.get("typed") != about:
            raise InvalidInput(detail="what was typed is not the id; nothing was done", field="typed")
        if not run_loop(partial(_carry_out, pages.console.target, verb, form), "the console"):
            text = f"Its host has not answered for {PATIENCE_S:g} s. What was asked is stored, and is carried out when it does."
            return pages.show(request, "error.html", 503, title="No answer yet", text=text)
        return RedirectResponse(f"{_back(name)}?{urlencode({'id': about, 'done': name})}", status_code=303)

    return page


async def _carry_out(target: str, verb: Verb, form: Form) -> bool:
    with trio.move_on_after(PATIENCE_S):
        async with visit(target, seams=seams()) as supervisor:
            await verb.act(supervisor, form)
            return True
    return False


def _verb(name: str) -> Verb:
    if (verb := VERBS.get(name)) is None:
        raise InvalidInput(detail="there is no such verb", field="verb")
    return verb


def _back(name: str) -> str:
    if name == "schedule-delete":
        return "/schedules"
    return "/schedule" if name in OF_SCHEDULES else "/runtime"
