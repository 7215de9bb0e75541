"""What the errors of the server mean; mapped here and nowhere else."""

from __future__ import annotations

import errno
import os
import socket
from typing import Final, final

import psycopg
from attrs import frozen
from psycopg import pq

from tenure.errors import Corrupt, CounterOverflow, DiskFull, Internal, InvalidInput
from tenure.persistence.engines.engine import Again, NotStorable, UnknownOutcome

READ_ONLY: Final = "25006"
NO_RIGHT: Final = "42501"
QUERY_CANCELED: Final = "57014"
LOCK_NOT_AVAILABLE: Final = "55P03"
PROTOCOL_VIOLATION: Final = "08P01"  # bytes that are no value of the type that stands there, say

LASTING: Final = frozenset(
    {
        READ_ONLY,  # the server has become a standby
        "53200",  # no memory left
        "53400",  # a limit that was set on the server
        NO_RIGHT,  # one that was taken away since the store was opened
        "42P01",  # no such table: without USAGE on the schema, or once that was renamed, none is seen
    }
)
"""What a try that follows at once would meet again."""

_AGAIN: Final = LASTING | {
    "40001",  # serialization failure
    "40P01",  # deadlock
    "23505",  # another host inserted the same key first: a further try finds it
    LOCK_NOT_AVAILABLE,
    QUERY_CANCELED,
}
ANOTHER_SESSION: Final = frozenset(
    {
        "26000",  # no such prepared statement, and this connection has made it
        "42P05",  # there is one of the name, and this connection has made none
    }
)
"""Only where the session of the server is another one than before."""

_OVERFLOWS: Final = frozenset({"22003", "2200H"})  # a number that is out of range; a sequence at its end
_REFUSED_VALUES: Final = frozenset({"22021", "22P05", "54000"})
_NOT_YET: Final = ("08", "57P", "53300")  # cannot connect now: lost on the way, starting up, no place left

_SEVERITY: Final = pq.DiagnosticField.SEVERITY_NONLOCALIZED
_SHOWN_SEVERITY: Final = pq.DiagnosticField.SEVERITY
_STATE: Final = pq.DiagnosticField.SQLSTATE
_MESSAGE: Final = pq.DiagnosticField.MESSAGE_PRIMARY


class Lost(Exception):
    """The connection is gone, or the server does not answer on it any more."""


@final
@frozen(kw_only=True, slots=True)
class ServerError:
    """An error that the server has answered with.

    Attributes:
        state: Its SQLSTATE.
        message: Its words; they may quote a value.
        ends: Whether the connection ends with it.
    """

    state: str
    message: str
    ends: bool


def error_of(result: pq.abc.PGresult) -> ServerError:
    """The error that a result holds."""
    fields = {each: result.error_field(each) or b"" for each in (_SEVERITY, _SHOWN_SEVERITY, _STATE, _MESSAGE)}
    text = {each: value.decode("utf-8", "replace") for each, value in fields.items()}
    return ServerError(
        state=text[_STATE],
        message=text[_MESSAGE] or result.error_message.decode("utf-8", "replace").strip(),
        ends=_ends(text[_SEVERITY], text[_SHOWN_SEVERITY]),
    )


def raised_error_of(exc: psycopg.Error) -> ServerError:
    """The error that psycopg has raised; one without a state is a connection that is lost."""
    message = str(exc).strip()
    if exc.sqlstate is None:
        return ServerError(state="08006", message=message, ends=True)
    ends = _ends(exc.diag.severity_nonlocalized, exc.diag.severity)
    return ServerError(state=exc.sqlstate, message=message, ends=ends)


def _ends(severity: str | None, shown: str | None) -> bool:
    """Whether an error of a severity ends the connection. A pooler says only what is shown to people, in English."""
    return (severity or shown) in {"FATAL", "PANIC"}


def map_error(error: ServerError, doing: str) -> Exception:
    """The error of tenure that an error of the server stands for, while `doing` something; nothing of the group landed."""
    state, said = error.state, f"{doing}: {error.message} ({error.state})"
    # Cases: to be tried again, full, out of range, a value that no column takes, damaged, failed I/O, and what only a mistake
    # of ours can cause.
    if state in _AGAIN or (state.startswith("08") and state != PROTOCOL_VIOLATION):
        mapped: Exception = Again(said)
    elif state == "53100":
        mapped = DiskFull()
    elif state in _OVERFLOWS:
        mapped = CounterOverflow(counter=doing)
    elif state in _REFUSED_VALUES:
        mapped = InvalidInput(detail=said)
    elif state.startswith("XX00") and state != "XX000":
        mapped = Corrupt(record="database", key=doing, detail=error.message)
    elif state.startswith("58"):
        mapped = UnknownOutcome(said)
    else:
        mapped = Internal(detail=said)
    return mapped


def not_storable(error: ServerError) -> NotStorable | None:
    """The same for a statement whose values are what may be wrong; None where they are not."""
    is_value = error.state[:2] in {"22", "23", "42"} or error.state == PROTOCOL_VIOLATION
    return NotStorable(error.message) if is_value else None


def is_not_yet(message: str, state: str | None) -> bool:
    """Whether a connection that could not be made may be made a little later."""
    later = (
        *_LATER,
        *map(os.strerror, _ON_THE_WAY),
        f"failed: {os.strerror(errno.ENOENT)}",
    )  # in the language of the system
    return (state is not None and state.startswith(_NOT_YET)) or any(each in message for each in later)


_ON_THE_WAY: Final = (
    errno.ECONNREFUSED,
    errno.ECONNRESET,
    errno.ETIMEDOUT,
    errno.EPIPE,
    errno.EHOSTUNREACH,
    errno.EHOSTDOWN,
    errno.ENETUNREACH,
    errno.ENETDOWN,
)
_LATER: Final = (
    # of the server, or of a pooler before it
    "starting up",
    "shutting down",
    "recovery",
    "not yet accepting connections",
    "not accepting connections",
    "terminating connection",
    "too many clients",
    "too many connections",
    "remaining connection slots",
    "no more connections allowed",
    "client connections exceeded",
    "could not fork new process",
    "out of memory",
    "cannot connect to server",
    "server_login_retry",
    "query_wait_timeout",
    "client_login_timeout",
    # of the way there
    "Connection refused",
    "Connection reset",
    "Connection timed out",
    "Broken pipe",
    "closed the connection",
    "unexpected eof",
    "EOF detected",
    "timeout expired",
    "No route to host",
    "Host is down",
    "Network is unreachable",
    "Network is down",
    "Temporary failure in name resolution",
    f"[Errno {socket.EAI_AGAIN}]",  # the same, as psycopg says it
    # a socket of the system, which the server removes when it ends
    "failed: No such file or directory",
)
"""Words of what goes away by itself. A server that speaks another language (`lc_messages`) is not understood: see
`Connecting.connect`, and docs/postgres.md."""
