"""Owners and lives: tokens never go back, and nothing leaves its end."""

from __future__ import annotations

from typing import Any, Final

from proof.stories.owners import lives_and_owners
from tenure.persistence.facets.ownership import (
    draining,
    lifecycle,
    ownership,
    requests,
)
from tenure.persistence.model.values import RuntimeState

from .facet import (
    FacetProof,
    Promised,
    Rows,
)


def token(change: ownership.TakeOwnership | ownership.RenewToken, answer: Any) -> Promised:
    """The token is never minted again, and the labels of a new runtime are there."""
    minted = answer.fence_token if isinstance(answer, ownership.Ownership) else answer
    promised: list[tuple[str, Any]] = [("token", (change.runtime_id, minted))]
    if isinstance(change, ownership.TakeOwnership) and change.labels:
        promised.append(("labelled", change.runtime_id))
    return promised


def check_tokens(rows: Rows) -> None:
    """The counter is ahead of every token, and each belongs to one runtime."""
    last = rows.of("SELECT last_fence_token FROM store")[0][0]
    stored = dict(rows.of("SELECT runtime_id, fence_token FROM runtimes"))
    for runtime_id, minted in rows.history.acknowledged("token"):
        assert last >= minted, f"token {minted} will be minted again: the counter is at {last}"
        assert stored.get(runtime_id, -1) >= minted, f"{runtime_id} went back below its token {minted}"
    used = [each for each in stored.values() if each]
    assert len(used) == len(set(used)), "a token belongs to two runtimes"
    assert max(used, default=0) <= last, "a token that was never minted"
    rows.none("SELECT host FROM hosts WHERE closed_at IS NULL AND lost_at IS NULL LIMIT -1 OFFSET 1", "two hosts alive")


def check_draining(rows: Rows) -> None:
    """A host that is drained owns nothing, and what a row says of it can be."""
    said = {said for (said,) in rows.of("SELECT DISTINCT drain FROM hosts")}
    assert said <= {None, *draining.Drain}, f"a host says {said}"
    drained = "SELECT r.runtime_id FROM runtimes r JOIN hosts h ON h.host = r.owner WHERE h.drain = 'drained'"
    rows.none(drained, "owned by a host that is drained")


def written(change: lifecycle.WriteLifecycle | lifecycle.PersistState, answer: Any) -> Promised:
    """Destroyed is for ever, and a life is not lived again."""
    promised: list[tuple[str, Any]] = []
    if change.state is RuntimeState.DESTROYED:
        promised.append(("destroyed", change.runtime_id))
    if isinstance(answer, lifecycle.LifecycleWritten):
        promised.append(("generation", (change.runtime_id, answer.generation)))
    return promised


def check_lifecycle(rows: Rows) -> None:
    """No end was left, and nothing that is never durable is stored."""
    known = {
        runtime_id: rest for runtime_id, *rest in rows.of("SELECT runtime_id, state, generation, owner FROM runtimes")
    }
    for runtime_id in rows.history.acknowledged("destroyed"):
        assert runtime_id in known, f"the tombstone of {runtime_id} is lost"
        assert known[runtime_id][0] == RuntimeState.DESTROYED, f"{runtime_id} came back"
    for runtime_id, generation in rows.history.acknowledged("generation"):
        assert known[runtime_id][1] >= generation, f"{runtime_id} lives an earlier life again"
    for runtime_id, (state, _, owner) in known.items():
        assert state not in {"running", "attached"}, f"{runtime_id} is stored as {state}"
        assert state != RuntimeState.DESTROYED or owner is None, f"a host owns the destroyed {runtime_id}"


def requested(change: requests.RequestLifecycle, _answer: None) -> Promised:
    """The owner will find the request."""
    return [("request", change.request_id)]


def finished(change: requests.FinishRequest, _answer: None) -> Promised:
    """The request is done, with this answer."""
    return [("answer", (change.request_id, change.answer))]


def answered(change: requests.AnswerRequest, answer: Any) -> Promised:
    """The request is done, with what its change answered."""
    return [("answer", (change.request_id, requests.encode_answer(answer)))]


def check_requests(rows: Rows) -> None:
    """Requests are there, and those that were carried out are not carried out again."""
    known = dict(rows.of("SELECT request_id, answer FROM requests"))
    lost = set(rows.history.acknowledged("request")) - set(known)
    assert not lost, f"requests {lost} are lost"
    for request_id, answer in rows.history.acknowledged("answer"):
        assert known[request_id] == answer, f"request {request_id} was answered {answer} and has {known[request_id]}"


PROOFS: Final = (
    FacetProof(
        name="ownership",
        story=lives_and_owners,
        promises={ownership.TakeOwnership: token, ownership.RenewToken: token},
        check=check_tokens,
        quiet=(ownership.RenewLease, ownership.MarkLost, ownership.CloseHost),
    ),
    FacetProof(name="draining", check=check_draining, quiet=(draining.DescribeHost, draining.AskDrain)),
    FacetProof(
        name="lifecycle",
        promises={lifecycle.WriteLifecycle: written, lifecycle.PersistState: written},
        check=check_lifecycle,
    ),
    FacetProof(
        name="requests",
        promises={
            requests.RequestLifecycle: requested,
            requests.FinishRequest: finished,
            requests.AnswerRequest: answered,
        },
        check=check_requests,
    ),
)
