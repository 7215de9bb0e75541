"""Sessions as graphs, as a part of the scenario with every kind of commit."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.graph.prune import PruneTurns, turns_before
from tenure.persistence.model.contracts.queued_work import (
    DeliveryPolicy,
    QueuedWorkBatchDraft,
    QueuedWorkClaimBoundary,
    QueuedWorkCompletion,
    QueuedWorkKind,
    QueuedWorkPayload,
    SlotPolicy,
)
from tenure.persistence.model.conversation.graph import (
    AgentFrame,
    CheckpointPart,
    RuntimeCommit,
    SessionCheckpoint,
    SessionMeta,
    SessionNodeRecord,
    TokenLedgerEntry,
    TokenUsage,
)
from tenure.persistence.model.values import SessionId
from tenure.persistence.store import Store

from .words import Words

Retried = Callable[..., Awaitable[Any]]
"""Calls a verb again where the disk was full."""

SESSION = SessionId("forest")

PASSING = "passing"
"""The turn that is forgotten."""

FAR = 1e12
"""A time that is later than any here."""


def _node(node_id: str, parent: str | None = None, size: int = 10) -> SessionNodeRecord:
    return SessionNodeRecord(
        node_id=node_id, payload=node_id.encode() + b"." * size, parent_node_id=parent, agent_frame_id="main"
    )


def _commit(expected: int, *nodes: SessionNodeRecord, turn: str | None = None, **more: Any) -> RuntimeCommit:
    return RuntimeCommit(session_id=SESSION, expected_head_revision=expected, nodes=nodes, turn_id=turn, **more)


def _checkpoint(number: int, **bodies: bytes) -> SessionCheckpoint:
    parts = {name: CheckpointPart(body=body) for name, body in bodies.items()}
    return SessionCheckpoint(turn_state={"turn": number}, parts=parts)


def _used(count: int) -> tuple[TokenLedgerEntry, ...]:
    return (TokenLedgerEntry(source="main", model="m", usage=TokenUsage(input_tokens=count)),)


def _work(text: str) -> QueuedWorkBatchDraft:
    return QueuedWorkBatchDraft(
        session_id=SESSION,
        delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
        slot_policy=SlotPolicy.EXCLUSIVE,
        payloads=(QueuedWorkPayload(kind=QueuedWorkKind.TURN_INPUT, body=text.encode()),),
    )


async def _claim(store: Store, retried: Retried) -> QueuedWorkCompletion:
    claim = await retried(
        store.queue.claim_ready_queued_work, SESSION, "story", QueuedWorkClaimBoundary.IDLE, 60_000, 1
    )
    completion: QueuedWorkCompletion = claim.completion()
    return completion


async def tell_graphs(store: Store, retried: Retried) -> None:
    """A session that branches, drops a branch, and lets parts of its checkpoints go."""
    sessions = store.sessions
    commit = partial(retried, sessions.commit_runtime_state)
    frames = (AgentFrame(frame_id="main", frame={"model": "m"}),)
    first = _commit(
        0, _node("root"), _node("left", "root"), turn="t1", agent_frames=frames, current_agent_frame_id="main",
        config={"c": 1}, checkpoint=_checkpoint(1, tools=b"tools", state=b"one" * 500), usage_deltas=_used(1),
    )  # fmt: skip
    await commit(first)
    await commit(first)  # known: nothing is written
    await commit(_commit(1, _node("brief 1", "root"), _node("brief 2", "brief 1"), turn="t2", usage_deltas=_used(2)))
    await commit(
        _commit(
            2,
            leaf_node_id="left",
            checkpoint=_checkpoint(2, tools=b"tools", state=b"two" * 500),
            enqueued_queue_batches=(_work("day 0"),),
            turn="t3",
        )
    )
    await retried(sessions.save_session_meta, SessionMeta(session_id=SESSION, session_name="first"))
    await retried(sessions.save_session_meta, SessionMeta(session_id=SESSION, session_name="second"))
    await retried(sessions.tombstone_nodes, SESSION, ["brief 1"])
    await retried(sessions.vacuum, SESSION)
    await retried(sessions.gc_unreachable)


async def tell_graph_of_runtime(store: Store, retried: Retried, session_id: str, token: int) -> None:
    """The conversation of a runtime, written as a graph under its token."""
    found = RuntimeCommit(
        session_id=session_id,
        expected_head_revision=0,
        nodes=(SessionNodeRecord(node_id="of a runtime", payload=b'"of a runtime"'),),
    )
    await retried(_call, store.sessions.commit_runtime_state, found, token)


async def tell_passing_turn(store: Store, retried: Retried) -> None:
    """A turn that is forgotten, as a prune does when its thirty days are over."""
    passing = partial(RuntimeCommit, session_id=SessionId("passing"))
    await retried(store.sessions.commit_runtime_state, passing(expected_head_revision=0, turn_id=PASSING))
    turns = await store.read(partial(turns_before, before=FAR, after=0, count=100))
    forget = PruneTurns(turns=turns[-1:], before=FAR)  # the newest
    await retried(store.commit, Commit(changes=(forget,)))
    first = passing(
        expected_head_revision=1, checkpoint=_checkpoint(1, tools=b"tools")
    )  # where it was seen that there is none
    await retried(store.sessions.commit_runtime_state, first)


async def _call(verb: Callable[..., Awaitable[Any]], commit: RuntimeCommit, token: int) -> None:
    await verb(commit, fence=token)


async def everyday_graph(store: Store, retried: Retried, day: int, size: int) -> None:
    """A turn over the work that the last one queued. It branches off now and then; one part of its checkpoint is new."""
    done = await _claim(store, retried)
    parent = "left" if day % 4 == 0 else f"day {day - 1}"
    await retried(
        store.sessions.commit_runtime_state,
        _commit(
            3 + day,
            _node(f"day {day}", parent, size),
            turn=f"day {day}",
            checkpoint=_checkpoint(3 + day, tools=b"tools", state=b"%d" % day * 300),
            usage_deltas=_used(day),
            completed_queue_claims=(done,),
            enqueued_queue_batches=(_work(f"day {day + 1}"),),
        ),
    )


async def graphs(words: Words) -> None:
    """Sessions as graphs, one of them the conversation of a runtime."""
    await tell_graphs(words.store, words.retried)
    await words.own("gia", SessionId("talk of gia"))
    await tell_graph_of_runtime(words.store, words.retried, "talk of gia", words.tokens["gia"])


async def graph_of_day(words: Words, day: int) -> None:
    """See `everyday_graph`."""
    await everyday_graph(words.store, words.retried, day, words.random.randrange(6_000))
