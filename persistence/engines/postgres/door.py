"""What a URL leads to: one store on a server, to be opened or looked into."""

from __future__ import annotations

import time
from typing import Final, NoReturn, final

from attrs import evolve

from tenure.errors import Unsupported
from tenure.persistence.engines.blobs import Blobs
from tenure.persistence.engines.engine import ReadConnection, StoredBytes
from tenure.persistence.engines.listeners import Listeners
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams

from .engine import PostgresEngine
from .opening import script
from .server.clock import ServerClock
from .server.options import postgres_options
from .target import target_of

VERDICT_S: Final = 120.0
"""`Limits.verdict_s` on a server: one that is started again, or failed over, is there before that."""


@final
class PostgresDoor:
    """See `Door`."""

    strongest = DurabilityClass.QUORUM

    def __init__(self, target: str, limits: Limits, seams: Seams) -> None:
        """Raises `InvalidInput` where the target is not the URL of a server, or the options are another engine's."""
        self._target = target_of(target)
        self._options = postgres_options(seams)
        self.limits = limits if limits.verdict_s is not None else evolve(limits, verdict_s=VERDICT_S)
        # A clock that was given is that of a proof, and decides.
        self._clock = ServerClock(decides=seams.wall_clock is time.time)
        self.seams = evolve(seams, wall_clock=self._clock) if self._clock.decides else seams

    @property
    def place(self) -> str:
        """See `Door.place`."""
        return self._target.shown

    def check_new(self) -> None:
        """See `Door.check_new`: a schema is not a link."""

    def engine(self, durability: DurabilityClass | None) -> PostgresEngine:
        """See `Door.engine`."""
        return PostgresEngine(self._target, durability, self.limits, self.seams, self._options, self._clock)

    def look(self) -> PostgresLook:
        """See `Door.look`."""
        return PostgresLook(self.engine(None))

    def back_up(self, _target: str, /) -> NoReturn:
        """See `Door.back_up`."""
        raise Unsupported(what="a backup of a store on a server, which pg_dump and pg_basebackup make,")

    def restore(self, _backup: str, /, *, run_unfinished: bool) -> NoReturn:  # noqa: ARG002 - as `Door` has it
        """See `Door.restore`."""
        raise Unsupported(what="to restore into a server, which pg_restore does,")

    def tables(self) -> str:
        """See `Door.tables`."""
        return script(self._target)

    def cut_log(self) -> NoReturn:
        """See `Door.cut_log`."""
        raise Unsupported(what="to cut the log of a server, which keeps it itself,")


@final
class PostgresLook:
    """See `Look`."""

    def __init__(self, engine: PostgresEngine) -> None:
        """Touch nothing yet."""
        self._engine = engine

    def open(self) -> tuple[ReadConnection, bool]:
        """See `Look.open`. That no host is there is known only where the server was moved beneath them."""
        return self._engine.open_look()

    @property
    def listeners(self) -> Listeners:
        """See `Look.listeners`."""
        return self._engine.listeners

    @property
    def blobs(self) -> Blobs:
        """See `Look.blobs`."""
        return self._engine.blobs

    def free_bytes(self) -> int | None:
        """See `Engine.free_bytes`."""
        return self._engine.free_bytes()

    def stored_bytes(self) -> StoredBytes | None:
        """See `Engine.stored_bytes`."""
        return self._engine.stored_bytes()

    def close(self) -> None:
        """See `Look.close`."""
        self._engine.close()
