"""What follows the work that a worker has of a session, as far as this host knows."""

from __future__ import annotations

from typing import final

from attrs import define

from tenure.persistence.facets.queue.heads import Head
from tenure.persistence.facets.queue.serving import Served


@final
@define(eq=False, slots=True)
class Following:
    """Of a session with one claim, which is on its way or held.

    Attributes:
        head: What follows the claim; None before it has its answer, and where nothing does.
    """

    head: Head | None = None
    _first: Head | None = None
    _last: Head | None = None
    _asked: bool = True

    def queued(self, head: Head) -> None:
        """A batch was queued in this process."""
        if self._asked:  # whether the claim takes it, or has seen it, its answer says
            self._first = self._first or head
            self._last = head
        elif self.head is None:
            self.head = head

    def ask(self) -> None:
        """What follows the claim is about to be claimed."""
        self._asked = True

    def claimed(self, served: Served) -> None:
        """The claim has its answer."""
        self._asked, self.head = False, served.following
        first, last = self._first, self._last
        self._first = self._last = None
        if self.head is None and served.claim is not None and first is not None and last is not None:
            # Queued after the claim, in the group that it landed in or since: it was heard of before this answer.
            newest = served.claim.batches[-1].enqueue_seq
            self.head = first if first.batch > newest else last if last.batch > newest else None
