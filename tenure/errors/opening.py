"""What who opens a store meets: the file, the server or the system does not let it be opened as was asked."""

from __future__ import annotations

from typing import final

from .base import StoreError


@final
class StoreLocked(StoreError):
    """Another host has the store open in a way that leaves no room for this one.

    No caller's mistake: close the other host, or open again when it has ended. `Contended` is a lock of moments in an
    open store, `RuntimeOwned` is one runtime.

    Fields: the file and the host that has it, as far as that is known.
    """

    retryable = True
    message = "the store {path!r} is in use by {holder!r}; close that host first"
    path: str
    holder: str


@final
class CannotOpen(StoreError):
    """The system does not let the file be opened: a missing folder, no permission, a read-only disk; or a server refuses us.

    The installation's side: nothing was touched. Correct the path or its permissions. `NotADatabase` is a file that
    was opened and is not ours, `StoreLocked` one that another host has.
    """

    message = "{path!r} cannot be opened: {detail}; correct the path or its permissions"
    path: str
    detail: str


@final
class NotADatabase(StoreError):
    """The file is not a database, or one that this library did not make.

    The caller's side: check the path. `SchemaMismatch` is a file of ours in another version, `Corrupt` a file of
    ours that is damaged.
    """

    message = "{path!r} is not a tenure store: {detail}; check the path"
    path: str
    detail: str


@final
class WeakDurability(StoreError):
    """The settings found give a weaker durability than was asked for.

    The installation's side: the store never acknowledges above what it can keep. Ask for less, or put the file
    where more can be had. `NetworkFileSystem` is one such place, refused outright.
    """

    message = "durability {asked!s} was asked for and only {given!s} can be given; ask for less or move the file"
    asked: str
    given: str


@final
class UnsafeSqlite(StoreError):
    """The SQLite library is of a version known to lose data, or lacks what is relied on.

    The installation's side: install another version. `WeakDurability` is a matter of settings.
    """

    message = "SQLite {version} is not safe for this store; install a newer one"
    version: str


@final
class NetworkFileSystem(StoreError):
    """The path is on a file system whose locks and syncs cannot be relied on.

    The installation's side: put the file on a local disk, or use a PostgreSQL store. `WeakDurability` is a local
    file with weak settings.
    """

    message = "{path!r} is on a network file system ({kind}); use a local disk or PostgreSQL"
    path: str
    kind: str


@final
class StorePromoted(StoreError):
    """The store was promoted to another place, and is closed for good: no host opens it any more.

    The installation's side: give the hosts the other place. A look still reads what stands here, as it was then.
    `PromotionUnfinished` is the other end of a promotion that was cut off.

    Fields: where the store is now, without a password.
    """

    message = "the store was promoted: it is at {place!r} now, and this one is closed for good; open that one"
    place: str


@final
class PromotionUnfinished(StoreError):
    """The store is the target of a promotion that is not at its end: it may not be whole, and no host opens it.

    The installation's side: run ``tenure promote`` with the same source and target again, which ends it; or remove what
    is here. The source is open, or says by `StorePromoted` that this is its place.

    Fields: where the store comes from, without a password.
    """

    message = "the store of {place!r} is being promoted to this one, which is not whole; run `tenure promote` again"
    place: str
