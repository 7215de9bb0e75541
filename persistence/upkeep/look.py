"""Looking into a store from outside: beside hosts that run, or without any.

A look registers no host, takes nothing over and commits nothing. What it must do to the files before it reads is the engine's
(`Look` in `tenure.persistence.engines.engine`).
"""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from typing import Final, TypeVar, final

import trio

from tenure.errors import Internal
from tenure.persistence.engines.choice import door_to
from tenure.persistence.engines.door import Look as EngineLook
from tenure.persistence.engines.engine import (
    ReadConnection,
    Statements,
    UnknownOutcome,
)
from tenure.persistence.engines.listeners import GLANCE_S
from tenure.persistence.engines.opening import open_when_free
from tenure.persistence.engines.sealing.engine import SealedLook
from tenure.persistence.reading.readers import in_views
from tenure.persistence.seams.executors import (
    Executor,
    run_to_the_end,
)
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams

T = TypeVar("T")

LOCKED_S: Final = 1.0
"""Most seconds that a look waits for who has the store for moments: a host, or another look, that opens or closes it."""


@final
class Look:
    """A store that is looked into. Made by `look_into`.

    Attributes:
        blobs: Where the bytes of attachments stand, to be read.
        alone: Whether no host had the store open when the look began: then every host that is written there is dead.
        free_bytes: See `Engine.free_bytes`.
        stored_bytes: See `Engine.stored_bytes`.
        now: The time by which the store goes, unix seconds: that of its server, where it is on one.
    """

    def __init__(
        self,
        connection: ReadConnection,
        executor: Executor,
        engine: EngineLook,
        limits: Limits,
        now: Callable[[], float],
        *,
        alone: bool,
    ) -> None:
        """Bind to an open connection and the thread that owns it."""
        self.alone = alone
        self.blobs = engine.blobs
        self.free_bytes = engine.free_bytes
        self.stored_bytes = engine.stored_bytes
        self.now = now
        self._listeners = engine.listeners
        self._limits = limits
        self._connection = connection
        self._executor = executor

    async def read(self, read: Callable[[Statements], T]) -> T:
        """Run a sync function over one consistent view.

        Raises what it raises, `Contended` where views are lost, and `CannotOpen` where a role of a server may not read that.
        """
        return await run_to_the_end(self._executor, lambda: in_views(lambda: self._in_one_view(read)))

    @contextmanager
    def listening(self, what: str) -> Generator[None]:
        """Let hosts know that this is waited for; see `Listeners`."""
        self._listeners.begin(what)
        try:
            yield
        finally:
            self._listeners.end(what)

    async def wait_stirred(self) -> None:
        """Wait until the store may have been written since this was awaited last; at most `Limits.poll_s`."""
        with trio.move_on_after(self._limits.poll_wait_s):
            while not self._listeners.stirred():  # noqa: ASYNC110 - another process sets no event
                await trio.sleep(GLANCE_S)

    def _in_one_view(self, read: Callable[[Statements], T]) -> T:
        self._connection.begin_read()
        try:
            return read(self._connection)
        except UnknownOutcome as exc:
            raise Internal(detail=f"read failed: {exc}") from exc
        finally:
            self._connection.end_read()


@asynccontextmanager
async def look_into(
    target: str | os.PathLike[str], *, limits: Limits | None = None, seams: Seams | None = None
) -> AsyncGenerator[Look]:
    """Open a store to read, whether or not hosts have it open.

    Args:
        target: See `open_store`.
        limits: See `open_store`.
        seams: See `open_store`.

    Raises:
        CannotOpen: There is no such file, no permission, or a file with several names.
        NotADatabase: It is not a store, or empty.
        SchemaMismatch: It is of another version; looking migrates nothing.
        StoreLocked: A host has it for itself, for longer than `LOCKED_S`.
        NetworkFileSystem: The file is on one, as far as the system says.
        DiskFull: There is no room for the copy of the log that an open makes where it is alone.
        StoreBroken: An I/O error.
        Contended: A server cannot be reached for so long.
        InvalidInput, Unsupported: No path of a store.
    """
    limits, seams = limits or Limits(), seams or Seams()
    door = door_to(target, limits, seams)
    engine = SealedLook(door.look(), seams.codec)
    executor = seams.reader_executor()

    try:
        connection, alone = await open_when_free(executor, engine.open, min(limits.busy_s, LOCKED_S))
        try:
            yield Look(connection, executor, engine, limits, door.seams.wall_clock, alone=alone)
        finally:
            await run_to_the_end(executor, connection.close)
    finally:
        await run_to_the_end(executor, engine.close)
        executor.close()
