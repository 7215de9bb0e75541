"""The conversation of a run, as its behaviour sees it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, final

from tenure.persistence.facets.conversation.sessions import path_to
from tenure.persistence.facets.runs.runs import RunBegun
from tenure.persistence.model.codec import encode, message_of
from tenure.persistence.store import Store

from .entering import Entering


@final
class RunSession:
    """What stood when the run began, and what the run appends.

    In a branch of `gather`, `map` or `first`: what the branch appends, after what stood when it began.

    Attributes:
        appended: What this run appended so far, in order; without that of branches that have not ended.
        landed: How many of these are on disk.
    """

    def __init__(self, store: Store, begun: RunBegun, entering: Entering, check_open: Callable[[], None]) -> None:
        """Made by `Run`; `check_open` raises once the run is over."""
        self._store = store
        self._entering = entering
        self._check_open = check_open
        self._base = begun.base
        self._base_count = begun.base_count
        self.appended: list[bytes] = entering.record.main.appended
        self.landed = 0

    @property
    def count(self) -> int:
        """Messages on the path, with those that this run appended so far."""
        return self._base_count + len(self._seen())

    def append(self, message: object) -> None:
        """Append a message: bytes as they are, anything else as JSON. It lands with the next boundary of the run.

        Raises:
            InvalidInput: The message has no JSON form; or a step with ``call=`` is in flight beside it.
            RunEnded: The run is over.
        """
        self._check_open()
        encoded = message if isinstance(message, bytes) else encode(message, "message")
        self._entering.buffers("a message").appended.append(encoded)

    async def raw_messages(self) -> list[bytes]:
        """The path as bytes, first to last, with what this run appended. Reads the whole conversation.

        Raises:
            RunEnded: The run is over.
        """
        self._check_open()
        return [
            *await self._store.read(lambda statements: path_to(statements, self._base, self._base_count)),
            *self._seen(),
        ]

    async def messages(self) -> list[Any]:
        """The path, first to last, with what this run appended. Reads the whole conversation.

        JSON is decoded, and bytes that are no JSON are bytes.

        Raises:
            RunEnded: The run is over.
        """
        return [message_of(message) for message in await self.raw_messages()]

    def _seen(self) -> list[bytes]:
        branch, seen = self._entering.branch, list[bytes]()
        while branch.around is not None:
            seen = [*branch.appended, *seen]
            branch = branch.around
        return [*branch.appended, *seen]
