"""What follows abandoned batches: each of them has its run, and what that has recorded stays with it."""

from __future__ import annotations

import json
from typing import Final

from proof.promises.facet import FacetProof, Promised, Rows
from proof.stories.words import Words, id_of
from tenure.persistence.facets.ownership import lifecycle, ownership
from tenure.persistence.facets.runs import runs
from tenure.persistence.facets.runs.following.follow_ups import FollowKinds
from tenure.persistence.model.values import AbandonReason, RunId, RuntimeState, SessionId

FOLLOWED: Final = "followed story"
"""The kind of the story's runtime: no other story's batches are followed."""


def followed(change: FollowKinds, _answer: None) -> Promised:
    """The kind is known."""
    return [("followed kind", kind) for kind in change.kinds]


def check_followed(rows: Rows) -> None:
    """Whatever is abandoned of a followed kind is followed once, in the commit that abandoned it."""
    known = {row[0] for row in rows.of("SELECT kind FROM followed_kinds")}
    for kind in rows.history.acknowledged("followed kind"):
        assert kind in known, f"the batches of {kind} are not followed any more"
    payloads = rows.of(
        "SELECT p.payload FROM inputs i JOIN runs u ON u.run = i.run JOIN payloads p ON p.input = i.input WHERE u.follows = 1"
    )
    named = sorted(input_id for (payload,) in payloads for input_id in json.loads(payload)["input_ids"])
    abandoned = rows.of(
        "SELECT i.input_id FROM inputs i JOIN runtimes r ON r.runtime = i.runtime LEFT JOIN runs u ON u.run = i.run"
        " WHERE r.kind IN (SELECT kind FROM followed_kinds)"
        " AND i.phase = 'abandoned' AND i.reason <> 'destroyed' AND coalesce(u.follows, 0) = 0",
    )
    assert named == sorted(row[0] for row in abandoned), f"followed: {named}, abandoned: {abandoned}"
    rows.none(
        "SELECT run FROM runs u WHERE follows = 1 AND ended_at IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM inputs i WHERE i.run = u.run AND i.finished_at IS NULL)",
        "a run that follows nothing",
    )


async def what_follows(words: Words) -> None:
    """A batch whose attempts are used up, and one that a stop abandons; what follows is stopped too, and goes on."""
    gil = id_of("gil")
    await words.write(FollowKinds(kinds=(FOLLOWED,)))
    take = ownership.TakeOwnership(
        runtime_id=gil, kind=FOLLOWED, epoch=words.new_id(), session_id=SessionId(words.new_id()), revive=True
    )
    (owned,) = await words.write(take)
    words.tokens["gil"] = owned.fence_token
    await words.accept("gil", "paid for")
    run_id = await words.begin("gil")
    await words.step("gil", run_id, "charge", "main/1", b'"paid"')
    await words.fail("gil", run_id, retry_at=None)
    await words.accept("gil", "never begun")
    run_id = await _begin(words)
    await words.step("gil", run_id, "refund", "main/1", b'"paid back"')
    stopped = RuntimeState.STOPPED
    await words.write(
        lifecycle.WriteLifecycle(runtime_id=gil, state=stopped, abandon=AbandonReason.STOPPED, end_run=True)
    )
    await words.write(lifecycle.WriteLifecycle(runtime_id=gil, state=RuntimeState.IDLE))
    await words.finish("gil", await _begin(words))
    await words.fail("gil", await _begin(words), retry_at=None)


async def _begin(words: Words) -> RunId:
    change = runs.BeginRun(runtime_id=id_of("gil"), run_id=RunId(words.new_id()), batch=1, follows=True)
    (begun,) = await words.write(change)
    run_id: RunId = begun.run_id
    return run_id


PROOFS: Final = (
    FacetProof(name="follow_ups", story=what_follows, promises={FollowKinds: followed}, check=check_followed),
)
