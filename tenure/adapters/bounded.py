"""HTTP from a thread, where each wait has an end: for a connection, and for the whole answer up to its last header.

The time limit of a socket is one for each address, and for each piece that comes: a name with many addresses, or an answer by
single bytes, would hold the thread for as long as the other end likes. Nothing is followed that leads elsewhere.
"""

from __future__ import annotations

import http.client
import io
import math
import socket
import time
import urllib.request
from typing import Any, Final

_SHORTEST_S: Final = 0.001
"""Shortest wait for one address of a name that has many; 0 would not wait for any."""


class _StayHere(urllib.request.HTTPRedirectHandler):
    """Follows no redirection: it is a status like others."""

    def redirect_request(self, *_: Any, **__: Any) -> None:
        """There is no other request."""


class _Until(io.RawIOBase):
    """What comes on a socket until a time. By itself a socket waits anew for each piece, so a slow sender has no end."""

    def __init__(self, sock: socket.socket, answer: Any) -> None:
        self._sock = sock
        self._answer = answer
        wait_s = sock.gettimeout()
        self._ends_at = time.monotonic() + (math.inf if wait_s is None else wait_s)

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any, /) -> int:
        """Read what has come, or raise `TimeoutError`."""
        left_s = self._ends_at - time.monotonic()
        if left_s <= 0:
            message = "the answer did not arrive whole in time"
            raise TimeoutError(message)
        if left_s < math.inf:
            self._sock.settimeout(left_s)
        found: int = self._answer.readinto1(buffer)  # once, and not until the buffer is full
        return found

    def close(self) -> None:
        """Close what it reads from."""
        super().close()
        self._answer.close()


class _Response(http.client.HTTPResponse):
    """One that has come as a whole, to its last header, when the time is over that the socket gives to each piece."""

    def __init__(self, sock: socket.socket, *args: Any, **kwargs: Any) -> None:
        super().__init__(sock, *args, **kwargs)
        self.fp = io.BufferedReader(_Until(sock, self.fp))


def _connect(address: tuple[str, int], timeout: float, _: object = None) -> socket.socket:
    """As `socket.create_connection`, where the addresses of a name share the time that each of them has there."""
    until = time.monotonic() + timeout
    found = socket.getaddrinfo(*address, type=socket.SOCK_STREAM)
    why: OSError = TimeoutError("no address could be connected to in time")
    for left, (family, kind, protocol, _name, where) in zip(range(len(found), 0, -1), found, strict=True):
        sock = socket.socket(family, kind, protocol)
        try:
            sock.settimeout(max((until - time.monotonic()) / left, _SHORTEST_S))
            sock.connect(where)
        except OSError as exc:
            sock.close()
            why = exc
        else:
            sock.settimeout(timeout)
            return sock
    raise why


class _Connection(http.client.HTTPConnection):
    response_class = _Response

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._create_connection = _connect


class _SafeConnection(http.client.HTTPSConnection):
    response_class = _Response

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._create_connection = _connect


class _Http(urllib.request.HTTPHandler):
    def http_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Open it in time."""
        return self.do_open(_Connection, req)


class _Https(urllib.request.HTTPSHandler):
    def https_open(self, req: urllib.request.Request) -> http.client.HTTPResponse:
        """Open it in time."""
        return self.do_open(_SafeConnection, req)


OPENER: Final = urllib.request.build_opener(_StayHere, _Http, _Https)
"""Opens a url once, in bounded time."""
