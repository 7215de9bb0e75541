"""What proves that the hosts on a server live: nothing but their counters."""

from __future__ import annotations

from typing import final


@final
class NoProofs:
    """See `HostProofs`.

    A session that the server has lost is not a dead process, so nothing is ever proven: a host is judged by its counter alone,
    once it stood still for one lease on the observer's own clock.
    """

    def hold(self, _incarnation: str, /) -> None:
        """See `HostProofs.hold`: there are no files."""
        return

    def seize(self, _incarnation: str, _files: str | None, /) -> bool:
        """See `HostProofs.seize`: nothing is proven."""
        return False

    def breathe(self) -> None:
        """See `HostProofs.breathe`: no host could see it."""
        return

    def breath(self, _incarnation: str, /) -> object | None:
        """See `HostProofs.breath`: nothing is seen."""
        return None

    def let_go(self, _incarnation: str, /) -> None:
        """See `HostProofs.let_go`: nothing is held."""
