"""What a contract needs of a store: one way to write and one to read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, TypeVar

from tenure.persistence.commits.commit import (
    Commit,
    CommitResult,
)
from tenure.persistence.engines.engine import Statements

T = TypeVar("T")


class Access(Protocol):
    """An open store."""

    async def commit(self, commit: Commit, /) -> CommitResult:
        """See `Store.commit`."""
        ...

    async def read(self, read: Callable[[Statements], T], /) -> T:
        """See `Store.read`."""
        ...
