"""Reading a stream event by event, in pages; an iterator that may be dropped at any place.

It is not a generator: one that is left half read would have to be closed by hand.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import Self, final

import trio

from tenure.errors import NotFound
from tenure.persistence.contracts.access import Access
from tenure.persistence.facets.journal import journal
from tenure.persistence.model.events.event_types import EventTypes, decode_event
from tenure.persistence.model.events.journal import EncodedEvent, StoredEvent, StreamId

from .following import (
    Following,
    Life,
)


@final
class EventReader:
    """The events of a stream after a cursor: ``async for``, or ``await anext(reader)``.

    Attributes:
        stream: Which stream.
        after: The cursor of the last event that was given: where to begin again.
    """

    def __init__(
        self, store: Access, following: Following | None, stream: StreamId, after: int, types: EventTypes | None
    ) -> None:
        """Read nothing yet. With `following` it waits at the end for what comes; without, it ends there."""
        self.stream = stream
        self.after = after
        self._store = store
        self._following = following
        self._types = types
        self._page: deque[tuple[int, EncodedEvent, float]] = deque()
        self._head: int | None = None
        self._life: Life | None = None

    def __aiter__(self) -> Self:
        """An iterator is its own."""
        return self

    async def __anext__(self) -> StoredEvent:
        """The next event. See `JournalContract.stream` and `JournalContract.follow` for what is raised.

        Cancellation: at any time; no event is lost.
        """
        if self._page:
            await trio.lowlevel.checkpoint()
        while not self._page:
            if self._following is None and self._head is not None and self.after >= self._head:
                raise StopAsyncIteration
            if self._following is not None:
                await self._following.wait(self.stream, self.after, self._life)
            await self._read()
        sequence, event, recorded_at = self._page[0]
        stored = StoredEvent(
            sequence=sequence,
            event=decode_event(event, self._types, f"{self.stream}:{sequence}"),
            kind=event.kind,
            version=event.version,
            recorded_at=recorded_at,
        )
        self._page.popleft()
        self.after = sequence
        return stored

    async def _read(self) -> None:
        page = await self._store.read(partial(journal.page, stream_id=self.stream, after=self.after))
        if self._life not in (None, page.life):
            raise NotFound(what="stream", key=self.stream)  # deleted, and made anew
        self._life, self._head = page.life, page.head
        self._page.extend(page.events)
