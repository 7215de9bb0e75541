"""Who waits for what is written, in every process that has a store open, and hints to them: a part of the engine's contract."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from types import MappingProxyType
from typing import Final, Protocol, final

from attrs import frozen

GLANCE_S: Final = 0.005
"""Seconds between two glances at what another process may have written, of one who waits for it."""

Elsewhere = Mapping[str, int | None]
"""Runtimes by their ids, each with the key of the host that owns it, or None."""

NOWHERE: Final[Elsewhere] = MappingProxyType({})


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

    @property
    def open_line(self) -> OpenLine | None:
        """Opens a line for hints; None where hosts give none. Once the store is open."""
        ...


@final
@frozen(kw_only=True, slots=True)
class Hint:
    """What has come on a line.

    Attributes:
        host: Key of the row of the host that says it has given it; None where it cannot be read.
        awaits: Runtimes of which it awaits something.
        spare_s: Seconds from now on for which it needs no hints: it looks as often as without.
        own: Whether this line has given it itself, to hear whether hints arrive.
    """

    host: int | None = None
    awaits: Sequence[str] = ()
    spare_s: float = 0.0
    own: bool = False


class HintLine(Protocol):
    """A connection on which a host gives hints, and hears those of others. None of its methods waits but `close`, briefly.

    A hint says that its host may look at the store at once, and nothing else: lost, late, doubled or false it changes what a
    look costs, or when it comes. Each method raises `Again` where the connection is lost; nothing is to be done but to open
    another one.
    """

    def fileno(self) -> int:
        """What to wait on."""
        ...

    @property
    def is_busy(self) -> bool:
        """Whether what was said last is still on its way; until it has arrived nothing more can be said."""
        ...

    def say(self, hosts: Mapping[int, Collection[str]], everyone: Collection[str] | None, spare_s: float = 0.0) -> None:
        """Give hints: to hosts by the keys of their rows, and to all that live; with what is awaited. Own transaction.

        With `spare_s` they say that this host needs none for so many seconds.
        """
        ...

    def flush(self) -> bool:
        """Send; whether some of it waits until the socket takes more."""
        ...

    def hear(self) -> Sequence[Hint]:
        """What has come; to be called where the socket has something to read."""
        ...

    def close(self) -> None:
        """Close it."""
        ...


OpenLine = Callable[[int], HintLine]
"""Opens a line for the host with this key: it hears what is given to that host, and first of all a hint that it gives itself.
Blocks, for some seconds at most. Raises `Again`, and what opening a connection raises."""


@final
class NoListeners:
    """See `Listeners`: of a store that no other process can have open, or where others say nothing of what they wait for.

    Attributes:
        open_line: See `Listeners.open_line`.
    """

    def __init__(self, open_line: OpenLine | None = None) -> None:
        """Hosts give hints where there is a line for them."""
        self.open_line = open_line

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
