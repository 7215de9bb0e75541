"""A connection of psycopg's that does not wait for ever for a server, or something between, which says nothing any more.

Keepalives of TCP find a machine or network that is gone. A proxy that stands still answers them.
"""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, Final, TypeVar, final

import psycopg

from tenure.persistence.engines.postgres.server.pooling import Session

T = TypeVar("T")

LONG_S: Final = 600.0
"""Seconds for a statement that writes, or reads, as many rows as there are."""

SILENCE_S: Final = 30.0
"""Seconds after which a server that says nothing counts as lost; a new connection asks for the verdict."""


@final
class PatientConnection(psycopg.Connection):
    """See `psycopg.Connection`. One that hears nothing for so long is lost: closed, with a `psycopg.OperationalError`.

    Attributes:
        patience_s: How long, in seconds. What waits for a lock hears nothing meanwhile.
        process: The server's process, as the server names it.
        session: The session that was set there; None: nothing stands between, and it stays this one.
    """

    patience_s = SILENCE_S
    process = 0
    session: Session | None = None

    @contextmanager
    def own(self) -> Generator[None]:
        """Meanwhile the session is the one that was set: in a transaction, where something stands between.

        Raises `psycopg.OperationalError` where it is another one.
        """
        if self.session is None:
            yield
            return
        with self.transaction():
            self.session.check(self)
            yield

    def wait(self, gen: Generator[Any, Any, T], *args: Any, **kwargs: Any) -> T:
        """See `psycopg.Connection.wait`."""
        return super().wait(self._heard(gen), *args, **kwargs)

    @contextmanager
    def long(self) -> Generator[None]:
        """Meanwhile a statement may take as long as `LONG_S`, and say nothing before its end."""
        before, self.patience_s = self.patience_s, LONG_S
        try:
            yield
        finally:
            self.patience_s = before

    def _heard(self, gen: Generator[Any, Any, T]) -> Generator[Any, Any, T]:
        try:
            wanted = next(gen)
            give_up_at = time.monotonic() + self.patience_s
            while True:
                ready = yield wanted
                if ready:
                    give_up_at = time.monotonic() + self.patience_s
                elif time.monotonic() >= give_up_at:
                    gen.close()
                    self.pgconn.finish()
                    message = f"no word from the server for {self.patience_s:g} s"
                    raise psycopg.OperationalError(message)
                wanted = gen.send(ready)
        except StopIteration as exc:
            value: T = exc.value
            return value
