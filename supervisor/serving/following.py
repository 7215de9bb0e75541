"""What follows the work that workers have of a session, as far as this host knows."""

from __future__ import annotations

from typing import final

from attrs import define, field

from tenure.persistence.facets.queue.heads import Head
from tenure.persistence.facets.queue.serving import Served


@final
@define(eq=False, slots=True)
class Following:
    """Of a session with a claim that is on its way or held, or with several of them.

    Attributes:
        head: What follows the claims; None before they have their answers, where nothing does, and where it is in the queue
            of heads by now.
        held: The claims that workers have here.
        done: Those of them that a turn has completed since.
        kept: How many places of the session are not this host's.
    """

    head: Head | None = None
    held: set[str] = field(factory=set[str])
    done: set[str] = field(factory=set[str])
    kept: int = 0
    _first: Head | None = None
    _last: Head | None = None
    _newest: int = 0
    _asked: int = 1

    def queued(self, head: Head) -> None:
        """A batch was queued in this process."""
        if self._asked:  # whether a claim takes it, or has seen it, its answer says
            self._first = self._first or head
            self._last = head
        elif self.head is None and head.batch > self._newest:  # else it is a batch of a claim, which was queued again
            self.head = head

    def ask(self) -> None:
        """What follows is about to be claimed."""
        self._asked += 1
        self.head = self._first = self._last = None

    def missed(self) -> None:
        """It was not claimed: another host was first, or there was no way. A look says what is there."""
        self._asked -= 1
        self.head = None

    def forget(self, claim_id: str) -> None:
        """A worker has ended with a claim."""
        self.held.discard(claim_id)
        self.done.discard(claim_id)

    def claimed(self, served: Served) -> None:
        """A claim has its answer."""
        self._asked -= 1
        self.head, self.kept = served.following, served.kept
        first, last = self._first, self._last
        if served.claim is not None:
            self.held.add(served.claim.claim_id)
            newest = self._newest = max(self._newest, served.claim.batches[-1].enqueue_seq)
            if self.head is None and first is not None and last is not None:
                # Queued after the claim, in the group that it landed in or since: it was heard of before this answer.
                self.head = first if first.batch > newest else last if last.batch > newest else None
        if not self._asked:
            self._first = self._last = None
