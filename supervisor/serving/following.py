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
        done: The claim that a turn has completed since.
    """

    head: Head | None = None
    done: str | None = None
    _first: Head | None = None
    _last: Head | None = None
    _newest: int = 0
    _asked: bool = True

    def queued(self, head: Head) -> None:
        """A batch was queued in this process."""
        if self._asked:  # whether the claim takes it, or has seen it, its answer says
            self._first = self._first or head
            self._last = head
        elif self.head is None and head.batch > self._newest:  # else it is a batch of the claim, which was queued again
            self.head = head

    def ask(self) -> None:
        """What follows the claim is about to be claimed."""
        self._asked = True

    def claimed(self, served: Served) -> None:
        """The claim has its answer."""
        self._asked, self.done, self.head = False, None, served.following
        first, last = self._first, self._last
        self._first = self._last = None
        if served.claim is not None:
            newest = self._newest = served.claim.batches[-1].enqueue_seq
            if self.head is None and first is not None and last is not None:
                # Queued after the claim, in the group that it landed in or since: it was heard of before this answer.
                self.head = first if first.batch > newest else last if last.batch > newest else None
