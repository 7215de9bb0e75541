"""The bytes of attachments: in two tables of the store, where every host reaches them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar, final

import psycopg

from tenure.errors import CannotOpen, Contended, DiskFull
from tenure.persistence.engines.engine import Again, UnknownOutcome

from .connecting import PAUSE_S, Connecting
from .protocol.errors import ServerError, map_error, raised_error_of
from .protocol.patience import PatientConnection

T = TypeVar("T")

_MADE: Final = "made-"
"""How the names begin of what is being written."""

_TAKEN: Final = "taken-"
"""How the names begin of what is being removed; who removes it follows, and what it was."""


@final
class TableBlobs:
    """See `Blobs`. One connection, made with the first attachment."""

    def __init__(self, connecting: Connecting, *, writes: bool = True) -> None:
        """Touch nothing yet; `writes` says whether any verb but those that read is going to be called."""
        self._connecting = connecting
        self._writes = writes
        self._lock = threading.Lock()
        self._connection: PatientConnection | None = None

    def begin(self, made: str) -> None:
        """See `Blobs.begin`."""
        self._run(
            "INSERT INTO attachment_files (name, kept) VALUES (%(name)s, false) ON CONFLICT (name) DO NOTHING",
            name=_MADE + made,
        )

    def write(self, made: str, offset: int, data: bytes) -> None:
        """See `Blobs.write`."""
        self._run(
            "INSERT INTO attachment_parts (name, at, body) VALUES (%(name)s, %(at)s, %(body)s)"
            " ON CONFLICT (name, at) DO UPDATE SET body = excluded.body",
            name=_MADE + made,
            at=offset,
            body=data,
        )

    def keep(self, made: str, digest: str) -> None:
        """See `Blobs.keep`. What has the name stays: it is the same bytes, on the server's disk."""
        names = {"made": _MADE + made, "digest": digest}

        def keep(connection: PatientConnection) -> None:
            with connection.transaction():
                kept = connection.execute(
                    "INSERT INTO attachment_files (name, kept) VALUES (%(digest)s, true) ON CONFLICT (name) DO NOTHING",
                    names,
                )
                if kept.rowcount:
                    connection.execute("UPDATE attachment_parts SET name = %(digest)s WHERE name = %(made)s", names)
                _drop_parts(connection, names["made"])
                connection.execute("DELETE FROM attachment_files WHERE name = %(made)s", names)

        self._carry_out(keep)

    def replace(self, made: str, digest: str) -> None:
        """See `Blobs.replace`. The part that moves last says that the whole has moved: it may be done twice."""
        names = {"made": _MADE + made, "digest": digest}

        def replace(connection: PatientConnection) -> None:
            with connection.transaction():
                begun = connection.execute("DELETE FROM attachment_files WHERE name = %(made)s", names)
                if not begun.rowcount:
                    return  # it was done, and its answer was lost
                connection.execute(  # first: another one who replaces the same waits here, and then sees what this one moved
                    "INSERT INTO attachment_files (name, kept) VALUES (%(digest)s, true)"
                    " ON CONFLICT (name) DO UPDATE SET kept = true",
                    names,
                )
                _drop_parts(connection, names["digest"])
                connection.execute("UPDATE attachment_parts SET name = %(digest)s WHERE name = %(made)s", names)

        self._carry_out(replace)

    def drop(self, made: str) -> None:
        """See `Blobs.drop`. What cannot be removed now stays unfinished, and is found."""
        try:
            self._remove(_MADE + made)
        except (CannotOpen, Contended, DiskFull, UnknownOutcome):
            return

    def read(self, digest: str, offset: int, amount: int) -> bytes | None:
        """See `Blobs.read`."""
        if not self.exists(digest):
            return None
        rows = self._run(
            "SELECT at, substring(body FROM greatest(1, (%(offset)s::int8 - at + 1)::int) FOR"
            " least(%(amount)s::int8, %(until)s::int8 - at)::int) FROM attachment_parts"
            " WHERE name = %(name)s AND at < %(until)s::int8 AND at + length(body) > %(offset)s::int8 ORDER BY at",
            name=digest,
            offset=offset,
            amount=amount,
            until=offset + amount,
        )
        return b"".join([bytes(body) for _, body in rows])

    def exists(self, digest: str) -> bool:
        """See `Blobs.exists`."""
        return bool(self._run("SELECT 1 FROM attachment_files WHERE name = %(name)s AND kept", name=digest))

    def remove(self, digest: str) -> None:
        """See `Blobs.remove`."""
        self._remove(digest)

    def take(self, digest: str, taker: str) -> None:
        """See `Blobs.take`."""
        self._move(digest, _taken(digest, taker), kept=False)

    def give_back(self, digest: str, taker: str) -> None:
        """See `Blobs.give_back`."""
        self._move(_taken(digest, taker), digest, kept=True)

    def drop_taken(self, digest: str, taker: str) -> None:
        """See `Blobs.drop_taken`."""
        self._remove(_taken(digest, taker))

    def taken(self) -> list[tuple[str, str]]:
        """See `Blobs.taken`."""
        rows = self._run(
            "SELECT name FROM attachment_files WHERE name >= %(first)s AND NOT kept ORDER BY name", first=_TAKEN
        )
        found = [name.removeprefix(_TAKEN).rpartition(".") for (name,) in rows if name.startswith(_TAKEN)]
        return [(digest, taker) for taker, _, digest in found]

    def names(self) -> list[str]:
        """See `Blobs.names`."""
        return [name for (name,) in self._run("SELECT name FROM attachment_files WHERE kept ORDER BY name")]

    def unfinished(self) -> list[str]:
        """See `Blobs.unfinished`."""
        rows = self._run("SELECT name FROM attachment_files WHERE NOT kept ORDER BY name")
        return [name.removeprefix(_MADE) for (name,) in rows if name.startswith(_MADE)]

    def close(self) -> None:
        """Close the connection."""
        with self._lock:
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def _remove(self, name: str) -> None:
        def remove(connection: PatientConnection) -> None:
            with connection.transaction():
                _drop_parts(connection, name)
                connection.execute("DELETE FROM attachment_files WHERE name = %(name)s", {"name": name})

        self._carry_out(remove)

    def _move(self, name: str, other: str, *, kept: bool) -> None:
        """Give it another name; what has that is replaced where it is about to be removed, and stays where it is kept."""
        names = {"name": name, "other": other, "kept": kept}

        def move(connection: PatientConnection) -> None:
            with connection.transaction():
                if not connection.execute("DELETE FROM attachment_files WHERE name = %(name)s", names).rowcount:
                    return  # there is none; or it was done, and its answer was lost
                begun = connection.execute(
                    "INSERT INTO attachment_files (name, kept) VALUES (%(other)s, %(kept)s) ON CONFLICT (name) DO NOTHING",
                    names,
                )
                if not begun.rowcount:
                    _drop_parts(connection, name if kept else other)
                connection.execute("UPDATE attachment_parts SET name = %(other)s WHERE name = %(name)s", names)

        self._carry_out(move)

    def _run(self, sql: str, **parameters: Any) -> list[Any]:
        def run(connection: PatientConnection) -> list[Any]:
            cursor = connection.execute(sql.encode(), parameters)
            return cursor.fetchall() if cursor.description is not None else []

        return self._carry_out(run)

    def _carry_out(self, work: Callable[[PatientConnection], T]) -> T:
        """Do it; once more where the connection is lost, as all that is done here may be done twice.

        Raises:
            Contended: The server does not answer for so long.
            Moved: It was failed over, or restored; the store has to stop.
            CannotOpen, DiskFull, UnknownOutcome: See `Blobs`.
        """
        shown, wait_s = self._connecting.target.shown, self._connecting.limits.busy_s
        give_up_at = time.monotonic() + wait_s
        with self._lock:
            while True:
                try:
                    if self._connection is None:
                        left_s = give_up_at - time.monotonic()
                        self._connection = self._connecting.connect_within(left_s, writes=self._writes)
                    with self._connection.own():
                        return work(self._connection)
                except Again as exc:
                    raise Contended(detail=str(exc)) from exc
                except psycopg.Error as exc:
                    error = raised_error_of(exc)
                    failed = _mapped(error, shown)
                    if self._connection is not None:
                        if not (error.ends or self._connection.closed):
                            raise failed from exc
                        self._connection.close()  # what ends it may not have reached it yet
                    self._connection = None
                if time.monotonic() >= give_up_at:
                    raise failed
                threading.Event().wait(PAUSE_S)


def _taken(digest: str, taker: str) -> str:
    return f"{_TAKEN}{taker}.{digest}"


def _drop_parts(connection: PatientConnection, name: str) -> None:
    with connection.long():  # the server has 2 KB of them in a row
        connection.execute("DELETE FROM attachment_parts WHERE name = %(name)s", {"name": name})


def _mapped(error: ServerError, shown: str) -> Exception:
    mapped = map_error(error, "attachments")
    if isinstance(mapped, DiskFull | UnknownOutcome):
        return mapped
    if error.ends or isinstance(mapped, Again):
        return Contended(detail=f"attachments: {error.message} ({error.state})")
    return CannotOpen(path=shown, detail=error.message)
