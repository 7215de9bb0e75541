"""The list of runtimes, its verb alone in its class as in the trio front."""

from __future__ import annotations

from functools import partial

from tenure.persistence.model.values import RuntimeState
from tenure.persistence.upkeep.inspect import RuntimeLine
from tenure.portals.portal import Portal
from tenure.supervisor.operators.listing import Listing as TrioListing


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
