"""Children: whose they are, and that they have ended with what they end with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final

from proof.promises.facet import FacetProof, Promised, Rows
from proof.stories.words import KIND, Words, id_of
from tenure.persistence.facets.ownership import lifecycle
from tenure.persistence.facets.ownership.spawning import Refused, Spawn
from tenure.persistence.facets.records import run_records
from tenure.persistence.facets.runs import entries
from tenure.persistence.facets.runs.children import OnEnd, Scope
from tenure.persistence.model.values import AbandonReason, LogicalRuntimeId, RunId, RuntimeState, SessionId

CHILDREN: Final = (
    ("main/1", "left", Scope.RUN, OnEnd.LEAVE),
    ("main/2", "halted", Scope.RUN, OnEnd.STOP),
    ("main/3", "razed", Scope.RUN, OnEnd.DESTROY),
    ("main/4", "kept", Scope.RUNTIME, OnEnd.DESTROY),
)
"""What the run of the story spawns."""


def spawn_of(parent: str, run_id: RunId, place: str, child: str, kind: str, scope: Scope, on_end: OnEnd) -> Spawn:
    """A child, as the record has it."""
    parent_id, child_id = LogicalRuntimeId(parent), LogicalRuntimeId(child)
    return Spawn(
        runtime_id=parent_id,
        run_id=run_id,
        child=child_id,
        kind=kind,
        scope=scope,
        on_end=on_end,
        session_id=SessionId(f"of {child}"),
        entry=entries.RecordEntry(
            runtime_id=parent_id,
            run_id=run_id,
            place=place,
            kind=entries.EntryKind.SPAWN,
            name=kind,
            arguments_digest=bytes(32),
            version="1",
            status=entries.EntryStatus.SUCCEEDED,
            result=f'"{child}"'.encode(),
            started_at=0.0,
            ended_at=0.0,
        ),
    )


async def spawn_all(write: Callable[..., Awaitable[Any]], parent: str, run_id: RunId, kind: str) -> None:
    """The children of the story, and one that is there and is no child."""
    for place, child, scope, on_end in CHILDREN:
        await write(spawn_of(parent, run_id, place, child, kind, scope, on_end))
    await write(spawn_of(parent, run_id, "main/5", parent, kind, Scope.RUN, OnEnd.STOP))


def spawned(change: Spawn, answer: object) -> Promised:
    """The child is there, and whose it is."""
    return [] if isinstance(answer, Refused) else [("child", (change.runtime_id, change.child))]


def check_children(rows: Rows) -> None:
    """Children are those of their parent, and none outlives what it ends with."""
    known = {
        *rows.of(
            "SELECT p.runtime_id, r.runtime_id FROM children c JOIN runtimes p ON p.runtime = c.parent"
            " JOIN runtimes r ON r.runtime = c.child"
        )
    }
    for child in rows.history.acknowledged("child"):
        assert child in known, f"the child {child} is lost"
    rows.none(
        "SELECT child_key FROM children c JOIN runs u ON u.run = c.run WHERE u.ended_at IS NOT NULL",
        "a run has ended, and what ends with it has not",
    )
    rows.none(
        "SELECT child_key FROM children WHERE scope = 'run' AND (run IS NULL) <> (ended_at IS NOT NULL)",
        "a child that ends with no run",
    )
    rows.none(
        "SELECT child_key FROM children c JOIN runtimes p ON p.runtime = c.parent"
        " WHERE p.state = 'destroyed' AND p.owner IS NULL AND c.ended_at IS NULL",
        "a parent is destroyed, and its child has not ended",
    )
    rows.none(
        "SELECT child_key FROM children c JOIN runtimes r ON r.runtime = c.child WHERE c.ended_at IS NOT NULL"
        " AND ((c.on_end = 'destroy' AND r.state <> 'destroyed')"
        "      OR (c.on_end = 'stop' AND r.state NOT IN ('stopped', 'destroyed')))",
        "a child has ended, and lives",
    )
    rows.none(
        "SELECT run FROM runs u WHERE children <> (SELECT count(*) FROM children c WHERE c.run = u.run)"
        " AND ended_at IS NULL",
        f"a {run_records.RECORD} that does not know what ends with it",
    )


async def grow_up(words: Words) -> None:
    """Children of every kind, one of them owned, that end with a run and with their parent; one is brought back."""
    await words.own("fay")
    for payload in ("go", "and again"):
        await words.accept("fay", payload)
    run_id = await words.begin("fay")
    await spawn_all(words.write, "fay", run_id, KIND)
    await words.own("halted")
    await words.accept("halted", "never done")
    await words.finish("fay", run_id)
    ended = RuntimeState.STOPPED
    await words.write(
        lifecycle.WriteLifecycle(
            runtime_id=id_of("halted"), state=ended, abandon=AbandonReason.STOPPED, end_run=True, over=ended
        )
    )
    run_id = await words.begin("fay")
    await words.write(spawn_of("fay", run_id, "main/1", "halted", KIND, Scope.RUN, OnEnd.STOP))
    await words.fail("fay", run_id, retry_at=None)
    await words.write(
        lifecycle.WriteLifecycle(
            runtime_id=id_of("fay"), state=RuntimeState.DESTROYED, abandon=AbandonReason.DESTROYED, end_run=True
        )
    )


PROOFS: Final = (FacetProof(name="children", story=grow_up, promises={Spawn: spawned}, check=check_children),)
