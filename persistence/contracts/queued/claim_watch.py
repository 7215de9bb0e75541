"""What one open store has seen of the claims on queued work: which of them stood still for as long as they hold.

A claim is judged by the observer's own boot clock, from its first look on, and by nothing that is stored: a wall clock that
jumps frees none (design §10). The writer compares the mark of what is judged here, so that a claim which was renewed meanwhile
stays where it is.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final, final

from tenure.persistence.facets.queue.claims import StoredClaim
from tenure.persistence.facets.queue.queue import Mark

SESSIONS_WATCHED: Final = 4_096
"""Sessions whose claims are remembered; of one that was forgotten, the next look is the first."""


_NONE: Final[frozenset[Mark]] = frozenset()


@final
class ClaimWatch:
    """The claims of each session, and since when each has not been renewed. Only in memory."""

    def __init__(self, boot_clock: Callable[[], float]) -> None:
        """Nothing was seen yet."""
        self._clock = boot_clock
        self._seen: OrderedDict[str, dict[Mark, float]] = OrderedDict()  # when each has lapsed

    def lapsed(self, session_id: str) -> frozenset[Mark]:
        """The claims on work of a session that stood still for as long as they hold."""
        seen = self._seen.get(session_id)
        if not seen:
            return _NONE
        now = self._clock()
        lapsed = [mark for mark, lapse in seen.items() if lapse <= now]
        return frozenset(lapsed) if lapsed else _NONE

    def next_lapse_s(self) -> float | None:
        """Seconds until the next claim stood still for as long as it holds; None where none is seen that has not."""
        now = self._clock()
        lapses = [lapse - now for seen in self._seen.values() for lapse in seen.values()]
        return min([lapse for lapse in lapses if lapse > 0], default=None)

    def note(self, session_id: str, claims: Iterable[StoredClaim]) -> None:
        """Take down the claims of a session as they were just seen."""
        before = self._seen.pop(session_id, {})
        now = self._clock()
        noted = {(mark := claim.mark): before.get(mark, now + claim.ttl_ms / 1000) for claim in claims}
        if noted:
            self._seen[session_id] = noted
        while len(self._seen) > SESSIONS_WATCHED:
            self._seen.popitem(last=False)
