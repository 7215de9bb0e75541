"""Reading an output entry by entry, in pages; an iterator that may be dropped at any place.

It reads from the store, at its own pace, and keeps a page of it: so a slow reader holds nothing up, and none misses anything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Self, final

import trio

from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.output import reads
from tenure.persistence.model.output import OutputEntry, Place, Position, is_wanted, place_of_position
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.store import Store

from .following import Followers

Ended = Callable[[Statements], bool]


@final
class OutputReader:
    """The entries of an output after a position: ``async for``, or ``await anext(reader)``.

    Attributes:
        position: That of the entry that was given last: where to begin again. None before the first.
    """

    def __init__(
        self,
        store: Store,
        followers: Followers,
        runtime_id: LogicalRuntimeId | None,
        after: Position | None,
        channel: str | None,
        ended: Ended | None,
        *,
        events: bool = False,
    ) -> None:
        """Read nothing yet. It ends where `ended` says so and everything before that was given."""
        self.position = after
        self._place: Place | None = None if after is None else place_of_position(after)
        self._store = store
        self._followers = followers
        self._runtime_id = runtime_id
        self._channel = channel
        self._has_ended = ended
        self._events = events
        self._page: deque[OutputEntry] = deque()

    def __aiter__(self) -> Self:
        """An iterator is its own."""
        return self

    async def __anext__(self) -> OutputEntry:
        """The next entry. See `Handle.follow` for what is raised.

        Cancellation: at any time; no entry is lost.
        """
        self._followers.ask(self._runtime_id)
        if self._page:
            await trio.lowlevel.checkpoint()
        while not self._page:
            with self._followers.listen(self._runtime_id) as listening:
                if not await self._read():
                    raise StopAsyncIteration
                if not self._page:
                    await listening.wait()
        entry = self._page.popleft()
        self.position = entry.position
        return entry

    async def _read(self) -> bool:
        """Read up to something that is wanted, or to the end; whether more may come."""
        whole = ended = False
        while not (self._page or whole):
            page, ended = await self._store.read(self._in_one_view)
            if page.entries:
                self._place = place_of_position(page.entries[-1].position)
            self._page.extend(each for each in page.entries if is_wanted(each, self._channel, events=self._events))
            whole, ended = page.whole, ended or page.over
        return bool(self._page) or not ended

    def _in_one_view(self, statements: Statements) -> tuple[reads.OutputPage, bool]:
        page = reads.page(statements, self._runtime_id, self._place)
        return page, self._has_ended is not None and self._has_ended(statements)


def run_ended(statements: Statements, runtime_id: LogicalRuntimeId, run_id: str) -> bool:
    """Whether a run has ended; also where it is gone, or was never there."""
    row = statements.one("output.run", runtime_id=runtime_id, run_id=run_id)
    return row is None or row[0] is not None


def ends_with_run(runtime_id: LogicalRuntimeId, run_id: str) -> Ended:
    """See `run_ended`."""
    return partial(run_ended, runtime_id=runtime_id, run_id=run_id)
