"""What the kit sees of an open store: every group that lands, with the whole state that it left.

It looks below the public verbs on purpose. A promise is checked against all rows, not against what a verb makes of them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, cast

import msgspec

from proof.promises.facets import QUIET
from tenure.persistence.commits.commit import (
    Change,
    Commit,
    CommitResult,
)
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.conversation import sessions
from tenure.persistence.facets.graph import nodes
from tenure.persistence.facets.journal import streams
from tenure.persistence.facets.queue import batches, claims
from tenure.persistence.facets.records import (
    holds,
    run_records,
    runtimes,
    spoken,
)
from tenure.persistence.facets.state import bindings
from tenure.persistence.seams.seams import Seams
from tenure.persistence.writing.group import (
    GroupBroken,
    Outcome,
)
from tenure.persistence.writing.inside import Inside
from tenure.persistence.writing.pending import CarryOut
from tenure.testing.history import Witness
from tenure.testing.observing import seen

Promises = Callable[[Change, Any], Sequence[tuple[str, Any]]]
"""What is promised by the answer to a change: subjects and values for the witness."""

_OF_HOSTS: Final = "hosts"  # every open writes there, so it is not part of what a group left

_encode = msgspec.msgpack.Encoder().encode


def state_of(inside: Inside) -> bytes:
    """A digest of every row of a store but those of its hosts."""
    digest = hashlib.blake2b(digest_size=16)
    for table in inside.tables:
        if table != _OF_HOSTS:
            digest.update(_encode((table, inside.rows(f'SELECT * FROM "{table}"'))))  # noqa: S608 - from the schema
    return digest.digest()


def watched(seams: Seams, witness: Witness, promises: Promises, landed: set[type[Change]]) -> Seams:
    """The same seams: what opens with them is watched from its first group on, which a supervisor writes while it opens."""
    return seen(seams, lambda inside: watch(inside, witness, promises, landed))


def watch(inside: Inside, witness: Witness, promises: Promises, landed: set[type[Change]]) -> None:
    """Note each group with the witness: that it is attempted, what it promised, and the state that it left.

    Args:
        inside: The inside of an open store.
        witness: Where it is noted.
        promises: What an answer promises.
        landed: Collects the types of changes that landed.
    """
    left = [b""]

    def run(carry_out: CarryOut, group: int, commits: Sequence[Commit]) -> list[Outcome]:
        name = (inside.incarnation, group)
        witness.attempted("group", name)
        empty = all(isinstance(change, QUIET) for commit in commits for change in commit.changes)
        if empty:
            witness.noted("empty", name)
        try:
            outcomes = carry_out(group, commits)
        except GroupBroken as exc:
            if any(exc.in_doubt):
                witness.in_doubt("group", name)
            raise
        check_records(inside)
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
            before, left[0] = left[0], state_of(inside)
            assert empty or left[0] != before, f"group {name} wrote nothing: is one of its changes to be listed above?"
            witness.noted("state", (*name, left[0]))
        return outcomes

    inside.observe(lambda carry_out: partial(run, carry_out))


def check_records(inside: Inside) -> None:
    """What the writer keeps cached from group to group is what is stored."""
    find: dict[str, Callable[[Statements, Any], object]] = {
        runtimes.RECORD: runtimes.find,
        holds.RECORD: holds.find,
        sessions.RECORD: sessions.find,
        run_records.RECORD: run_records.find,
        streams.RECORD: streams.find,
        spoken.RECORD: spoken.find,
        batches.COUNTER: batches.find_counter,
        sessions.OWNER: nodes.find_owner,
        claims.RECORD: claims.find_stored,
        bindings.NONE_BOUND: bindings.find_none_bound,
    }
    for (kind, key), record in cast("Mapping[tuple[str, Any], object]", inside.kept).items():
        assert find[kind](inside.statements, key) == record, f"the {kind} {key} in the cache is not what is stored"
        if isinstance(record, sessions.SessionRecord):
            _check_seen(inside.statements, record)


def _check_seen(statements: Statements, record: sessions.SessionRecord) -> None:
    """What a session was seen to be beside its row is so; the row of a node that is the head no more may be gone."""
    if record.named is not None:
        node, node_id = record.named
        is_there = node == record.head or statements.one("nodes.one", node=node) is not None
        assert not is_there or nodes.id_of(statements, node) == node_id, f"node {node} is not {node_id}"
    if record.no_checkpoint:
        row = statements.one("checkpoints.load", session=record.session)
        assert row is None, f"session {record.session_id} has a checkpoint"


def _tell(commit: Commit, result: CommitResult, witness: Witness, promises: Promises) -> None:
    for change, value in zip(commit.changes, result.values, strict=True):
        for subject, promised in promises(change, value):
            witness.acknowledged(subject, promised)
