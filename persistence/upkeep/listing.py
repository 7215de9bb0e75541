"""What lies in an inbox, and which hosts there are: read for people from outside; it writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, final

import attrs
from attrs import field, frozen

from tenure.errors import KeyMissing, NotFound
from tenure.persistence.commits.rows import (
    NUMBER,
    OPTIONAL_BYTES,
    OPTIONAL_INT,
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
    PAGE,
    Types,
    check_row,
    sound,
)
from tenure.persistence.commits.upkept import BELOW_ALL
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.facets.ownership.draining import Drain, read_max_owned
from tenure.persistence.facets.runs import results
from tenure.persistence.model.inputs.input_state import origin_of
from tenure.persistence.model.texts import SealedBytes
from tenure.persistence.model.values import InputId, LogicalRuntimeId

_WITH_WORK: Final[Types] = (int, int, OPTIONAL_INT, OPTIONAL_TEXT, OPTIONAL_TEXT)

NAMED: Final = 10
"""Kinds that a text names at most."""

LOOKED_AT: Final = 100_000
"""Runtimes with work that are looked at for their kinds, at most."""

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
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
    OPTIONAL_BYTES,
    OPTIONAL_TEXT,
    OPTIONAL_NUMBER,
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
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
    OPTIONAL_TEXT,
    OPTIONAL_TEXT,
)


@final
@frozen(kw_only=True, slots=True)
class InboxLine:
    """One input.

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
        deadline_at: When it is abandoned unless it is done, unix seconds, or None.
        error: The last error of a run over it, or None.
        payload: Encoded.
        reason: Why it was abandoned, or None.
        finished_at: When it ended, unix seconds, or None.
        due_at: When it comes into the inbox, unix seconds; None where it is there, or has been.
        correlation_id: What it answers, or None.
        traceparent: The context of the request that brought it, or None.
        result: Its result, encoded, or None.
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
    deadline_at: float | None
    error: str | None
    payload: bytes | None = field(repr=False)
    reason: str | None
    finished_at: float | None
    due_at: float | None
    correlation_id: str | None
    traceparent: str | None
    result: bytes | None = field(default=None, repr=False)


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
        drain: ``drains`` or ``drained``, or what it was asked for and has not begun, or None.
        kinds: The kinds that it has a behaviour of; None where they cannot be read.
        max_owned: By kind, the most that it owns, where it has such bounds; None also where they cannot be read.
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
    drain: str | None
    kinds: tuple[str, ...] | None
    max_owned: Mapping[str, int] | None


def list_inbox(
    statements: Statements, runtime_id: LogicalRuntimeId, after: int = BELOW_ALL, *, ended: bool = False
) -> list[InboxLine]:
    """A page of the inputs of a runtime, in their order, after an admission: the unfinished, or all of them.

    Raises:
        NotFound: There is no such runtime.
        Corrupt: A row is damaged.
    """
    if statements.one("verification.runtime", runtime_id=runtime_id) is None:
        raise NotFound(what="runtime", key=runtime_id)
    name = "listing.inputs" if ended else "listing.inbox"
    rows = statements.all(name, runtime_id=runtime_id, after=after, count=PAGE)
    return [_input(statements, runtime_id, row) for row in rows]


def find_input(statements: Statements, runtime_id: LogicalRuntimeId, input_id: str) -> InboxLine:
    """One input. Raises `NotFound`, `Corrupt`."""
    row = statements.one("listing.input", runtime_id=runtime_id, input_id=input_id)
    if row is None:
        raise NotFound(what="input", key=input_id)
    return _input(statements, runtime_id, row)


def _input(statements: Statements, runtime_id: LogicalRuntimeId, row: Row) -> InboxLine:
    check_row(row, _INPUT, "input", row[1])
    *facts, extra = row
    origin = origin_of(extra, row[1])
    line = InboxLine(
        **dict(zip(_names(InboxLine)[: len(facts)], facts, strict=True)),
        correlation_id=origin.correlation_id,
        traceparent=origin.traceparent,
    )
    try:
        result = results.find(statements, runtime_id, InputId(line.input_id))
    except KeyMissing as exc:  # of a look without the key: it is sealed, as its payload is
        result = SealedBytes.under(exc.key_id, b"")
    return attrs.evolve(line, result=result)


def list_hosts(statements: Statements, after: int = -1) -> list[HostLine]:
    """A page of all hosts that ever opened the store, in the order in which they did; a damaged row hides no other."""
    rows = sound(statements.readable("listing.hosts", after=after, count=PAGE), _HOST)
    return [_host(row) for row in rows]


def _host(row: Row) -> HostLine:
    said = read_max_owned(row[-1])
    bounds = {} if said is None else {kind: most for kind, most in said.items() if most is not None}
    facts = dict(zip(_names(HostLine)[:-2], row[:-1], strict=True))
    return HostLine(**facts, kinds=None if said is None else tuple(said), max_owned=bounds or None)


def _names(kind: type[InboxLine | HostLine]) -> list[str]:
    return [each.name for each in attrs.fields(kind)]


def keeps_hosts_away(statements: Statements, kind: str | None, *, no_host: bool) -> str:
    """What keeps each host that lives from taking it, by what the hosts say in their rows."""
    # Cases: there is no host; none has behaviours, as clients and a command that asks this have none; it has no kind; no host
    # has a behaviour of its kind; of those that have, each drains or owns as many as it may; one could take it, and has not:
    # it looks in a moment, or lacks the version of its run.
    open_hosts = [] if no_host else statements.readable("verification.living_hosts")
    hosts = [row for row in sound(open_hosts, (int, OPTIONAL_TEXT, OPTIONAL_TEXT)) if read_max_owned(row[1]) != {}]
    if not hosts:
        return "none that has behaviours has the store open" if open_hosts else "none has the store open"
    if kind is None:
        return f"none of {len(hosts)} that have behaviours takes what has no kind"
    able = [
        (host, bounds[kind], drain) for host, said, drain in hosts if kind in (bounds := read_max_owned(said) or {})
    ]
    if not able:
        known = sorted(_kinds_of(hosts))
        named = f"; they have {', '.join(map(repr, known[:NAMED]))}{' and more' if len(known) > NAMED else ''}"
        return f"none of {len(hosts)} that have behaviours has one of its kind {kind!r}{named if known else ''}"
    drain = [host for host, _, said in able if said in (Drain.DRAINS, Drain.DRAINED)]
    full = [most for host, most, _ in able if host not in drain and _is_full(statements, host, kind, most)]
    why = [
        *([f"{len(drain)} drain{'s' if len(drain) == 1 else ''}"] if drain else ()),
        *(
            [f"{len(full)} own{'s' if len(full) == 1 else ''} as many as max_owned says ({_numbers(full)})"]
            if full
            else ()
        ),
        *(["the rest look again in a moment, or lack the version of its run"] if len(drain + full) < len(able) else ()),
    ]
    return f"of {len(able)} that have a behaviour of its kind {kind!r}, {', '.join(why)}"


def kinds_without_hosts(statements: Statements) -> dict[str, int]:
    """The kinds of which runtimes have work and no living host has a behaviour, each with how many: mistyped ones, as a rule.

    It costs what is open, and looks at `LOOKED_AT` runtimes with work at most.
    """
    served, found, after = _kinds_of(statements.readable("verification.living_hosts")), dict[str, int](), 0
    for _ in range(LOOKED_AT // PAGE):
        rows = sound(
            statements.readable("ownership.with_work", after=after, count=PAGE),
            _WITH_WORK,
        )
        for place, runtime, _, _, kind in rows:
            if place > PAGE:
                after = runtime - 1
            elif kind is not None and kind not in served:
                found[kind] = found.get(kind, 0) + 1
        if not any(place > PAGE for place, *_ in rows):
            break
    return dict(sorted(found.items()))


def _kinds_of(hosts: Sequence[Row]) -> set[str]:
    return {
        kind for _, said, _ in sound(hosts, (int, OPTIONAL_TEXT, OPTIONAL_TEXT)) for kind in read_max_owned(said) or ()
    }


def _is_full(statements: Statements, host: int, kind: str, most: int | None) -> bool:
    (owned,) = statements.one("verification.owned_of_kind", host=host, kind=kind) or (0,)
    return most is not None and owned >= most


def _numbers(numbers: list[int | None]) -> str:
    return ", ".join(sorted({str(each) for each in numbers}))
