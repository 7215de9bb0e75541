"""Who gets in: a token, a cookie that only this console reads, and forms that only its own pages send.

The link that the command prints has the token. Its first use puts a secret that follows from it into a cookie (HttpOnly,
SameSite=Strict) and takes it out of the address. A form has a second such secret, and must come from this console's own pages
(`Origin`). What scripts, frames and forms a page may have is said by its content security policy: its own.
"""

from __future__ import annotations

import hmac
from http.cookies import SimpleCookie
from typing import TYPE_CHECKING, Final, final
from urllib.parse import parse_qs, quote, urlencode

from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from .pages import Console, Pages

LARGEST_FORM: Final = 1024 * 1024
"""Most bytes of a form."""

FIELDS: Final = 20
"""Most fields of a form."""

HEADERS: Final = {
    "content-security-policy": "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",  # with no-referrer a browser posts our own forms with `Origin: null`
    "cache-control": "no-store",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}

_OPEN: Final = "/static/"
"""Style and script have no secret: the page that asks for the token needs them."""


@final
class Guard:
    """Stands before every page."""

    def __init__(self, app: ASGIApp, console: Console, pages: Pages) -> None:
        """Stand before `app`."""
        self._app = app
        self._console = console
        self._pages = pages
        self._cookie = f"{console.name}-console"
        self._session = console.derived("session")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it here."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        request = Request(scope, receive)
        answer = await self._answer(request)
        await (answer or self._app)(scope, receive, send_with_headers)

    async def _answer(self, request: Request) -> Response | None:
        """What is answered in place of the page, or None where it may be shown."""
        path = _path(request)
        if path.startswith(_OPEN):
            return None
        form: dict[str, str] = {}
        if request.method == "POST":
            found = await _form(request) if self._is_own(request) else None
            if found is None:
                return self._pages.refused(request, "This did not come from a form of this console. Nothing was done.")
            form = found
        given = form.get("token") if path == "/login" else request.query_params.get("token")
        if given is not None:
            return (
                self._let_in(request) if _same(given, self._console.token) else self._pages.locked(request, wrong=True)
            )
        if not _same(request.cookies.get(self._cookie, ""), self._session):
            return self._pages.locked(request)
        if request.method == "POST" and not _same(form.get("form", ""), self._console.derived("form")):
            return self._pages.refused(request, "This form has expired. Load the page again. Nothing was done.")
        request.scope["console.form"] = form
        return None

    def _let_in(self, request: Request) -> Response:
        asked = _path(request)
        path = "/" if asked == "/login" else f"/{quote(asked.lstrip('/'))}"  # never another host
        left = [(name, value) for name, value in request.query_params.multi_items() if name != "token"]
        answer = RedirectResponse(f"{path}?{urlencode(left)}" if left else path, status_code=303)
        cookie: SimpleCookie = SimpleCookie()
        cookie[self._cookie] = self._session
        cookie[self._cookie]["path"] = "/"
        cookie[self._cookie]["httponly"] = True
        cookie[self._cookie]["samesite"] = "strict"
        if request.scope["scheme"] == "https":
            cookie[self._cookie]["secure"] = True
        answer.headers.append("set-cookie", cookie[self._cookie].OutputString())
        return answer

    @staticmethod
    def _is_own(request: Request) -> bool:
        """Whether a form comes from a page of this console: browsers name the origin of every form that is posted."""
        scheme, _, origin = request.headers.get("origin", "").partition("://")
        return scheme in ("http", "https") and bool(origin) and origin == request.headers.get("host", "")


def _path(request: Request) -> str:
    """The path that the router goes by. `Request.url` is made with the header `Host`, which any client writes as it likes."""
    path, root = str(request.scope["path"]), str(request.scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(f"{root}/") else path


async def _form(request: Request) -> dict[str, str] | None:
    """The fields of a form; None where it is none, or too large."""
    if request.headers.get("content-type", "").partition(";")[0].strip() != "application/x-www-form-urlencoded":
        return None
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > LARGEST_FORM:
            return None
    try:
        found = parse_qs(body.decode(), keep_blank_values=True, strict_parsing=bool(body), max_num_fields=FIELDS)
    except ValueError:
        return None
    return {name: values[-1] for name, values in found.items()}


def _same(given: str, wanted: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), wanted.encode())
