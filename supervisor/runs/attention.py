"""What of a run a person must look at: its runtime is held."""

from __future__ import annotations

from tenure.persistence.facets.runs.entries import DoubtEntries
from tenure.persistence.model.values import HeldReason


class NeedsAttention(Exception):
    """The run cannot go on until a person has looked: its runtime is held.

    Attributes:
        doubt: What marks the steps that must not run twice and may have run, where it is for these; stands in the commit
            of the hold.
        reason: Why the runtime is held.
    """

    def __init__(
        self, detail: str, doubt: DoubtEntries | None = None, reason: HeldReason = HeldReason.NEEDS_ATTENTION
    ) -> None:
        """Say what to look at."""
        super().__init__(detail)
        self.doubt = doubt
        self.reason = reason
