"""A pooler that stands between a host and the server: one of sessions is fine, one of transactions is not.

Settings, prepared statements and locks would be another client's. So each connection marks the session of the server that it
has set, and where something stands between, the mark is asked for at the beginning of every transaction: a pooler may be
switched beneath a host.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, final

import psycopg

MARK: Final = "tenure.session"
"""The setting of a session that says who has set it."""

ASKED: Final = (
    f"concat_ws(' ', current_setting('{MARK}', true), current_setting('search_path'),"
    " current_setting('synchronous_commit'))"
)
"""The mark of a session; and what others that share it may have changed: where a group lands, and what its COMMIT waits for."""

WHOSE: Final = f"SELECT {ASKED}".encode()

SHARED: Final = "a pooler of transactions stands before the server"
"""What is said of one."""

CLEAN: Final = "DEALLOCATE ALL; UNLISTEN *; DISCARD TEMP; SELECT pg_advisory_unlock_all()"
"""What a pooler of sessions leaves to the next client where its `server_reset_query` is empty."""

LOOKS: Final = 3
"""How often two connections are compared: other clients may have a session of the server for a moment."""


@final
class Session:
    """The session of the server that a connection has set, where something stands between."""

    def __init__(self, answer: str, lost: Callable[[], None]) -> None:
        """`answer`: what `WHOSE` says while it is this session; `lost` is called where it says something else."""
        self._answer = answer
        self._lost = lost

    def is_there(self, said: bytes | None) -> bool:
        """Whether the session that gave such an answer is this one."""
        there = said is not None and said.decode("utf-8", "replace") == self._answer
        if not there:
            self._lost()
        return there

    def check(self, connection: psycopg.Connection) -> None:
        """The same of a connection; one that has another session is closed. Raises `psycopg.OperationalError`."""
        row: Any = connection.execute(WHOSE).fetchone()
        if not self.is_there(None if row is None else row[0].encode()):
            connection.close()
            raise psycopg.OperationalError(SHARED)
