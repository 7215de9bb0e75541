"""Waiting for what comes in streams: at once for this process, by one look for all that others append.

However many follow, one of them looks, once each `Limits.poll_s`, and wakes the others whose streams have moved. When it
leaves, another one takes the turn. There is no task for it, so nothing looks where no task follows.
"""

from __future__ import annotations

from typing import final

import trio

from tenure.persistence.contracts.access import Backend
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.model.events.journal import StreamId

Life = tuple[int, float]
"""Distinguishes a stream from one of the same id that was made after it was deleted."""


@final
class _Waiter:
    """One who waits for a stream to move beyond a cursor, or to end."""

    __slots__ = ("after", "life", "moved", "stream", "woken")

    def __init__(self, stream: StreamId, after: int, life: Life | None) -> None:
        self.stream = stream
        self.after = after
        self.life = life
        self.moved = False
        self.woken = trio.Event()

    def wake(self) -> None:
        self.moved = True
        self.woken.set()


@final
class Following:
    """Those who wait for streams of one store."""

    def __init__(self, store: Backend) -> None:
        """No task waits."""
        self._store = store
        self._waiters: dict[_Waiter, None] = {}  # in the order in which they came
        self._looking: _Waiter | None = None

    def stir(self, stream: StreamId) -> None:
        """This process has written the stream."""
        for waiter in self._waiters:
            if waiter.stream == stream:
                waiter.wake()

    async def wait(self, stream: StreamId, after: int, life: Life | None) -> None:
        """Return when the stream may hold more than `after`, or is another one than `life`.

        Cancellation: at any time; another of those who wait then looks for all.
        """
        waiter = _Waiter(stream, after, life)
        self._waiters[waiter] = None
        try:
            await self._look([waiter])
            while not waiter.moved:
                self._looking = self._looking or waiter
                if self._looking is waiter:
                    with trio.move_on_after(self._store.limits.poll_wait_s):
                        await waiter.woken.wait()
                    if not waiter.moved:
                        await self._look(list(self._waiters))
                else:
                    await waiter.woken.wait()
                waiter.woken = trio.Event()
        finally:
            del self._waiters[waiter]
            if self._looking is waiter:
                self._looking = next(iter(self._waiters), None)
                if self._looking is not None:
                    self._looking.woken.set()

    async def _look(self, waiters: list[_Waiter]) -> None:
        wanted = {each.stream for each in waiters}

        def look(statements: Statements) -> dict[StreamId, list[Row]]:
            # A row that cannot be decoded wakes those who read it, and they find out.
            return {each: statements.readable("journal.head", stream_id=each) for each in wanted}

        found = await self._store.read(look)
        for waiter in waiters:
            if _has_moved(waiter, found[waiter.stream]):
                waiter.wake()


def _has_moved(waiter: _Waiter, rows: list[Row]) -> bool:
    if not rows or rows[0][3] == 0:  # it is not there, or nothing was appended yet
        return waiter.life is not None
    stream, created_at, cursor, _ = rows[0]
    return not isinstance(cursor, int) or cursor > waiter.after or waiter.life not in (None, (stream, created_at))
