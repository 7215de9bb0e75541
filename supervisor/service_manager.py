"""A host under systemd: it says when it is ready, that it lives, and when it ends (sd_notify(3), sd_watchdog_enabled(3)).

The protocol is one datagram for each sentence, to the socket that the environment names. Where systemd watches, the host says
that it lives twice in the time that it has for it, and says nothing while only a new process would help
(`Supervisor.health`): then systemd ends it and begins another one.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final, final

import trio

from tenure.errors import CannotOpen, InvalidInput

from .operators.health import Health
from .operators.log import HostLog

SOCKET: Final = "NOTIFY_SOCKET"
WATCHDOG: Final = "WATCHDOG_USEC"
WATCHDOG_OF: Final = "WATCHDOG_PID"
MICROSECONDS: Final = 1_000_000


@final
class ServiceManager:
    """Speaks to the service manager of this process about one host."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Without a socket in the environment every call does nothing.

        Raises:
            InvalidInput: The environment names a socket, or a time, that is none.
        """
        self._address = environment.get(SOCKET, "")
        self._socket: socket.socket | None = None
        of_another = environment.get(WATCHDOG_OF, str(os.getpid())) != str(os.getpid())
        self._every_s = 0.0 if of_another else _microseconds(environment.get(WATCHDOG, "0")) / 2 / MICROSECONDS
        if not self._address:
            return
        if self._address[0] not in "/@":
            raise InvalidInput(detail=f"{SOCKET} is neither a path nor an abstract name", field=SOCKET)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC)
        self._socket.setblocking(False)

    def ready(self) -> None:
        """Say that the host is open. Raises `CannotOpen` where the socket takes nothing: the service would never have begun."""
        try:
            self._say("READY=1\nSTATUS=ready")
        except OSError as exc:
            raise CannotOpen(path=self._address, detail=f"systemd does not hear that the host is ready: {exc}") from exc

    async def beat(self, health_of: Callable[[], Health], log: HostLog) -> None:
        """Say again and again that it lives, for as long as it does, where the service manager watches that."""
        if self._socket is None or not self._every_s:
            return
        while True:
            health = health_of()
            status = "; ".join(each.reason for each in health.problems) or "ready"
            try:
                self._say(f"STATUS={status}\nWATCHDOG=1" if health.live else f"STATUS={status}")
            except OSError as exc:  # a beat may be missed; why is in the log
                log.not_notified(exc)
            await trio.sleep(self._every_s)

    def stopping(self) -> None:
        """Say that the host ends; it does, heard or not."""
        with suppress(OSError):
            self._say("STOPPING=1\nSTATUS=stopping")

    def close(self) -> None:
        """Say nothing more."""
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _say(self, text: str) -> None:
        if self._socket is None:
            return
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        self._socket.sendto(text.encode(), address)


def _microseconds(text: str) -> int:
    if not (text.isascii() and text.isdigit()):
        raise InvalidInput(detail=f"{WATCHDOG} is not a number of microseconds", field=WATCHDOG)
    return int(text)
