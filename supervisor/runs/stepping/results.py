"""Results of recorded steps, read as a run that enters again reaches them (design §18).

A run may have recorded more than fits into memory, and may not come back to most of it. So its entries are read without their
long results, and these a window at a time: those of the next entries in the order of recording, in which most are asked for.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Final, final

from tenure.errors import Unreadable
from tenure.persistence.facets.runs import entries
from tenure.persistence.facets.runs.entries import RecordedEntry
from tenure.persistence.reading.patience import patiently
from tenure.persistence.store import Store
from tenure.supervisor.runs.recording.attention import NeedsAttention

WINDOW_COUNT: Final = 256
"""Most results that are read together."""

WINDOW_BYTES: Final = 256 * 1024
"""Most bytes of them, but for one that is longer by itself."""


@final
class Results:
    """The results of one run's steps that it has not reached yet."""

    def __init__(self, store: Store, run: int, recorded: Sequence[RecordedEntry]) -> None:
        """Nothing is read yet; `recorded` is in the order of recording."""
        self._store = store
        self._run = run
        self._apart: list[RecordedEntry] = []
        self._number: dict[str, int] = {}
        self._read: dict[str, bytes] = {}
        for entry in recorded:
            if entry.apart is not None:
                self._number[entry.place] = len(self._apart)
                self._apart.append(entry)

    def at_hand(self, entry: RecordedEntry) -> bytes | None:
        """The result of an entry where it was read already; given out once."""
        if entry.apart is None:
            return entry.result or b"null"
        return self._read.pop(entry.place, None)

    async def read(self, entry: RecordedEntry) -> bytes:
        """The result of an entry, read with those that are recorded after it.

        Raises:
            NeedsAttention: It cannot be read: no fault of the behaviour, and what it did may not be done again.
        """
        found = self.at_hand(entry)
        if found is not None:
            return found
        window = self._window(self._number[entry.place])
        try:
            read = await patiently(lambda: self._store.read(partial(entries.results, run=self._run, left=window)))
        except Unreadable as exc:
            message = f"what the run recorded cannot be read: {exc}"
            raise NeedsAttention(message) from exc
        # In place of what was read before and not reached: calls may be asked for in any order, and memory is bounded.
        self._read = {each.place: result for each, result in zip(window, read, strict=True)}
        return self._read.pop(entry.place)

    def _window(self, first: int) -> list[RecordedEntry]:
        window: list[RecordedEntry] = []
        size = 0
        for entry in self._apart[first : first + WINDOW_COUNT]:
            size += 0 if entry.apart is None else entry.apart.size
            if window and size > WINDOW_BYTES:
                break
            window.append(entry)
        return window
