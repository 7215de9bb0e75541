"""Connections that read: one consistent view a call, and queries of users."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import final

from tenure.errors import CannotOpen, Corrupt, Internal
from tenure.persistence.engines.engine import Again, Row, SqlValue

from .connecting import Connecting
from .protocol.errors import NO_RIGHT, READ_ONLY, Lost, ServerError, map_error
from .protocol.translation import Statement
from .protocol.wire import Answer, Command, Wire, command, plain

BEGIN_VIEW = plain("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
END_VIEW = plain("ROLLBACK")


@final
class Reader:
    """See `ReadConnection`. A view is one snapshot: it begins with its first statement, in the same flush."""

    def __init__(
        self,
        connecting: Connecting,
        wire: Wire | None,
        statements: Mapping[str, Statement],
        wait_s: float,
        *,
        is_look: bool = False,
    ) -> None:
        """Take the connection; where there is none, or it is lost, one is made within `wait_s` seconds.

        So long does it wait for the lock of another.
        `is_look`: what the role may not read is `CannotOpen`; a host had all rights when it opened.
        """
        self._connecting = connecting
        self._wire = wire
        self._statements = statements
        self._wait_s = wait_s
        self._is_look = is_look
        self._begins = False

    def begin_read(self) -> None:
        """See `Reading.begin_read`."""
        if self._wire is None:
            self._wire = self._connecting.wire_within(self._wait_s, writes=False, lock_s=self._wait_s)
        self._begins = True

    def end_read(self) -> None:
        """See `Reading.end_read`. The server hears of it, and is not waited for."""
        if not self._begins and self._wire is not None:
            try:
                self._wire.post([END_VIEW])
            except Lost:
                self._wire = None
        self._begins = False

    def one(self, name: str, /, **parameters: SqlValue) -> Row | None:
        """See `Statements.one`."""
        rows = self.all(name, **parameters)
        return rows[0] if rows else None

    def all(self, name: str, /, **parameters: SqlValue) -> list[Row]:
        """See `Statements.all`."""
        answer = self._ask(command(name, self._statements[name], parameters))
        try:
            return answer.rows()
        except UnicodeDecodeError as exc:
            raise Corrupt(record="row", key=name, detail="a text is not UTF-8") from exc

    def readable(self, name: str, /, **parameters: SqlValue) -> list[Row]:
        """See `Statements.readable`: a server stores no text that is not UTF-8."""
        return self.all(name, **parameters)

    def close(self) -> None:
        """See `ReadConnection.close`."""
        if self._wire is not None:
            with suppress(Lost):
                self._wire.close()
            self._wire = None

    def _ask(self, asked: Command) -> Answer:
        if self._wire is None:
            message = "the connection of this view was lost"
            raise Again(message)
        commands = [BEGIN_VIEW, asked] if self._begins else [asked]
        self._begins = False
        try:
            answers = self._wire.exchange(commands)
        except Lost as exc:
            self._wire = None
            raise Again(str(exc)) from exc
        for answer in answers:
            if answer.error is not None:
                raise self._mapped(answer.error, asked.name)
        return answers[-1]

    def _mapped(self, error: ServerError, doing: str) -> Exception:
        if error.state == READ_ONLY:
            return Internal(detail=f"{doing}: {error.message}")  # a read that writes
        if error.state == NO_RIGHT and self._is_look:
            return CannotOpen(path=self._connecting.target.shown, detail=error.message)
        return map_error(error, doing)
