"""A connection as every part of the engine needs it: made, and set by SQL, which a pooler of sessions passes on."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from typing import Any, Final, TypeVar, final

import psycopg
from psycopg import sql

from tenure.errors import CannotOpen, WeakDurability
from tenure.persistence.engines.engine import Again, Moved
from tenure.persistence.seams.limits import Limits

from .place import PLACE, Place
from .protocol.errors import Lost, is_not_yet
from .protocol.wire import Wire
from .target import Target

T = TypeVar("T")

CONNECT_S: Final = 5
"""Seconds for one connection to be made; libpq takes whole ones."""

PAUSE_S: Final = 0.05
"""Seconds between two tries to connect."""

_WAIT_FOR_DISK: Final = sql.SQL(
    "set_config('synchronous_commit', CASE WHEN current_setting('synchronous_commit') IN ('off', 'local', 'remote_write')"
    " THEN 'on' ELSE current_setting('synchronous_commit') END, false)"
)
"""COMMIT waits for the disk where the server's own setting would not, on every connection that writes; a stronger one stays."""

_KEPT_BY: Final = ("fsync", "full_page_writes")
"""Settings of the whole server without which it forgets what it has acknowledged. It may have been started anew with others."""

REFUSALS: Final = (Again, CannotOpen, WeakDurability)
"""What `Connecting.connect` raises."""


@final
class Connecting:
    """Makes connections to one store.

    Attributes:
        target: Which store.
        limits: The limits of the host.
        place: Where the host has opened it, and the one place where it goes on; None before that, and for looks.
    """

    def __init__(self, target: Target, limits: Limits) -> None:
        """Connect to nothing yet."""
        self.target = target
        self.limits = limits
        self.place: Place | None = None

    def connect(self, *, writes: bool) -> psycopg.Connection:
        """One connection, set.

        Raises:
            Again: Not now: the server starts, stops, does not answer, or has no place left.
            CannotOpen: It refuses us, or cannot be found.
            WeakDurability: For one that writes: the server acknowledges what is not on disk.
            Moved: It is no longer the server, or the timeline, that the store was opened on.
        """
        try:
            connection = psycopg.connect(
                self.target.url,
                autocommit=True,
                connect_timeout=CONNECT_S,
                client_encoding="UTF8",
                application_name="tenure",
                keepalives=1,
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=3,
            )
        except psycopg.OperationalError as exc:
            if is_not_yet(str(exc), exc.sqlstate):
                raise Again(str(exc).strip()) from exc
            raise CannotOpen(path=self.target.shown, detail=str(exc).strip()) from exc
        try:
            row: Any = connection.execute(self._settings(writes=writes)).fetchone()
        except psycopg.OperationalError as exc:
            connection.close()
            raise Again(str(exc).strip()) from exc
        except psycopg.Error as exc:
            connection.close()
            raise CannotOpen(path=self.target.shown, detail=str(exc).strip()) from exc
        try:
            self._check_place(Place(system=row[0], timeline=row[1]))
            if writes:
                _check_kept(row[2:])
        except BaseException:
            connection.close()
            raise
        return connection

    def _check_place(self, here: Place) -> None:
        if self.place is None or here == self.place:
            return
        if here.timeline is None:
            message = "it is a standby, which only reads"  # and may be promoted in a moment
            raise Again(message)
        message = f"it stands on {here.words} now, and was opened on {self.place.words}"
        raise Moved(message)

    def wire(self, *, writes: bool) -> Wire:
        """The same for named statements. Raises as `connect`."""
        return self.wire_over(self.connect(writes=writes))

    def wire_over(self, connection: psycopg.Connection) -> Wire:
        """Named statements over a connection that was made here. Raises `Again`."""
        try:
            return Wire(connection, self.limits.verdict_s)
        except Lost as exc:
            raise Again(str(exc)) from exc

    def wire_within(self, wait_s: float, *, writes: bool) -> Wire:
        """A wire that is tried for again and again for so many seconds: what opened once will open again. Raises `Again`."""
        return _within(wait_s, lambda: self.wire(writes=writes))

    def connect_within(self, wait_s: float, *, writes: bool) -> psycopg.Connection:
        """The same of a connection. Raises `Again`."""
        return _within(wait_s, lambda: self.connect(writes=writes))

    def _settings(self, *, writes: bool) -> sql.Composed:
        limits = self.limits
        settings: dict[str, str] = {
            "search_path": self.target.schema,
            "default_transaction_read_only": "off" if writes else "on",
            "default_transaction_isolation": "read committed",
            "lock_timeout": _milliseconds(limits.busy_s),
            "statement_timeout": "0",
            # A host that is frozen inside a transaction may not hold its rows until it is judged.
            "idle_in_transaction_session_timeout": _milliseconds(max(limits.lease_s / 2, 1.0)),
            "client_connection_check_interval": "10s",
            "client_min_messages": "warning",
            # Plans never depend on bound values.
            "plan_cache_mode": "force_generic_plan",
            "jit": "off",
            "bytea_output": "hex",
            "extra_float_digits": "1",
            "standard_conforming_strings": "on",
            "timezone": "UTC",
        }
        calls: list[sql.Composable] = [
            sql.SQL("set_config({}, {}, false)").format(sql.Literal(name), sql.Literal(value))
            for name, value in settings.items()
        ]
        asked: list[sql.Composable] = [sql.SQL(each) for each in PLACE]
        if writes:
            asked += [sql.SQL("current_setting({})").format(sql.Literal(name)) for name in _KEPT_BY]
            calls.append(_WAIT_FOR_DISK)
        calls = [*asked, *calls]
        return sql.SQL("SELECT {}").format(sql.SQL(", ").join(calls))


def _check_kept(given: Sequence[str]) -> None:
    for name, value in zip(_KEPT_BY, given, strict=False):
        if value != "on":
            raise WeakDurability(asked="disk", given=f"{name} = {value}")


def _within(wait_s: float, connect: Callable[[], T]) -> T:
    give_up_at = time.monotonic() + wait_s
    while True:
        try:
            return connect()
        except REFUSALS as exc:
            if time.monotonic() >= give_up_at:
                message = f"no connection for {wait_s:g} s: {exc}"
                raise Again(message) from exc
        threading.Event().wait(PAUSE_S)


def _milliseconds(seconds: float) -> str:
    return str(max(1, int(seconds * 1000)))
