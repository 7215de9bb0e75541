"""Inspection: what is stored of runtimes, for people and programs that look from outside; it writes nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, cast, final

from attrs import frozen

from tenure.errors import KeyMissing, NotFound, ReadFailed, WrongKey
from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.rows import (
    OPTIONAL_TEXT,
    PAGE,
    Types,
    sound,
)
from tenure.persistence.commits.upkept import Subject
from tenure.persistence.engines.engine import Row, SqlValue, Statements
from tenure.persistence.facets.catalog import FACETS
from tenure.persistence.facets.records import labels
from tenure.persistence.model.labels import Labels
from tenure.persistence.model.values import LogicalRuntimeId, RuntimeState

COUNTED: Final = 1_000
"""How far the unfinished inputs of a runtime are counted in a list."""

_LINE: Final[Types] = (str, OPTIONAL_TEXT, str, int, int, OPTIONAL_TEXT, OPTIONAL_TEXT, int, int, int, int)


@final
@frozen(kw_only=True, slots=True)
class RuntimeLine:
    """One runtime in a list.

    Attributes:
        runtime_id: Its id.
        kind: Names its behaviour, or None.
        state: Its durable state.
        generation: Which life of it.
        fence_token: The token last minted for it; 0 for none.
        held: Why no run starts, or None.
        owner: Incarnation of the host that has it, or None.
        on_hold: Whether a person keeps it, or its kind, from beginning anything.
        inputs: How many inputs are unfinished, counted up to 1,000.
        aside: Whether its run is put aside: it waits, and no host has it in memory.
        labels: Its labels, by name; None where they cannot be read.
    """

    runtime_id: LogicalRuntimeId
    kind: str | None
    state: str
    generation: int
    fence_token: int
    held: str | None
    owner: str | None
    on_hold: bool
    inputs: int
    aside: bool
    labels: Mapping[str, str] | None


@final
@frozen(kw_only=True, slots=True)
class Wanted:
    """Which runtimes are listed; without anything all of them.

    Attributes:
        kind: Those of this kind.
        state: Those in this state, as it is stored.
        held: Those that are held, or on hold.
        parent: The children of this runtime.
        labels: Those that have each of these.
    """

    kind: str | None = None
    state: RuntimeState | None = None
    held: bool = False
    parent: LogicalRuntimeId | None = None
    labels: Labels = ()


EVERY: Final = Wanted()
"""All of them."""


def list_runtimes(
    statements: Statements, after: str = "", count: int = PAGE, wanted: Wanted = EVERY
) -> list[RuntimeLine]:
    """A page of the runtimes that are wanted, by id, after `after`; one whose row is not text hides no other.

    Of labels: one that the index finds, and whose labels cannot be read, is listed without them. Who acts on it says so.

    Raises `KeyMissing`, `WrongKey` where they are chosen by labels, and those of one cannot be unsealed.
    """
    asked: dict[str, SqlValue] = {
        "most": COUNTED,
        "kind": wanted.kind,
        "state": wanted.state,
        "held": int(wanted.held),
        "parent": wanted.parent,
    }
    if not wanted.labels:
        rows = statements.readable("runtimes.list", after=after, count=count, **asked)
        return [_line(statements, row) for row in sound(rows, _LINE)]
    found: list[RuntimeLine] = []
    for runtime_id in labels.having(statements, wanted.labels, after):
        for row in sound(statements.readable("runtimes.listed", runtime_id=runtime_id, **asked), _LINE):
            line = _line(statements, row, by_labels=True)
            # As its own set says, and not the index alone; it is the index that says so where the set is damaged.
            if line.labels is None or set(wanted.labels) <= set(line.labels.items()):
                found.append(line)
        if len(found) == count:
            break
    return found


def _line(statements: Statements, row: Row, *, by_labels: bool = False) -> RuntimeLine:
    runtime_id, kind, state, generation, token, held, owner, on_hold, inputs, aside, runtime = row
    return RuntimeLine(
        runtime_id=runtime_id,
        kind=kind,
        state=state,
        generation=generation,
        fence_token=token,
        held=held,
        owner=owner,
        on_hold=bool(on_hold),
        inputs=inputs,
        aside=bool(aside),
        labels=_labels(statements, runtime, runtime_id, by_labels=by_labels),
    )


def _labels(statements: Statements, runtime: int, runtime_id: str, *, by_labels: bool) -> Mapping[str, str] | None:
    try:
        return labels.of_runtime(statements, runtime, runtime_id)
    except ReadFailed as exc:
        if by_labels and isinstance(exc, (KeyMissing, WrongKey)):
            raise  # nothing can be chosen by labels without the key, and an empty list would say that there is nothing
        return None  # `verify` says why


def show_runtime(
    statements: Statements, runtime_id: LogicalRuntimeId, facets: Sequence[Facet] = FACETS
) -> dict[str, Any]:
    """Everything about one runtime that is not its content, as a JSON object; with what each facet shows.

    Raises:
        NotFound: There is no such runtime.
    """
    row = statements.one("verification.facts", runtime_id=runtime_id)
    key = statements.one("verification.runtime", runtime_id=runtime_id)
    if row is None or key is None:
        raise NotFound(what="runtime", key=runtime_id)
    kind, state, held, held_detail, generation, token, epoch, crashes, boundaries, created_at, updated_at = row[:11]
    incarnation, host_name, pid, session_id, revision, count, digest, run_id, attempts, retry_at, error, since = row[
        11:
    ]
    shown: dict[str, Any] = {
        "runtime_id": runtime_id,
        "kind": kind,
        "state": state,
        "held": None if held is None else {"reason": held, "detail": held_detail},
        "generation": generation,
        "fence_token": token,
        "epoch": epoch,
        "crashes": crashes,
        "chain_length": boundaries,
        "created_at": created_at,
        "updated_at": updated_at,
        "owner": None if incarnation is None else {"incarnation": incarnation, "host": host_name, "pid": pid},
        "session": None
        if session_id is None
        else {
            "session_id": session_id,
            "head_revision": revision,
            "message_count": count,
            "revision": digest.hex() if isinstance(digest, bytes) else None,
            "quarantined_since": since,
        },
        "run": None
        if run_id is None
        else {"run_id": run_id, "failed_attempts": attempts, "retry_at": retry_at, "error": error},
        "inputs": {str(phase): number for phase, number in statements.all("verification.counts", runtime=key[0])},
    }
    _add(shown, statements, Subject(runtime=key[0], runtime_id=runtime_id, session_id=session_id), facets)
    return shown


def _add(shown: dict[str, Any], statements: Statements, subject: Subject, facets: Sequence[Facet]) -> None:
    for facet in facets:
        for name, read in facet.show.items():
            earlier, found = shown.get(name), read(statements, subject)
            if isinstance(earlier, dict) and isinstance(found, dict):
                cast("dict[str, Any]", earlier).update(cast("dict[str, Any]", found))
            elif name not in shown:
                shown[name] = found
