"""One connection to the server, below psycopg's cursors: libpq's pipeline.

Commands are gathered and sent in one flush, and their answers come in one; a cursor a statement would cost more than the server
does. While it waits for the server a thread waits in ``poll``, without the interpreter lock. Every named statement is prepared
where the connection uses it first, in the same flush.

Plans stay as they were made, also those of tables that were empty then, until the server has looked at these: for a minute, or
for ever where it does not do that by itself. So a connection has them made anew in good time.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Protocol, final

import psycopg
from attrs import frozen
from psycopg import pq

from tenure.persistence.engines.engine import Row, SqlValue
from tenure.persistence.engines.postgres.server.pooling import SHARED, WHOSE, Session

from .errors import ANOTHER_SESSION, Lost, ServerError, error_of
from .patience import LONG_S
from .translation import Statement
from .values import BINARY, Reader, encoded, reader_of

PLANS_S: Final = 60.0
"""Seconds for which plans stay, at most: as a server that looks at its tables each minute keeps them."""

GROWTH: Final = 3.0
"""So many times as long as the connection was old when they were made they stay, for a second at least."""

_YOUNG_S: Final = 1.0
_FORGET_PLANS: Final = b"DISCARD PLANS"

_FAILED: Final = pq.ExecStatus.FATAL_ERROR
_SYNC: Final = pq.ExecStatus.PIPELINE_SYNC
_ABORTED: Final = pq.ExecStatus.PIPELINE_ABORTED
_IDLE: Final = pq.TransactionStatus.IDLE
_IN_TRANSACTION: Final = pq.TransactionStatus.INTRANS
_IN_FAILED: Final = pq.TransactionStatus.INERROR


@final
@frozen(kw_only=True, slots=True)
class Command:
    """A statement that is to be sent.

    Attributes:
        name: Its name; what has one is prepared.
        statement: What it is.
        values: Its parameters, encoded.
        formats: Their formats.
        typed: Whether `Wire.types` is to have the types of its parameters afterwards.
    """

    name: str
    statement: Statement
    values: Sequence[bytes | None] = ()
    formats: Sequence[int] = ()
    typed: bool = False


def command(name: str, statement: Statement, parameters: Mapping[str, SqlValue], *, typed: bool = False) -> Command:
    """A named statement with its parameters. Raises `InvalidInput` for a text that cannot be stored."""
    pairs = [encoded(parameters[each]) for each in statement.names]
    return Command(
        name=name,
        statement=statement,
        values=[value for value, _ in pairs],
        formats=[form for _, form in pairs],
        typed=typed,
    )


def plain(sql: str) -> Command:
    """A command without parameters, which is not prepared."""
    return Command(name="", statement=Statement(sql=sql, names=()))


class Answered(Protocol):
    """The answer to a command, or what is one strand's of it."""

    @property
    def count(self) -> int:
        """How many rows were written."""
        ...

    def rows(self) -> list[Row]:
        """Its rows. Raises `UnicodeDecodeError` for a text that is none."""
        ...


@final
class Answer:
    """What the server said to one command.

    Attributes:
        error: What it refused it with; None where it was carried out.
        skipped: Whether it was left out because of an error before it.
    """

    def __init__(self, result: pq.abc.PGresult) -> None:
        """Read whether it failed."""
        self._result = result
        self.skipped = result.status == _ABORTED
        self.error: ServerError | None = error_of(result) if result.status == _FAILED else None

    @property
    def tag(self) -> bytes:
        """What was done, in the server's words: ``COMMIT``, or ``ROLLBACK`` in its place."""
        return self._result.command_status or b""

    @property
    def count(self) -> int:
        """How many rows were written."""
        return self._result.command_tuples or 0

    @property
    def first(self) -> bytes | None:
        """The first value of its first row, as it came."""
        return self._result.get_value(0, 0)

    @property
    def types(self) -> tuple[int, ...]:
        """The types of the parameters, where it describes a statement."""
        return tuple([self._result.param_type(at) for at in range(self._result.nparams)])

    def rows(self) -> list[Row]:
        """Its rows. Raises `UnicodeDecodeError` for a text that is none."""
        result = self._result
        readers: list[Reader] = [reader_of(result.ftype(at)) for at in range(result.nfields)]
        value = result.get_value
        return [
            tuple([None if (data := value(row, at)) is None else read(data) for at, read in enumerate(readers)])
            for row in range(result.ntuples)
        ]


_Told = tuple[str, bool]
"""The name of a statement, and whether it is described; else it is prepared. Or one of these three."""

_FORGOTTEN: Final[_Told] = ("", False)
"""The plans are forgotten."""
_WHOSE: Final[_Told] = ("", True)
"""Whose session it is."""
_MORE: Final[_Told] = (" ", False)
"""Nothing that was asked."""


@final
class Wire:
    """One connection.

    Attributes:
        trips: How often something was sent and waited for.
        warnings: How many warnings have come. At a COMMIT one says that its wait for a standby was cancelled.
        types: By name of a statement, the types of its parameters as the server has inferred them.
    """

    def __init__(
        self,
        connection: psycopg.Connection,
        patience_s: float,
        clock: Callable[[], float] = time.monotonic,
        works: Callable[[], bool] = lambda: False,
        session: Session | None = None,
    ) -> None:
        """Take an idle connection; a server that says nothing for `patience_s` seconds counts as lost.

        `clock`: by which plans grow old, in seconds. `works`: whether the server works on what it was asked here, and so is
        waited for once more, for `LONG_S` at most. `session`: that of the server, which each transaction looks for.
        """
        self._connection = connection  # it closes what it is when it goes
        self._pg = connection.pgconn
        self._patience_ms = int(patience_s * 1000)
        self._prepared: set[str] = set()
        self._owed: list[
            _Told | None
        ] = []  # for each result on its way what it says of a statement, None for a command
        self._syncs = 0  # how many are on their way
        self._works = works
        self._session = session
        self._clock = clock
        self._born = clock()
        self._plans_until = self._born + _YOUNG_S
        self.trips = 0
        self.warnings = 0
        self.types: dict[str, tuple[int, ...]] = {}
        connection.add_notice_handler(self._notice)
        self._poll = select.poll()
        try:
            self._pg.nonblocking = 1
            self._pg.enter_pipeline_mode()
            self._socket = self._pg.socket
        except psycopg.Error as exc:
            raise self._lost(exc) from exc
        self._poll.register(self._socket, select.POLLIN)

    @property
    def in_transaction(self) -> bool:
        """Whether a transaction is open, and has not failed."""
        return self._pg.transaction_status == _IN_TRANSACTION

    @property
    def in_failed_transaction(self) -> bool:
        """Whether a transaction is open in which a statement has failed."""
        return self._pg.transaction_status == _IN_FAILED

    def exchange(self, commands: Sequence[Command]) -> list[Answer]:
        """Send commands and wait for their answers; what follows one that failed is skipped.

        Raises:
            Lost: The connection is gone: what was carried out is not known.
        """
        self.post(commands)
        return self.settle()

    def post(self, commands: Sequence[Command]) -> None:
        """Send commands without waiting for their answers. Raises `Lost`."""
        try:
            self._receive()
            looks = self._session is not None and self._pg.transaction_status == _IDLE
            self._forget_plans()
            if self.in_transaction:
                # The server counts a session as idle until it has a whole message, and a large one may take its time.
                self._pg.send_flush_request()
            for at, each in enumerate(commands):
                self._send(each)
                if looks and at == 0:  # once the transaction has begun, for whose length the session stays
                    self._pg.send_query_params(WHOSE, None)
                    self._owed.append(_WHOSE)
            self._sync()
            self._flush()
        except psycopg.Error as exc:
            raise self._lost(exc) from exc

    def settle(self) -> list[Answer]:
        """Wait for the answers to what was posted. Raises `Lost`."""
        self.trips += 1
        try:
            return self._receive()
        except psycopg.Error as exc:
            raise self._lost(exc) from exc

    def close(self) -> None:
        """Close it. Whatever was on its way is lost."""
        self._pg.finish()

    def _notice(self, said: psycopg.errors.Diagnostic) -> None:
        self.warnings += said.severity_nonlocalized == "WARNING"

    def _forget_plans(self) -> None:
        """Between transactions, where they are old. It is sent as another transaction, and fails alone."""
        now = self._clock()
        if now < self._plans_until or self._pg.transaction_status != _IDLE:
            return
        self._plans_until = now + min(max(GROWTH * (now - self._born), _YOUNG_S), PLANS_S)
        self._pg.send_query_params(_FORGET_PLANS, None)
        self._owed.append(_FORGOTTEN)
        self._sync()

    def _sync(self) -> None:
        self._pg.pipeline_sync()
        self._syncs += 1

    def _send(self, each: Command) -> None:
        pg, statement = self._pg, each.statement
        if each.name:
            name = each.name.encode()
            if each.name not in self._prepared and (each.name, False) not in self._owed:
                pg.send_prepare(name, statement.sql.encode())
                self._owed.append((each.name, False))
            if each.typed and each.name not in self.types and (each.name, True) not in self._owed:
                pg.send_describe_prepared(name)
                self._owed.append((each.name, True))
            pg.send_query_prepared(name, each.values, each.formats, BINARY)
        else:
            pg.send_query_params(statement.sql.encode(), each.values, None, each.formats, BINARY)
        self._owed.append(None)

    def _receive(self) -> list[Answer]:
        """The answers to all that was sent; none where nothing is on its way."""
        answers: list[Answer] = []
        owed = iter(self._owed)
        refused = False  # a statement that cannot be prepared: its error is the answer to its command
        while self._syncs:
            result = self._next_result()
            if result.status == _SYNC:
                self._syncs -= 1
                continue
            answer = Answer(result)
            told = next(owed, _MORE)
            self._check(told, answer)
            if told in {_FORGOTTEN, _WHOSE}:
                continue
            if told is None:
                if not refused:
                    answers.append(answer)
                refused = False
            elif answer.error is not None:
                answers.append(answer)
                refused = True
            elif not answer.skipped:
                name, describes = told
                if describes:
                    self.types[name] = answer.types
                else:
                    self._prepared.add(name)
        self._owed.clear()
        return answers

    def _check(self, told: _Told | None, answer: Answer) -> None:
        """Raises `Lost` where an answer says that nothing of use comes on this connection any more."""
        error = answer.error
        if error is not None and (error.ends or error.state in ANOTHER_SESSION):
            raise self._lost(error.message)
        if told == _MORE:
            raise self._lost("an answer to nothing that was asked")
        if told != _WHOSE or error is not None or answer.skipped or self._session is None:
            return
        if not self._session.is_there(answer.first):
            raise self._lost(SHARED)

    def _next_result(self) -> pq.abc.PGresult:
        pg = self._pg
        while True:
            while pg.is_busy():
                self._wait(select.POLLIN)
            result = pg.get_result()
            if result is not None:
                return result
            if pg.status == pq.ConnStatus.BAD:
                raise self._lost(pg.error_message.decode("utf-8", "replace"))

    def _flush(self) -> None:
        while self._pg.flush():
            self._wait(select.POLLIN | select.POLLOUT)

    def _wait(self, events: int) -> None:
        self._poll.modify(self._socket, events)
        ready = self._poll.poll(self._patience_ms)
        give_up_at = time.monotonic() + LONG_S
        while not ready and time.monotonic() < give_up_at and self._works():
            ready = self._poll.poll(self._patience_ms)
        if not ready:
            raise self._lost(f"no word from the server for {self._patience_ms / 1000:g} s")
        if ready[0][1] & ~select.POLLOUT:
            self._pg.consume_input()

    def _lost(self, why: object) -> Lost:
        self.close()
        return Lost(str(why).strip())
