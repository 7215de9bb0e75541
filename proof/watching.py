"""What the kit sees of an open store: every group that lands, with the whole state that it left.

It looks below the public verbs on purpose. A promise is checked against all rows, not against what a verb makes of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from tenure.persistence.commits.commit import (
    Change,
    Commit,
    CommitResult,
)
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets import pruning
from tenure.persistence.facets.conversation import sessions
from tenure.persistence.facets.journal import facts, streams
from tenure.persistence.facets.ownership import ownership
from tenure.persistence.facets.records import (
    run_records,
    runtimes,
)
from tenure.persistence.facets.runs import entries, runs
from tenure.persistence.facets.state import state
from tenure.persistence.store import Store
from tenure.persistence.writing.group import (
    GroupBroken,
    GroupRunner,
    Outcome,
)
from tenure.testing.history import Witness

if TYPE_CHECKING:
    import apsw

Promises = Callable[[Change, Any], Sequence[tuple[str, Any]]]
"""What is promised by the answer to a change: subjects and values for the witness."""

_OF_HOSTS: Final = "hosts"  # every open writes there, so it is no part of what a group left

_MAY_WRITE_NOTHING: Final = (
    ownership.RenewLease,
    ownership.MarkLost,
    ownership.CloseHost,
    pruning.Prune,
    runs.AcquitRun,
    runs.BeginRun,
    runs.UnstageRun,
    entries.CatchEntry,
    facts.PruneFacts,
    facts.SaveFact,
    state.SaveExecution,
    state.SweepExpired,
)
"""Of these a group may leave all rows but those of its host as they were."""

_encode = msgspec.msgpack.Encoder().encode


def database(store: Store) -> apsw.Connection:
    """The connection that writes; on a machine of the kit everything runs on one thread."""
    return cast("apsw.Connection", cast("Any", store)._opened.connection._db)  # noqa: SLF001 - see the module


def statements(store: Store) -> Statements:
    """The named statements, on the connection that writes."""
    return cast("Statements", cast("Any", store)._opened.connection)  # noqa: SLF001 - see the module


def state_of(store: Store) -> bytes:
    """A digest of every row of the store but those of its hosts."""
    db = database(store)
    digest = hashlib.blake2b(digest_size=16)
    for (table,) in db.execute("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name").fetchall():
        if table != _OF_HOSTS:
            digest.update(_encode((table, db.execute(f'SELECT * FROM "{table}"').fetchall())))  # noqa: S608 - from the schema
    return digest.digest()


def watch(store: Store, witness: Witness, promises: Promises, landed: set[type[Change]]) -> None:
    """Tell the witness of each group: that it is attempted, what it promised, and the state that it left.

    Args:
        store: An open store.
        witness: Who is told.
        promises: What an answer promises.
        landed: Collects the types of changes that landed.
    """
    runner: GroupRunner = cast("Any", store)._writer._runner  # noqa: SLF001 - see the module
    carry_out = runner.run
    left = [b""]

    def run(group: int, commits: Sequence[Commit]) -> list[Outcome]:
        name = (runner.host.incarnation, group)
        witness.attempted("group", name)
        empty = all(isinstance(change, _MAY_WRITE_NOTHING) for commit in commits for change in commit.changes)
        if empty:
            witness.noted("empty", name)
        try:
            outcomes = carry_out(group, commits)
        except GroupBroken as exc:
            if any(exc.in_doubt):
                witness.in_doubt("group", name)
            raise
        check_records(runner, statements(store))
        written = [
            (commit, outcome)
            for commit, outcome in zip(commits, outcomes, strict=True)
            if isinstance(outcome, CommitResult) and outcome.written
        ]
        if written:
            witness.acknowledged("group", name)
            for commit, outcome in written:
                _tell(commit, outcome, witness, promises)
                landed.update(type(change) for change in commit.changes)
            before, left[0] = left[0], state_of(store)
            assert empty or left[0] != before, f"group {name} wrote nothing: is one of its changes to be listed above?"
            witness.noted("state", (*name, left[0]))
        return outcomes

    runner.run = run  # type: ignore[method-assign]


def check_records(runner: GroupRunner, stored: Statements) -> None:
    """What the writer keeps in hand from group to group is what is stored."""
    find: dict[str, Callable[[Statements, Any], object]] = {
        runtimes.RECORD: runtimes.find,
        sessions.RECORD: sessions.find,
        run_records.RECORD: run_records.find,
        streams.RECORD: streams.find,
    }
    for (kind, key), record in cast("Any", runner)._records.found.items():  # noqa: SLF001 - see the module
        assert find[kind](stored, key) == record, f"the {kind} {key} in hand is not what is stored"


def _tell(commit: Commit, result: CommitResult, witness: Witness, promises: Promises) -> None:
    for change, value in zip(commit.changes, result.values, strict=True):
        for subject, promised in promises(change, value):
            witness.acknowledged(subject, promised)
