"""What proves to other hosts that a host lives: a part of the engine's contract."""

from __future__ import annotations

import re
from typing import Final, Protocol, final

_LEASE: Final = re.compile(r"tenure \w+ lease ([0-9]+\.?[0-9]*(?:e[+-]?[0-9]+)?|inf)")


class HostProofs(Protocol):
    """What proves that a host lives, wherever it runs."""

    def hold(self, incarnation: str, /) -> str | None:
        """Begin to prove that this host lives; it ends by itself with the process.

        Returns what its row says of its files; on a server the name of its sessions there.
        """
        ...

    def seize(self, incarnation: str, files: str | None, /) -> bool:
        """Try to take another host's proof; `files` is what its row says.

        True: that host is dead, and the proof stays taken until `let_go`. False: it lives, or nothing is proven.
        """
        ...

    def breathe(self) -> None:
        """Show that this host lives although its loop stands still. Called by a thread, and raises nothing."""
        ...

    def breath(self, incarnation: str, /) -> object | None:
        """What changes each time that another host shows this; None where nothing is seen of it."""
        ...

    def let_go(self, incarnation: str, /) -> None:
        """Give up and remove a proof that is held or was seized; does nothing for others."""
        ...


@final
class NoProofs:
    """See `HostProofs`: of a store in which nothing is ever proven.

    No other host can have it open; or, on a server, a host is judged by its counter alone, once that stood still for one lease
    on the observer's own clock: a session that the server has lost does not prove that its process is dead.
    """

    def __init__(self, sessions: str | None = None) -> None:
        """`sessions` is the name of this host's sessions on a server."""
        self._sessions = sessions

    def hold(self, _incarnation: str, /) -> str | None:
        """See `HostProofs.hold`: there are no files."""
        return self._sessions

    def seize(self, _incarnation: str, _files: str | None, /) -> bool:
        """See `HostProofs.seize`."""
        return False

    def breathe(self) -> None:
        """See `HostProofs.breathe`: no host could see it."""
        return

    def breath(self, _incarnation: str, /) -> object | None:
        """See `HostProofs.breath`."""
        return None

    def let_go(self, _incarnation: str, /) -> None:
        """See `HostProofs.let_go`: nothing is held."""


def name_of_sessions(drawn: str, lease_s: float) -> str:
    """How a host names its sessions on a server: by what was drawn for it, and by its lease, which others judge it by."""
    return f"tenure {drawn} lease {float(lease_s)!r}"


def lease_of(files: str | None) -> float | None:
    """The lease of a host by what its row says, in seconds; None where it says nothing of that."""
    found = None if files is None else _LEASE.fullmatch(files)
    return None if found is None else float(found[1])
