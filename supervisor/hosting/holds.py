"""Holds by people, as a host keeps to them: what they keep from beginning waits, and goes on when they end (design §20).

The commit that would begin a run asks for a hold, so nothing begins after one, from whichever process it was placed. A
runtime that was kept from it is noted here, and looked at again when a hold ends in this process, or, with the news of other
hosts, anywhere.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, final

from tenure.errors import InvalidInput
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.records.holds import EndHold, OnHold, PlaceHold, on_hold
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.store import Store

from .actors import Actors
from .mending import Mending
from .owned import Owned

NOTE_LIMIT: Final = 1_000
"""Most characters of the note of a hold."""


def check_note(note: str) -> str:
    """The note of a hold. Raises `InvalidInput` where it is too long."""
    if len(note) > NOTE_LIMIT:
        raise InvalidInput(detail=f"a note has at most {NOTE_LIMIT} characters", field="note")
    return note


@final
class Holds:
    """What people have put on hold, in one host."""

    def __init__(self, store: Store, owned: Owned, actors: Actors, moved: Callable[[], None], mending: Mending) -> None:
        """Nothing is kept. `moved` hears that times have been moved, or wait no more."""
        self._store = store
        self._owned = owned
        self._actors = actors
        self._moved = moved
        self._mending = mending
        self._kept: set[LogicalRuntimeId] = set()
        self._seen = OnHold(runtimes={}, kinds={})

    def keep(self, runtime_id: LogicalRuntimeId) -> None:
        """A runtime of this host would have begun a run, and a hold keeps it from that."""
        self._kept.add(runtime_id)

    async def place(self, runtime_id: LogicalRuntimeId | None, kind: str | None, note: str) -> bool:
        """Put on hold; on disk when this returns. Whether it was not."""
        change = PlaceHold(runtime_id=runtime_id, kind=kind, note=note)
        return bool((await self._store.commit(Commit(changes=(change,)))).values[0])

    async def end(self, runtime_id: LogicalRuntimeId | None, kind: str | None) -> bool:
        """End a hold; on disk when this returns. Whether there was one."""
        change = EndHold(runtime_id=runtime_id, kind=kind)
        ended = bool((await self._store.commit(Commit(changes=(change,)))).values[0])
        self.hear(await self._store.read(on_hold))
        if ended:
            self._moved()  # one that was placed and ended here between two looks is never seen
        return ended

    def hear(self, found: OnHold) -> None:
        """Let go on what no hold keeps any more; this is what is stored now."""
        if found != self._seen:
            self._seen = found
            self._moved()
        for runtime_id in [*self._kept]:
            facts = self._owned.find(runtime_id)
            if facts is not None and found.keeps(runtime_id, facts.kind):
                continue
            self._kept.discard(runtime_id)
            if facts is not None:
                with self._mending.net(runtime_id):
                    facts.on_hold = False
                    self._actors.of(facts).wake()
