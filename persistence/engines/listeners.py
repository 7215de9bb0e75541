"""Who waits for what is written, in every process that has a store open: a part of the engine's contract."""

from __future__ import annotations

from typing import Final, Protocol, final

GLANCE_S: Final = 0.005
"""Seconds between two glances at what another process may have written, of one who waits for it."""


class Listeners(Protocol):
    """Those who wait for what is written, over all hosts and looks that have the store open (design §22).

    Hints, and cheap: a wrong answer costs time and never an entry. Called in the thread of the loop.
    """

    def begin(self, what: str, /) -> None:
        """Listen for something from now on, as others can see."""
        ...

    def end(self, what: str, /) -> None:
        """Listen for it no more."""
        ...

    def others(self, what: str | None = None, /) -> bool:
        """Whether another host, or a look, listens for it; for None: for anything."""
        ...

    def stirred(self) -> bool:
        """Whether the store may have been written since this was asked last. One write in many is seen only with the next."""
        ...


@final
class NoListeners:
    """See `Listeners`: of a store that no other process can have open."""

    def begin(self, what: str, /) -> None:
        """See `Listeners.begin`."""

    def end(self, what: str, /) -> None:
        """See `Listeners.end`."""

    def others(self, what: str | None = None, /) -> bool:  # noqa: ARG002 - as `Listeners` has it
        """See `Listeners.others`."""
        return False

    def stirred(self) -> bool:
        """See `Listeners.stirred`."""
        return False
