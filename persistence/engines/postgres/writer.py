"""The connection that writes: groups, their keys and locks, and the verdict on a COMMIT whose answer was lost.

What asks for no answer waits here and is sent with what comes next; COMMIT follows the rest in one flush. Groups run
READ COMMITTED: after its first statements a group locks every runtime that it names, in the order of their ids, so that
whatever it reads of them afterwards stays as it is up to its end. What conflicts all the same, the server refuses, and the
group is tried again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from typing import Any, Final, final

from tenure.errors import Corrupt
from tenure.persistence.engines.engine import (
    Again,
    Begun,
    FailedLate,
    Group,
    QueryParameters,
    Row,
    SqlValue,
    Strand,
    UnknownOutcome,
    Versions,
)
from tenure.persistence.engines.housekeeping import Housekeeping
from tenure.persistence.engines.listeners import NOWHERE
from tenure.persistence.engines.statements import rows_of
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.seams.seams import read_clock

from .connecting import PAUSE_S, Connecting
from .connections import BEGIN_VIEW, END_VIEW
from .keys import Keys
from .locks import ALONE, LOCK, SIDE_BY_SIDE, VERSIONS, end_stalled, versions_in
from .protocol.errors import LASTING, LOCK_NOT_AVAILABLE, Lost, ServerError, map_error, not_storable
from .protocol.translation import Statement, translated
from .protocol.values import array_of
from .protocol.wire import Answer, Answered, Command, Wire, command, plain
from .server.clock import CLOCK
from .server.line import elsewhere
from .server.standbys import STANDBYS_THERE, Standbys
from .strands.alike import Asked, Sent, gathered
from .strands.lanes import Lane, carry_out
from .user_queries import Query
from .verdict import Verdict

RECONNECT_S: Final = 0.5
"""Seconds for which one try of a group waits for a connection; the group is tried again for `Limits.busy_s`."""

MOST_WAITING: Final = 512
"""Statements that wait to be sent; the server works on them meanwhile."""

_BEGIN: Final = plain("BEGIN ISOLATION LEVEL READ COMMITTED")
_COMMIT: Final = plain("COMMIT")
_ROLLBACK: Final = plain("ROLLBACK")
_SAVEPOINT: Final = plain("SAVEPOINT one_commit")
_RELEASE: Final = plain("RELEASE one_commit")
_UNDO: Final = plain("ROLLBACK TO one_commit")
_TIME: Final = plain(f"SELECT {CLOCK}")


@final
class Writer:
    """See `WriteConnection`."""

    def __init__(
        self,
        connecting: Connecting,
        wire: Wire,
        statements: Mapping[str, Statement],
        keys: Keys,
        tables: Sequence[str],
        wall_clock: Callable[[], float],
    ) -> None:
        """Take the connection."""
        self._connecting = connecting
        self._limits = connecting.limits
        self._wire: Wire | None = wire
        self._statements = statements
        self._keys = keys
        self._wall_clock = wall_clock
        self._waiting: list[Command] = []  # what the group has not sent yet
        self._rows_written = 0
        self._strand: Lane | None = None  # the strand that is carried out, where strands are
        self._group: Group | None = None
        self._named: Mapping[str, SqlValue] = {}
        self._in_savepoint = False
        self._met_lock = False  # which one did not give up in time
        self.tables = tuple(sorted(tables))
        self._clock = connecting.clock
        self._standbys = Standbys(awaited=connecting.durability is DurabilityClass.QUORUM)
        self._verdict = Verdict(connecting)

    # Statements

    def one(self, name: str, /, **parameters: SqlValue) -> Row | None:
        """See `Statements.one`."""
        rows = self.all(name, **parameters)
        return rows[0] if rows else None

    def all(self, name: str, /, **parameters: SqlValue) -> list[Row]:
        """See `Statements.all`."""
        answer = self._ask(name, parameters)
        if self._statements[name].writes:
            self._wrote(answer.count)
        try:
            return answer.rows()
        except UnicodeDecodeError as exc:
            raise Corrupt(record="row", key=name, detail="a text is not UTF-8") from exc

    def readable(self, name: str, /, **parameters: SqlValue) -> list[Row]:
        """See `Statements.readable`: a server stores no text that is not UTF-8."""
        return self.all(name, **parameters)

    def write(self, name: str, /, **parameters: SqlValue) -> None:
        """See `WriteConnection.write`: sent with what comes next."""
        strand = self._strand
        if strand is not None:
            strand.put(Asked(name, self._statements[name], parameters))
            strand.rows_written += 1
            return
        self._put(self._command(name, parameters))
        self._rows_written += 1

    def run(self, name: str, /, **parameters: SqlValue) -> int:
        """See `WriteConnection.run`."""
        count = self._ask(name, parameters).count
        self._wrote(count)
        return count

    def insert(self, name: str, /, **parameters: SqlValue) -> int:
        """See `WriteConnection.insert`: the key is known, and the row is sent with what comes next."""
        key = self.key(self._keys.table(name))
        self.write(name, key=key, **parameters)
        return key

    def insert_all(self, name: str, /, **columns: Sequence[SqlValue]) -> None:
        """See `WriteConnection.insert_all`."""
        for row in rows_of(columns):
            self.insert(name, **row)

    def key(self, table: str, /) -> int:
        """See `WriteConnection.key`."""
        key = self._keys.next(table)
        while key is None:
            asking = self._keys.more(table)
            self._keys.take(table, self._flush(asking)[-1] if self._strand is None else self._strand.ask(*asking))
            key = self._keys.next(table)
        return key

    def raw(self, sql: str, parameters: Sequence[SqlValue] = (), /) -> list[Row]:
        """See `WriteConnection.raw`: with ``?``, or with ``$1``."""
        named: dict[str, Any] = {str(at): value for at, value in enumerate(parameters)}
        return self._flush([command("", translated(sql), named)], own=not_storable)[-1].rows()

    # Groups

    @property
    def rows_written(self) -> int:
        """See `WriteConnection.rows_written`: of a strand those that it has written itself."""
        return self._rows_written if self._strand is None else self._strand.rows_written

    @property
    def in_transaction(self) -> bool:
        """See `WriteConnection.in_transaction`: after an error only a savepoint leads back."""
        wire = self._wire
        return wire is not None and (wire.in_transaction or (self._in_savepoint and wire.in_failed_transaction))

    def begin(self, group: Group, /) -> Begun:
        """See `WriteConnection.begin`."""
        self._connect()
        asked_at = self._clock.asking()
        now = read_clock(self._wall_clock)
        self._group = group
        wanted = self._keys.begin()
        reached, alone = group.reached, not group.names_all
        named = sorted({*group.written, *reached, *group.moved})
        who: dict[str, SqlValue] = {"host": group.host, "incarnation": group.incarnation}
        when = {"group_number": group.number, "lease_until": now + self._limits.lease_s}
        begins = self._command("ownership.begin_group", who | when)
        # The lock comes first: the first statement of a group reads what is there once it has it.
        commands = [_BEGIN, ALONE if alone else SIDE_BY_SIDE, begins]
        self._named = {"ids": array_of(named)}
        if named:
            commands += [command("locks", LOCK, self._named), command("versions", VERSIONS, self._named)]
        checked = len(commands)
        times = [_TIME] if alone or self._clock.is_due else []
        commands += [*self._standbys.asks, *times, *[asked for _, asked in wanted]]
        answers = self._flush(commands)
        timed = checked + len(self._standbys.asks)
        self._standbys.begun(answers[checked:timed])
        shown = self._clock.heard(asked_at, answers[timed : timed + len(times)])
        for (table, _), answer in zip(reversed(wanted), reversed(answers), strict=False):
            self._keys.take(table, answer)
        versions: Mapping[str, int] = versions_in(answers[4]) if named else {}
        others = elsewhere(answers[3].rows(), reached, group.host) if reached else NOWHERE
        shared = shown if alone and self._clock.decides else None
        return Begun(alive=answers[2].count > 0, now=now, shared_now=shared, versions=versions, elsewhere=others)

    @property
    def side_by_side(self) -> Callable[[Sequence[Strand]], None] | None:
        """See `WriteConnection.side_by_side`."""
        return self._side_by_side

    def begin_unnumbered(self) -> None:
        """See `WriteConnection.begin_unnumbered`."""
        self._connect()
        self._group = None
        self._keys.begin()
        self._standbys.noted(self._flush([_BEGIN, ALONE, STANDBYS_THERE])[-1])

    def commit(self) -> Versions:
        """See `WriteConnection.commit`. An answer that was lost is asked for on a new connection."""
        group, self._group = self._group, None
        versions = [command("versions", VERSIONS, self._named)] if group is not None else []
        commands, self._waiting = [*self._waiting, *versions, _COMMIT], []
        committed = len(commands) - 1
        commands += self._standbys.asks
        wire = self._living()
        warnings = wire.warnings
        try:
            answers = wire.exchange(commands)
        except Lost as exc:
            self._wire = None
            self._wire = self._verdict.of(group, str(exc))
            return {}
        for sent, answer in zip(commands, answers, strict=True):
            if answer.error is not None:
                raise self._error(sent, answer.error, own=sent is _COMMIT)
        if answers[committed].tag != b"COMMIT":
            message = "the server has rolled back"
            raise Again(message)
        # It has landed. Where its wait for a standby was cancelled, the verdict is a commit after it, which waits.
        if not self._standbys.have_it(answers[committed + 1 :], cancelled=wire.warnings != warnings):
            wire.close()
            self._wire = None
            self._wire = self._verdict.of(group, "it is not known whether a standby was waited for")
        return versions_in(answers[committed - 1]) if versions else {}

    def rollback(self) -> None:
        """See `WriteConnection.rollback`. A connection that is lost has rolled back."""
        self._waiting.clear()
        self._group = None
        self._in_savepoint = False
        wire = self._wire
        if wire is not None and (wire.in_transaction or wire.in_failed_transaction):
            stalled = end_stalled(self._connecting.sessions, self._limits.lease_s)
            try:
                wire.exchange([_ROLLBACK, stalled] if self._met_lock else [_ROLLBACK])
            except Lost:
                self._wire = None
        self._met_lock = False

    def savepoint(self) -> None:
        """See `WriteConnection.savepoint`."""
        self._put(_SAVEPOINT)
        self._in_savepoint = True

    def release(self) -> None:
        """See `WriteConnection.release`: waits for what the commit has sent."""
        self._flush([_RELEASE])
        self._in_savepoint = False

    def rollback_to_savepoint(self) -> None:
        """See `WriteConnection.rollback_to_savepoint`."""
        if _SAVEPOINT in self._waiting:
            del self._waiting[self._waiting.index(_SAVEPOINT) :]  # the server has heard nothing of this commit
        else:
            self._waiting = []
            self._flush([_UNDO, _RELEASE])
        self._in_savepoint = False

    @property
    def housekeeping(self) -> Housekeeping | None:
        """See `WriteConnection.housekeeping`: the server does that."""
        return None

    def close(self, *, checkpoint: bool) -> None:  # noqa: ARG002 - the server checkpoints by itself
        """See `WriteConnection.close`."""
        self._verdict.closed = True
        if self._wire is not None:
            self._wire.close()
            self._wire = None

    # Views and queries between groups

    def begin_read(self) -> None:
        """See `Reading.begin_read`."""
        self._connect()
        self._waiting = [BEGIN_VIEW]

    def end_read(self) -> None:
        """See `Reading.end_read`."""
        self._waiting.clear()
        if self._wire is not None:
            try:
                self._wire.exchange([END_VIEW])
            except Lost:
                self._wire = None

    def query(self, sql: str, parameters: QueryParameters, limit: int, stopped: Callable[[], bool], /) -> list[Row]:
        """See `Querying.query`: on another connection."""
        with closing(Query(self._connecting)) as connection:
            return connection.query(sql, parameters, limit, stopped)

    # What is sent

    @property
    def trips(self) -> int:
        """Round trips of the connection as it is now."""
        return 0 if self._wire is None else self._wire.trips

    def _command(self, name: str, parameters: Mapping[str, SqlValue]) -> Command:
        return command(name, self._statements[name], parameters)

    def _wrote(self, rows: int) -> None:
        if self._strand is None:
            self._rows_written += rows
        else:
            self._strand.rows_written += rows

    def _put(self, each: Command) -> None:
        self._waiting.append(each)
        if len(self._waiting) >= MOST_WAITING:
            self._flush(asked=False)

    def _ask(self, name: str, parameters: Mapping[str, SqlValue]) -> Answered:
        if self._strand is not None:
            return self._strand.ask(Asked(name, self._statements[name], parameters))
        return self._flush([self._command(name, parameters)])[-1]

    def _flush(
        self,
        commands: Sequence[Command] = (),
        *,
        asked: bool = True,
        own: Callable[[ServerError], Exception | None] | None = None,
    ) -> Sequence[Answer]:
        """Send what waits, and these after it. The last is the caller's own where it `asked`: its error is raised as it is."""
        waiting, self._waiting = self._waiting, []
        return self._exchange([*waiting, *commands], asked=asked, own=own)

    def _side_by_side(self, strands: Sequence[Strand]) -> None:
        def enter(strand: Lane | None) -> None:
            self._strand = strand

        lanes = carry_out(strands, enter, self._ask_together)
        self._rows_written += sum([lane.rows_written for lane in lanes])
        left = [lane.waiting for lane in lanes if lane.waiting]
        self._waiting += [each.command for each in gathered(left, 0, self._living().types)]

    def _ask_together(self, lanes: Sequence[Sequence[Sent]], asking: int) -> Mapping[int, Answered]:
        gatherings = list(gathered(lanes, asking, self._living().types))
        before = len(self._waiting)
        answers = self._flush([each.command for each in gatherings], asked=False)
        shares = zip(gatherings, answers[before:], strict=True)
        return {lane: share for each, answer in shares for lane, share in each.shares(answer)}

    def _exchange(
        self, commands: Sequence[Command], *, asked: bool, own: Callable[[ServerError], Exception | None] | None = None
    ) -> Sequence[Answer]:
        wire = self._living()
        try:
            answers = wire.exchange(commands)
        except Lost as exc:
            self._wire = None
            message = f"the connection was lost: {exc}"
            raise Again(message) from exc
        for at, answer in enumerate(answers):
            if answer.error is not None:
                is_own = asked and at == len(commands) - 1
                error = own(answer.error) if own is not None and is_own else None
                raise error or self._error(commands[at], answer.error, own=is_own)
        return answers

    def _error(self, sent: Command, error: ServerError, *, own: bool) -> Exception:
        """The error that an answer stands for. One that lasts is returned after a pause, so that it is not tried again hot."""
        self._met_lock |= error.state == LOCK_NOT_AVAILABLE
        if error.state in LASTING:
            threading.Event().wait(PAUSE_S)
        mapped = map_error(error, sent.name or sent.statement.sql)
        if own or self._in_savepoint or isinstance(mapped, Again | UnknownOutcome):
            return mapped
        return FailedLate(f"{sent.name}: {error.message}")

    def _living(self) -> Wire:
        if self._wire is None:
            message = "the connection of this group was lost"
            raise Again(message)
        return self._wire

    def _connect(self) -> None:
        self._in_savepoint = False
        self._waiting = []
        if self._wire is None:
            self._wire = self._connecting.wire_within(RECONNECT_S, writes=True)
