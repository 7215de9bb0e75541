"""Versions of behaviours that the store has heard of, in the order in which it did (design §18).

That order alone says which of two is the older one: names of versions have no order. A host registers its versions before
it takes anything over.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, final

from attrs import frozen

from tenure.errors import NotFound, OlderVersion
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import (
    Facet,
    Handler,
)
from tenure.persistence.commits.rows import (
    check_row,
    sound,
)
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.model.versions import (
    STAYS,
    Offer,
    RunVersion,
    choose,
)

from . import run_records, runtimes


@final
@frozen(kw_only=True, slots=True)
class RegisterVersions(Change):
    """Let the store hear of versions, the oldest first; what it knows already keeps its age. Answer: None.

    Attributes:
        versions: Each with its kind.
    """

    ingress = True
    always_synced = True

    versions: tuple[tuple[str, str], ...]


def _register(tx: Transaction, change: RegisterVersions) -> None:
    for kind, version in change.versions:
        if age(tx, kind, version) is None:
            tx.insert("versions.register", kind=kind, version=version, now=tx.now)


def age(statements: Statements | Transaction, kind: str, version: str) -> int | None:
    """Where a version stands in the order of the store; None where it has not heard of it."""
    row = statements.one("versions.age", kind=kind, version=version)
    if row is None:
        return None
    check_row(row, (int,), "version", f"{kind} {version}")
    found: int = row[0]
    return found


def check_known(tx: Transaction, kind: str | None, version: str) -> None:
    """Raises `NotFound` for a version of a kind that the store has not heard of."""
    if age(tx, kind or "", version) is None:
        raise NotFound(what=f"version of kind {kind!r}", key=version, advice="check the version")


def ages(statements: Statements) -> dict[tuple[str, str], int]:
    """All that the store has heard of, by kind and version."""
    rows = sound(statements.readable("versions.all"), (str, str, int))
    return {(kind, version): key for kind, version, key in rows}


def chosen(tx: Transaction, kind: str, offers: Sequence[Offer], run: RunVersion) -> Offer | None:
    """Which of these goes on with a run; see `choose`."""
    names = {run.version, *(each.version for each in offers)} - {""}
    known = {name: key for name in names if (key := age(tx, kind, name)) is not None}
    return choose(offers, run, known)


def check_takes(
    tx: Transaction, runtime_id: LogicalRuntimeId, kind: str, runtime: int, run: int | None, offers: Sequence[Offer]
) -> None:
    """Raises `OlderVersion` where none of these goes on with the run that a runtime would enter next."""
    row = tx.one("versions.waiting", runtime=runtime, run=run)
    if row is None:
        return
    check_row(row, (str, int, str, int), "run", runtime_id)
    waiting = read_waiting(*row)
    if chosen(tx, kind, offers, waiting) is None:
        raise OlderVersion(
            runtime_id=runtime_id,
            recorded=waiting.version,
            offered=", ".join([each.version or "none" for each in offers]),
        )


@final
@frozen(kw_only=True, slots=True)
class RunLeft:
    """The runtime is given up: a younger version has recorded its run.

    Attributes:
        version: Which version that is.
    """

    version: str


def goes_on(tx: Transaction, kind: str | None, run: run_records.RunRecord, offers: Sequence[Offer]) -> Offer | None:
    """Which of these goes on with a run; None where none does."""
    if not run.version:
        return offers[0]  # of no version: whatever is there goes on with it
    recorded = tx.one("versions.recorded", run=run.run) is not None
    return chosen(tx, kind or "", offers, read_waiting(run.version, run.attempts, run.ways, recorded))


def leave(tx: Transaction, record: runtimes.RuntimeRecord, run: run_records.RunRecord) -> RunLeft:
    """Give a runtime up, for a host that has the version of its run."""
    record.owner = None
    runtimes.save(tx, record)
    return RunLeft(version=run.version)


def read_waiting(version: str, attempts: int, ways: str, recorded: object) -> RunVersion:
    """What the row of a run says of versions."""
    stays = STAYS in ways.split()
    return RunVersion(version=version, recorded=bool(recorded) or stays, failed=attempts > 0, stays=stays)


FACET: Final = Facet(name="versions", handlers={RegisterVersions: Handler(apply=_register)})
