"""What a path leads to: one SQLite store, to be opened, looked into or copied."""

from __future__ import annotations

from collections.abc import Callable
from typing import NoReturn, final

from tenure.errors import CannotOpen, Unsupported
from tenure.persistence.engines.door import (
    Copy,
    LogCut,
)
from tenure.persistence.engines.sqlite.copies.backup import Copier
from tenure.persistence.engines.statements import load_statements
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams

from .engine import SqliteEngine
from .looking import SqliteLook, check_store
from .opening.preflight import mapped_os_errors
from .opening.target import (
    MEMORY,
    check_leads_somewhere,
    new_path_of,
    path_of,
)
from .options import sqlite_options


@final
class SqliteDoor:
    """See `Door`."""

    def __init__(self, target: str, limits: Limits, seams: Seams) -> None:
        """Raises `InvalidInput` where the target is not a path, or the options are another engine's."""
        self._target = target
        self._path = path_of(target)
        self._options = sqlite_options(seams)
        self.limits = limits
        self.seams = seams

    @property
    def strongest(self) -> DurabilityClass:
        """See `Door.strongest`."""
        return DurabilityClass.MEMORY if self._path == MEMORY else DurabilityClass.DISK

    @property
    def place(self) -> str:
        """See `Door.place`."""
        return self._path

    def check_new(self) -> None:
        """See `Door.check_new`."""
        check_leads_somewhere(self._target)

    def engine(self, durability: DurabilityClass | None) -> SqliteEngine:
        """See `Door.engine`."""
        return SqliteEngine(self._path, load_statements(), durability or self.strongest, self.limits, self.seams)

    def look(self) -> SqliteLook:
        """See `Door.look`."""
        return SqliteLook(self._path, self.engine(DurabilityClass.DISK), self.seams)

    def back_up(self, target: str, /) -> SqliteCopying:
        """See `Door.back_up`."""
        copier, made = self._copier(), new_path_of(target)
        return SqliteCopying(copier, lambda: copier.backup(self._path, made))

    def restore(self, backup: str, /, *, run_unfinished: bool) -> SqliteCopying:
        """See `Door.restore`."""
        copier, brought, made = self._copier(), path_of(backup), new_path_of(self._target)
        return SqliteCopying(copier, lambda: copier.restore(brought, made, run_unfinished=run_unfinished))

    def tables(self) -> NoReturn:
        """See `Door.tables`."""
        raise Unsupported(what="SQL that makes a file, which its first open makes,")

    def cut_log(self) -> LogCut:
        """See `Door.cut_log`."""
        engine = SqliteEngine(
            self._path, load_statements(), DurabilityClass.DISK, self.limits, self.seams, cut_damage=True
        )
        with mapped_os_errors(self._path):
            check_store(self._path, self._options.files, self._options.vfs)
        connection = engine.open()
        try:
            if not engine.alone:
                detail = "hosts have it open; a log that they go on in is not damaged"
                raise CannotOpen(path=self._path, detail=detail)
            row = connection.one("ownership.last_token")
        finally:
            connection.close(checkpoint=False)
            engine.close()
        return LogCut(cut=engine.has_cut, last_fence_token=row[0] if row else 0)

    def _copier(self) -> Copier:
        return Copier(self._options.files, self._options.locks, self.limits.busy_s, self.seams.random)


@final
class SqliteCopying:
    """See `Copying`."""

    def __init__(self, copier: Copier, make: Callable[[], Copy]) -> None:
        """Make nothing yet."""
        self._copier = copier
        self._make = make

    def copy(self) -> Copy:
        """See `Copying.copy`."""
        return self._make()

    def stop(self) -> None:
        """See `Copying.stop`."""
        self._copier.stop()
