"""Who looks into a store from below its verbs: a proof, or a test."""

from __future__ import annotations

from typing import Protocol


class Observer(Protocol):
    """Gets the inside of each store that opens with these seams."""

    def opened(self, inside: object, /) -> None:
        """A store is open; `inside` is its `Inside`, of `tenure.persistence.writing.inside`. May not raise."""
        ...
