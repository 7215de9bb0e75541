"""What a target leads to before anything is open: an engine, a look, a copy. The upper part of the engine's contract."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, final

from attrs import frozen

from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams

from .blobs import Blobs
from .engine import Engine, ReadConnection, StoredBytes
from .listeners import Listeners


class Look(Protocol):
    """Looks into a store from outside, beside hosts or without any; registers no host and commits nothing."""

    def open(self) -> tuple[ReadConnection, bool]:
        """A connection, and whether no host had the store open when the look began. Raises what preflight finds."""
        ...

    @property
    def listeners(self) -> Listeners:
        """Those who wait for what is written. Once it is open."""
        ...

    @property
    def blobs(self) -> Blobs:
        """Where the bytes of attachments stand, to be read. Once it is open."""
        ...

    def free_bytes(self) -> int | None:
        """See `Engine.free_bytes`."""
        ...

    def stored_bytes(self) -> StoredBytes | None:
        """See `Engine.stored_bytes`."""
        ...

    def close(self) -> None:
        """Give up locks."""
        ...


@final
@frozen(kw_only=True, slots=True)
class Copy:
    """What was copied.

    Attributes:
        path: The new file.
        size: Its length in bytes.
        schema_version: Version of the schema.
        last_fence_token: The last token that was minted; raised in a restored store.
        rows: Rows by table.
        held: Runtimes that a restore held, because a run of theirs was unfinished; none in a backup.
    """

    path: str
    size: int
    schema_version: int
    last_fence_token: int
    rows: Mapping[str, int]
    held: int = 0


class Copying(Protocol):
    """Copies a store, or makes a new one of a copy. `stop` may be called from another thread."""

    def copy(self) -> Copy:
        """Make it; whole, or nothing of it is left. What a copy that was stopped raises says nothing more."""
        ...

    def stop(self) -> None:
        """Have `copy` end soon."""
        ...


@final
@frozen(kw_only=True, slots=True)
class LogCut:
    """What was done to a damaged log.

    Attributes:
        cut: Whether the log was damaged, and is cut off; else nothing was changed.
        last_fence_token: The last token that was minted; raised by 2**32 where the log was cut, so that no token that was
            minted in the part that is lost is minted again.
    """

    cut: bool
    last_fence_token: int


class Door(Protocol):
    """What a target leads to before anything is open: one store of one engine. Making it touches nothing."""

    @property
    def seams(self) -> Seams:
        """Those of a store there. Its wall clock shows what is stored: on a server the server's time, where none was given."""
        ...

    @property
    def limits(self) -> Limits:
        """The limits of a host: those that were given, and the engine's own where nothing was."""
        ...

    @property
    def strongest(self) -> DurabilityClass:
        """The strongest class that a store there may have."""
        ...

    @property
    def place(self) -> str:
        """Where it leads to, as errors name it: without a password."""
        ...

    def check_new(self) -> None:
        """Look at the name where a store is to be made. Raises `CannotOpen` for a link that leads nowhere."""
        ...

    def engine(self, durability: DurabilityClass | None) -> Engine:
        """The engine of a host, which gives this class; None: the strongest that it finds there."""
        ...

    def look(self) -> Look:
        """A look."""
        ...

    def back_up(self, target: str, /) -> Copying:
        """A copy of this store into a new file. Raises `Unsupported` from an engine whose own tools do that."""
        ...

    def restore(self, backup: str, /, *, run_unfinished: bool) -> Copying:
        """Make this store, which may not exist, of a copy. Raises `Unsupported` as `back_up`."""
        ...

    def tables(self) -> str:
        """SQL that makes the tables of a new store, as its first open does. Raises `Unsupported` from an engine of files."""
        ...

    def cut_log(self) -> LogCut:
        """Cut a damaged log off. Raises `Unsupported` from an engine that keeps its log itself; and what opening raises."""
        ...


MakeDoor = Callable[[str, Limits, Seams], Door]
"""Makes the door to a target of one engine."""
