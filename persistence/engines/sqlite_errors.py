"""What the errors of APSW mean; mapped here and nowhere else."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager, suppress
from typing import Final

import apsw

from tenure.errors import CannotOpen, Closed, Contended, Corrupt, CounterOverflow, DiskFull, Internal, InvalidInput

from .engine import UnknownOutcome


def close_quietly(connection: apsw.Connection) -> None:
    """Close a connection, whatever it says."""
    with suppress(apsw.Error):  # closing writes nothing: there is nothing that could be lost
        connection.close()


@contextmanager
def mapped_errors(doing: str, path: str) -> Generator[None]:
    """Map what the driver raises while a file is being opened, migrated or copied; `path` is the file."""
    try:
        yield
    except (apsw.CantOpenError, apsw.ReadOnlyError, apsw.PermissionsError) as exc:
        raise CannotOpen(path=path, detail=str(exc)) from exc
    except apsw.Error as exc:
        raise map_error(exc, doing) from exc


STATEMENT_ERRORS: Final = (apsw.Error, UnicodeDecodeError, OverflowError)
"""What a statement may raise: SQLite's errors, a stored text that is no UTF-8, an integer beyond 64 bits."""


def map_statement_error(exc: apsw.Error | UnicodeDecodeError | OverflowError, doing: str) -> Exception:
    """The error of tenure that an error of a statement stands for."""
    if isinstance(exc, UnicodeDecodeError):
        return Corrupt(record="row", key=doing, detail="a text is no UTF-8")
    return CounterOverflow(counter=doing) if isinstance(exc, OverflowError) else map_error(exc, doing)


def map_error(exc: apsw.Error, doing: str) -> Exception:
    """The error of tenure that an error of the driver stands for, while `doing` something."""
    # Cases: full, busy, damaged, failed I/O, too big for SQLite, closed meanwhile, and what only a mistake of ours can cause.
    match exc:
        case apsw.FullError():
            mapped: Exception = DiskFull()
        case apsw.BusyError() | apsw.LockedError() | apsw.ProtocolError():
            mapped = Contended(detail=f"{doing}: {exc}")
        case apsw.CorruptError() | apsw.NotADBError():
            mapped = Corrupt(record="database", key=doing, detail=str(exc))
        case apsw.IOError() | apsw.CantOpenError() | apsw.NoMemError():
            mapped = UnknownOutcome(f"{doing}: {exc}")
        case apsw.TooBigError():
            mapped = InvalidInput(detail=str(exc))
        case apsw.ConnectionClosedError():
            mapped = Closed(what="store")
        case _:
            mapped = Internal(detail=f"{doing}: {exc}")
    return mapped
