"""The console as a server: uvicorn on one address, until it is interrupted."""

from __future__ import annotations

import ipaddress
import secrets
from urllib.parse import quote

import uvicorn

from tenure.errors import InvalidInput

from .application import Console, application


def console_at(
    target: str, host: str, port: int, token: str | None, *, allow_verbs: bool, content: bool
) -> tuple[Console, str]:
    """A console for an address, and the link to it.

    Args:
        target: The store; see `open_store`.
        host: Address to listen at. Another one than loopback needs a token that was chosen.
        port: Port to listen at.
        token: Who has it gets in; None: one is made, for loopback alone.
        allow_verbs: See `Console`.
        content: See `Console`.

    Raises:
        InvalidInput: An address that others reach, without a token; or a token that is too short.
    """
    if token is None and not _is_loopback(host):
        detail = f"others reach {host}: give a token, by --token-file or TENURE_CONSOLE_TOKEN"
        raise InvalidInput(detail=detail, field="--host")
    console = Console(
        target=target,
        token=secrets.token_urlsafe(24) if token is None else token,
        allow_verbs=allow_verbs,
        content=content,
        name=f"tenure-{port}",
    )
    # A token that was given is a secret of its owner's, and stands in no log.
    secret = f"?token={quote(console.token)}" if token is None else ""
    return console, f"http://{f'[{host}]' if ':' in host else host}:{port}/{secret}"


def serve(console: Console, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM."""
    # Headers of a proxy are not believed: any client can send them. Streams of output end with the server.
    uvicorn.run(
        application(console),
        host=host,
        port=port,
        log_level="warning",
        proxy_headers=False,
        server_header=False,
        timeout_graceful_shutdown=1,
    )


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
