"""What is read in pages: the list of runtimes, its verb alone in its class as in the trio front, and outputs."""

from __future__ import annotations

from functools import partial
from typing import Any, Final, Self, final

from tenure.persistence.model.output import OutputEntry, Position
from tenure.persistence.model.values import RuntimeState
from tenure.persistence.upkeep.inspect import RuntimeLine
from tenure.supervisor.operators.listing import Listing as TrioListing
from tenure.supervisor.output.reader import OutputReader

from .portal import Portal

_END: Final = object()


class Listing:
    """Lists what is stored; see `tenure.Supervisor.list`."""

    def __init__(self, portal: Portal, listing: TrioListing) -> None:
        """Bind to the way to it."""
        self._portal = portal
        self._listing = listing

    async def list(
        self,
        *,
        kind: str | None = None,
        state: RuntimeState | None = None,
        held: bool = False,
        parent: str | None = None,
        after: str = "",
        limit: int | None = None,
    ) -> tuple[RuntimeLine, ...]:
        """See `tenure.Supervisor.list`."""
        read = partial(self._listing.list, kind=kind, state=state, held=held, parent=parent, after=after, limit=limit)
        return await self._portal.call(read)


@final
class Output:
    """The entries of an output: ``async for``. It may be dropped at any place; see `tenure.OutputReader`."""

    def __init__(self, portal: Portal, reader: OutputReader) -> None:
        """Made by `Runtime.follow` and `Supervisor.follow`."""
        self._portal = portal
        self._reader = reader

    @property
    def position(self) -> Position | None:
        """That of the entry that was given last: where to begin again."""
        return self._reader.position

    def __aiter__(self) -> Self:
        """An iterator is its own."""
        return self

    async def __anext__(self) -> OutputEntry:
        """The next entry; see `tenure.Runtime.follow`."""

        async def step() -> Any:
            return await anext(self._reader, _END)

        found = await self._portal.call(step)
        if found is _END:
            raise StopAsyncIteration
        entry: OutputEntry = found
        return entry
