"""What a server keeps of what it acknowledges, by its settings: the class of a store.

`disk` where COMMIT waits for its own disk, `quorum` where it waits for those of its synchronous standbys too. Who asked for
`quorum`, or found it, writes nothing while the server gives less.
"""

from __future__ import annotations

from typing import Any, Final, LiteralString, final

import psycopg
from attrs import frozen

from tenure.errors import WeakDurability
from tenure.persistence.model.values import DurabilityClass

KEPT_BY: Final = ("fsync", "full_page_writes")
"""Settings of the whole server without which it forgets what it has acknowledged. It may have been started anew with others."""

STANDBYS: Final = "current_setting('synchronous_standby_names') <> ''"
"""Whether there are standbys that COMMIT waits for. It changes beneath a connection when the server reloads its settings."""

KEEPING: Final = ("current_setting('fsync')", "current_setting('full_page_writes')", STANDBYS)
"""Asks for what `Keeping` is made of, together with `commit_setting`."""

_WAITS_FOR_STANDBYS: Final = ("on", "remote_apply")


def commit_setting(asked: DurabilityClass | None) -> LiteralString:
    """Sets what COMMIT waits for, on a connection that writes: a setting that is strong enough stays."""
    if asked is DurabilityClass.QUORUM:
        weaker, least = "'off', 'local', 'remote_write'", "on"
    else:
        weaker, least = "'off'", "local"
    setting = "current_setting('synchronous_commit')"
    return (
        f"set_config('synchronous_commit', CASE WHEN {setting} IN ({weaker}) THEN '{least}' ELSE {setting} END, false)"
    )


def class_of(connection: psycopg.Connection) -> DurabilityClass:
    """What is acknowledged on a connection that writes. Raises `psycopg.Error`."""
    setting = "current_setting('synchronous_commit')"
    row: Any = connection.execute(f"SELECT {', '.join((*KEEPING, setting))}".encode()).fetchone()
    return Keeping(*row).gives


@final
@frozen(slots=True)
class Keeping:
    """What a connection that writes was answered.

    Attributes:
        fsync: ``on``, or ``off``.
        full_page_writes: The same.
        standbys: Whether COMMIT waits for any.
        commit: What it waits for.
    """

    fsync: str
    full_page_writes: str
    standbys: bool
    commit: str

    @property
    def gives(self) -> DurabilityClass:
        """The class of what it acknowledges."""
        waits = self.standbys and self.commit in _WAITS_FOR_STANDBYS
        return DurabilityClass.QUORUM if waits else DurabilityClass.DISK

    def check(self, asked: DurabilityClass | None) -> None:
        """Raises `WeakDurability` where it keeps less than `asked`; None: than a disk does."""
        least = asked or DurabilityClass.DISK
        given: Any = (self.fsync, self.full_page_writes)
        for name, value in zip(KEPT_BY, given, strict=True):
            if value != "on":
                raise WeakDurability(asked=least, given=f"{name} = {value}")
        if not self.gives.covers(least):
            raise WeakDurability(asked=least, given=f"{self.gives}, as synchronous_standby_names is empty,")
