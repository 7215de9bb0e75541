"""What lies in an inbox, and which hosts there are: read for people from outside; it writes nothing."""

from __future__ import annotations

from typing import Final, final

import attrs
from attrs import field, frozen

from tenure.errors import NotFound
from tenure.persistence.commits.rows import (
    NUMBER,
    OPTIONAL_BYTES,
    OPTIONAL_INT,
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
    Types,
    check_row,
    sound,
)
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.values import LogicalRuntimeId

PAGE: Final = 500
"""Rows that are listed at a time."""

_INPUT: Final[Types] = (
    int,
    str,
    str,
    str,
    str,
    str,
    OPTIONAL_TEXT,
    int,
    OPTIONAL_INT,
    NUMBER,
    OPTIONAL_TEXT,
    OPTIONAL_BYTES,
)

_HOST: Final[Types] = (
    int,
    str,
    str,
    int,
    str,
    NUMBER,
    OPTIONAL_NUMBER,
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
    int,
)


@final
@frozen(kw_only=True, slots=True)
class InboxLine:
    """One unfinished input.

    Attributes:
        admission: Its place in the order of the inbox.
        input_id: Its id.
        kind: What sort of message.
        lane: ``queue`` or ``steer``.
        phase: How far it has come.
        source: Where it came from.
        idempotency_key: Its key, or None.
        attempts: How many runs over it failed.
        size: Bytes of its payload.
        created_at: When it was accepted, unix seconds.
        error: The last error of a run over it, or None.
        payload: Encoded.
    """

    admission: int
    input_id: str
    kind: str
    lane: str
    phase: str
    source: str
    idempotency_key: str | None
    attempts: int
    size: int | None
    created_at: float
    error: str | None
    payload: bytes | None = field(repr=False)


@final
@frozen(kw_only=True, slots=True)
class HostLine:
    """One host.

    Attributes:
        host: Its key; hosts are listed by it.
        incarnation: Who it is.
        host_name: The name of its machine.
        pid: Its process.
        durability: The durability class it writes with.
        opened_at: When it opened the store, unix seconds.
        closed_at: When it closed it in order, or None.
        lost_at: When another host found it lost, or None.
        lost_how: ``seized`` or ``lapsed``, or None.
        runtimes: How many runtimes are written as its own.
    """

    host: int
    incarnation: str
    host_name: str
    pid: int
    durability: str
    opened_at: float
    closed_at: float | None
    lost_at: float | None
    lost_how: str | None
    runtimes: int


def list_inbox(statements: Statements, runtime_id: LogicalRuntimeId, after: int = -1) -> list[InboxLine]:
    """A page of the unfinished inputs of a runtime, in their order, behind an admission.

    Raises:
        NotFound: There is no such runtime.
        Corrupt: A row is damaged.
    """
    if statements.one("verification.runtime", runtime_id=runtime_id) is None:
        raise NotFound(what="runtime", key=runtime_id)
    rows = statements.all("listing.inbox", runtime_id=runtime_id, after=after, count=PAGE)
    for row in rows:
        check_row(row, _INPUT, "input", row[1])
    return [InboxLine(**dict(zip(_names(InboxLine), row, strict=True))) for row in rows]


def list_hosts(statements: Statements, after: int = -1) -> list[HostLine]:
    """A page of all hosts that ever opened the store, in the order in which they did; a damaged row hides no other."""
    rows = sound(statements.readable("listing.hosts", after=after, count=PAGE), _HOST)
    return [HostLine(**dict(zip(_names(HostLine), row, strict=True))) for row in rows]


def _names(kind: type[InboxLine | HostLine]) -> list[str]:
    return [each.name for each in attrs.fields(kind)]
