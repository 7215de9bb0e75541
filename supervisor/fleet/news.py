"""News: waiting until a read of what is stored finds something, whichever host wrote it."""

from __future__ import annotations

from collections.abc import Callable
from threading import get_ident
from typing import TypeVar, final

import trio

from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.ownership import ownership
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.reading.patience import LOOK_AGAIN_S
from tenure.persistence.store import Store, ground_of

T = TypeVar("T")


@final
class News:
    """That other hosts wrote: the watch says so, and those who wait read again.

    Attributes:
        thread: Of the host's loop.
        on_stir: Called where a look must come soon.
    """

    def __init__(self, store: Store) -> None:
        """No news."""
        self._store = store
        self.thread = get_ident()
        self._came = trio.Event()
        self._stirred = False
        self._hurries = False
        self.on_stir: Callable[[], None] = _nothing

    def stir(self, *, is_hinted: bool = False) -> None:
        """Read the news at the next look even where no host wrote: someone here waits for something new.

        That look comes soon, but where the host that will write it gives a hint (`is_hinted`): then it may be a second.
        """
        self._stirred = True
        if not is_hinted:
            self._hurries = True
            self.on_stir()

    @property
    def hurries(self) -> bool:
        """Whether the next look must come soon."""
        return self._hurries

    def await_of(self, runtime_id: LogicalRuntimeId) -> None:
        """Have other hosts hint at what becomes of a runtime, for someone who waits for that here."""
        ground_of(self._store).hinting.await_of([runtime_id])

    @property
    def stirred(self) -> bool:
        """Whether the next look must read the news."""
        return self._stirred

    def arrive(self) -> None:
        """The news are read: those who wait read again."""
        self._came.set()
        self._came = trio.Event()
        ground_of(self._store).queue_bell.ring()  # some of it may be queued work

    def settle(self) -> None:
        """The news are being read: what stirs from now on asks for the next look."""
        self._stirred = self._hurries = False

    async def wait_for(self, read: Callable[[Statements], T | None]) -> T:
        """Wait until a read of what is stored finds something; it is repeated at once whenever other hosts have written."""
        while True:
            came = self._came
            found = await self._store.read(read)
            if found is not None:
                return found
            with trio.move_on_after(LOOK_AGAIN_S):
                await came.wait()

    async def wait_free(self, runtime_id: LogicalRuntimeId) -> None:
        """Wait until no other living host owns a runtime; this one may, by then."""

        def free(statements: Statements) -> bool | None:
            found = ownership.find_holding(statements, runtime_id)
            return True if found is None or found.owner in (None, ground_of(self._store).host) else None

        self.await_of(runtime_id)
        await self.wait_for(free)


def _nothing() -> None:
    """No watch waits for it."""
