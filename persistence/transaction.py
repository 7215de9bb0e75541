"""What a facet sees while its changes are applied: one commit inside one group."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from typing import Any, TypeVar, final

from .engines.engine import WriteConnection
from .limits import Limits
from .values import DurabilityClass

T = TypeVar("T")


@final
class Transaction:
    """Named statements, the facts of the group, and the records that this commit has in hand.

    A record (a runtime, a session, a run) is loaded at most once a commit, changed in memory and written once, when the
    commit's changes have all been applied. A commit that fails forgets its records with its savepoint.

    Attributes:
        host: Key of this host's row.
        group: Number of the group.
        now: The store's wall clock when the group began, unix seconds.
        durability: Class of the group, for receipts.
        limits: The store's limits.
        room: By runtime, how many inputs surely still fit into its inbox; kept for the whole group.
    """

    __slots__ = ("_dirty", "_records", "all", "durability", "group", "host", "limits", "now", "one", "room", "run")

    def __init__(
        self,
        connection: WriteConnection,
        *,
        host: int,
        group: int,
        now: float,
        durability: DurabilityClass,
        limits: Limits,
    ) -> None:
        """Bind one group's facts to the connection that writes it."""
        self.one = connection.one
        self.all = connection.all
        self.run = connection.run
        self.host = host
        self.group = group
        self.now = now
        self.durability = durability
        self.limits = limits
        self.room: dict[int, int] = {}
        self._records: dict[Hashable, Any] = {}
        self._dirty: dict[Hashable, Callable[[], None]] = {}

    def record(self, key: Hashable, load: Callable[[], T]) -> T:
        """The record under `key`, loaded the first time that this commit asks for it."""
        found: T | None = self._records.get(key)
        if found is None:
            found = self._records[key] = load()
        return found

    def write_later(self, key: Hashable, write: Callable[[], None]) -> None:
        """Write the record under `key` once the commit's changes are applied; asking twice writes once."""
        self._dirty[key] = write

    def flush(self) -> None:
        """Write what was asked for and forget the records: the end of a commit."""
        for write in self._dirty.values():
            write()
        self.forget()

    def forget(self) -> None:
        """Drop records and pending writes: the commit failed, or has ended."""
        self._records.clear()
        self._dirty.clear()
