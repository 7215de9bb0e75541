"""What an engine does for files that are its own, between two groups: an engine over a server has nothing of it."""

from __future__ import annotations

from typing import Protocol


class Housekeeping(Protocol):
    """Keeps log and pages in order. Called on the executor of the connection that writes, where nothing else is said."""

    @property
    def is_due(self) -> bool:
        """Whether the log has grown so far that `checkpoint` should run before the next group."""
        ...

    @property
    def log_pages(self) -> int:
        """How long the log is, in pages. May be asked from any thread."""
        ...

    @property
    def log_held(self) -> bool:
        """Whether something, a reader say, has long kept the log from being begun anew. May be asked from any thread."""
        ...

    def checkpoint(self) -> None:
        """Move what the log holds into the database. Raises `UnknownOutcome`."""
        ...

    def make_room(self) -> bool:
        """On a full disk: free what the log takes, if that can be done; whether anything was freed. Raises `UnknownOutcome`."""
        ...

    @property
    def size_bytes(self) -> int:
        """How large the database is, without its log."""
        ...

    def rewrite(self, most_bytes: int, /) -> bool:
        """Write every page anew, so that none holds bytes of rows that are gone. Raises `UnknownOutcome`.

        False, and nothing is done: the database is larger than `most_bytes`, there is no room, or another process writes.
        """
        ...

    def empty_log(self) -> bool:
        """Move the log into the database and cut it to nothing. Raises `UnknownOutcome`.

        False where a reader, or another process, is in the way; what could be moved is.
        """
        ...
