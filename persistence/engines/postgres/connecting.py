"""A connection as every part of the engine needs it: made, and set by SQL, which a pooler of sessions passes on."""

from __future__ import annotations

import math
import secrets
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final, TypeVar, final

import psycopg
from psycopg import pq, sql
from psycopg.conninfo import make_conninfo

from tenure.errors import CannotOpen, WeakDurability
from tenure.persistence.engines.engine import Again, Moved
from tenure.persistence.engines.proofs import name_of_sessions
from tenure.persistence.model.numbers import milliseconds
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.seams.limits import Limits

from .protocol.errors import Lost, is_not_yet
from .protocol.patience import SILENCE_S, PatientConnection
from .protocol.wire import Wire
from .server.clock import CLOCK, ServerClock
from .server.keeping import KEEPING, Keeping, commit_setting
from .server.pooling import ASKED, CLEAN, LOOKS, MARK, SHARED, Session
from .server.timeline import TIMELINE, Timeline, drawn_in
from .target import Target

T = TypeVar("T")

CONNECT_S: Final = 5
"""Seconds for one connection to be made; libpq takes whole ones."""

GONE_S: Final = 600.0
"""Seconds at most until the server takes a host for gone whose machine does not answer; its system takes no more than hours."""

PAUSE_S: Final = 0.05
"""Seconds between two tries to connect."""

_NO_TRANSACTION_TIMEOUT: Final = (
    "CASE WHEN current_setting('transaction_timeout', true) IS NOT NULL"
    " THEN set_config('transaction_timeout', '0', false) END"
)
"""Servers from 17 on have it."""

_WORKS: Final = """
SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE pid = %s AND application_name = %s
               AND wait_event_type IS DISTINCT FROM 'Client')
"""
"""Whether a process of the server carries out what a session of ours has asked, and does not wait for us to take its answer."""

REFUSALS: Final = (Again, CannotOpen, WeakDurability)
"""What `Connecting.connect` raises."""


@final
class Connecting:
    """Makes connections to one store.

    Attributes:
        target: Which store.
        limits: The limits of the host.
        durability: What the server has to keep of what it acknowledges; None, until it is known: what a disk does.
        timeline: That on which the host has opened it, and the only one on which it goes on; None before that, and for looks.
        sessions: The name of the sessions that are made here (`application_name`).
        clock: The server's time, for which each connection asks.
    """

    def __init__(
        self, target: Target, limits: Limits, durability: DurabilityClass | None, clock: ServerClock | None = None
    ) -> None:
        """Connect to nothing yet."""
        self.target = target
        self.limits = limits
        self.durability = durability
        self.clock = ServerClock() if clock is None else clock
        self.timeline: Timeline | None = None
        self.sessions = name_of_sessions(secrets.token_hex(8), limits.lease_s)
        self._looks_for_pooler = True  # until it was opened, and where a session was another one than before

    def connect(self, *, writes: bool, lock_s: float | None = None) -> PatientConnection:
        """One connection, set. It waits for the lock of another for `lock_s` seconds; None: `Limits.busy_s`.

        Raises:
            Again: Not now: the server starts, stops, does not answer, or has no place left; or this process has no descriptor.
            CannotOpen: It refuses us, or cannot be found.
            WeakDurability: For one that writes: the server keeps less of what it acknowledges than `durability`.
            Moved: It is no longer the server, or the timeline, that the store was opened on.
        """
        connection = self._connect(writes=writes, lock_s=lock_s)
        if connection.session is not None and (self._looks_for_pooler or self.timeline is None):
            try:
                self._check_no_pooler_of_transactions(connection)
            except BaseException:
                connection.close()
                raise
        return connection

    def _connect(self, *, writes: bool, lock_s: float | None) -> PatientConnection:
        try:
            connection = PatientConnection.connect(
                self.target.url,
                autocommit=True,
                connect_timeout=CONNECT_S,
                client_encoding="UTF8",
                application_name=self.sessions,
                keepalives=1,
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=3,
            )
        except psycopg.OperationalError as exc:
            if is_not_yet(str(exc), exc.sqlstate) or (self.timeline is None and self._rejects()):
                raise Again(str(exc).strip()) from exc
            raise CannotOpen(path=self.target.shown, detail=str(exc).strip()) from exc
        except OSError as exc:  # of this process: it has no descriptor left for what waits for the server
            raise Again(str(exc)) from exc
        connection.patience_s = self._patience_s + min(self.limits.busy_s, SILENCE_S)
        mark = secrets.token_hex(8)
        asked_at = self.clock.asking()
        try:
            cursor = connection.execute(self._settings(lock_s, mark, writes=writes))
            cursor.nextset()
            row: Any = cursor.fetchone()
            cursor.nextset()
            whose: Any = cursor.fetchone()
            connection.process = whose[0]
            if connection.process != connection.pgconn.backend_pid:  # what stands between names another one
                connection.session = Session(whose[1], self._look_for_pooler)
                connection.execute(CLEAN)
        except psycopg.OperationalError as exc:
            connection.close()
            raise Again(str(exc).strip()) from exc
        except psycopg.Error as exc:
            connection.close()
            raise CannotOpen(path=self.target.shown, detail=str(exc).strip()) from exc
        try:
            self._check_timeline(Timeline(system=row[0], number=row[1], drawn=row[2]))
            self.clock.answered(asked_at, row[3])
            if writes:
                Keeping(row[4], row[5], row[6], row[-1]).check(self.durability)
        except BaseException:
            connection.close()
            raise
        return connection

    def _rejects(self) -> bool:
        """Whether the server says, in any language, that it starts, ends or recovers: libpq knows that by its SQLSTATE.

        It keeps the interpreter lock meanwhile: who has opened the store waits for everything, and does not ask.
        """
        asked = make_conninfo(self.target.url, connect_timeout=CONNECT_S)
        return pq.PGconn.ping(asked.encode()) == pq.Ping.REJECT

    def _look_for_pooler(self) -> None:
        self._looks_for_pooler = True

    def _check_no_pooler_of_transactions(self, connection: PatientConnection) -> None:
        """Refuse one. It gives two connections one session in turn, or one of them two; a pooler of sessions never does.

        Raises `CannotOpen`, and as `connect`.
        """
        with self._connect(writes=False, lock_s=None) as other:
            try:
                for each in (connection, other) * LOOKS:
                    if each.session is not None:
                        each.session.check(each)
            except psycopg.Error as exc:
                if str(exc) == SHARED:
                    raise CannotOpen(path=self.target.shown, detail=SHARED) from None
                raise Again(str(exc).strip()) from exc
        self._looks_for_pooler = False

    def _check_timeline(self, here: Timeline) -> None:
        if self.timeline is None or here == self.timeline:
            return
        if here.number is None:
            message = "it is a standby, which only reads"  # and may be promoted in a moment
            raise Again(message)
        another = "another " if here.words == self.timeline.words else ""
        message = f"it stands on {another}{here.words} now, and was opened on {self.timeline.words}"
        raise Moved(message)

    def wire(self, *, writes: bool) -> Wire:
        """The same for named statements. Raises as `connect`."""
        return self.wire_over(self.connect(writes=writes), writes=writes)

    def wire_over(self, connection: PatientConnection, *, writes: bool) -> Wire:
        """Named statements over a connection that was made here. Raises `Again`.

        One that reads is not lost while the server works: a verification may read a whole table before it says anything.
        """
        works = _never if writes else partial(self._works, connection.process)
        try:
            return Wire(connection, self._patience_s, works=works, session=connection.session)
        except Lost as exc:
            raise Again(str(exc)) from exc

    def wire_within(self, wait_s: float, *, writes: bool, lock_s: float | None = None) -> Wire:
        """A wire that is tried for again and again for so many seconds: what opened once will open again. Raises `Again`."""
        return _within(wait_s, lambda: self.wire_over(self.connect(writes=writes, lock_s=lock_s), writes=writes))

    def connect_within(self, wait_s: float, *, writes: bool) -> PatientConnection:
        """The same of a connection. Raises `Again`."""
        return _within(wait_s, lambda: self.connect(writes=writes))

    def _works(self, process: int) -> bool:
        try:
            with self.connect(writes=False) as asking:
                row: Any = asking.execute(_WORKS, (process, self.sessions)).fetchone()
        except (*REFUSALS, psycopg.Error):
            return False
        return bool(row[0])

    @property
    def _patience_s(self) -> float:
        return min(self.limits.verdict_wait_s, SILENCE_S)

    def _settings(self, lock_s: float | None, mark: str, *, writes: bool) -> sql.Composed:
        limits = self.limits
        gone_s = min(max(limits.lease_s / 4, 2.0), GONE_S)
        settings: dict[str, str] = {
            "search_path": self.target.schema,
            "default_transaction_read_only": "off" if writes else "on",
            "default_transaction_isolation": "read committed",
            "lock_timeout": _milliseconds(limits.busy_s if lock_s is None else lock_s),
            "idle_session_timeout": "0",
            # A host that is frozen inside a transaction may not hold its rows until it is judged.
            "idle_in_transaction_session_timeout": _milliseconds(max(limits.lease_s / 2, 1.0)),
            "client_connection_check_interval": "10s",
            # Nor may a host whose machine or network is gone, in the middle of a group: no other timeout counts there.
            "tcp_keepalives_idle": str(math.ceil(gone_s / 2)),
            "tcp_keepalives_interval": str(math.ceil(gone_s / 4)),
            "tcp_keepalives_count": "2",
            "client_min_messages": "warning",
            # Plans never depend on bound values. They go by an index also while tables are small: they stay while those grow.
            "plan_cache_mode": "force_generic_plan",
            "enable_seqscan": "off",
            "jit": "off",
            "bytea_output": "hex",
            "exit_on_error": "off",
            "extra_float_digits": "1",
            "standard_conforming_strings": "on",
            "timezone": "UTC",
            MARK: mark,
        }
        if writes:  # a user's query may read its rows as slowly as it likes
            settings["tcp_user_timeout"] = _milliseconds(gone_s)
            # Nor does a group join whole tables; a verification does.
            settings |= dict.fromkeys(("enable_hashjoin", "enable_mergejoin"), "off")
        calls: list[sql.Composable] = [
            sql.SQL("set_config({}, {}, false)").format(sql.Literal(name), sql.Literal(value))
            for name, value in settings.items()
        ]
        calls.append(sql.SQL(_NO_TRANSACTION_TIMEOUT))
        # Before it is opened there may be no tables to ask.
        drawn = sql.SQL("0") if self.timeline is None else drawn_in(self.target.schema)
        asked: list[sql.Composable] = [*map(sql.SQL, TIMELINE), drawn, sql.SQL(CLOCK)]
        if writes:
            asked += [sql.SQL(each) for each in KEEPING]
            calls.append(sql.SQL(commit_setting(self.durability)))
        calls = [*asked, *calls]
        # The limit of the database for a statement counts for the first one.
        return sql.SQL("SET statement_timeout = 0; SELECT {}; SELECT pg_backend_pid(), {}").format(
            sql.SQL(", ").join(calls), sql.SQL(ASKED)
        )


def _never() -> bool:
    return False


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
    return str(max(1, milliseconds(seconds)))
