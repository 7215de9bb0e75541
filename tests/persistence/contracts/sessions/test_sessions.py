"""`store.sessions`: sessions as graphs, and the one commit that writes them."""

from __future__ import annotations

import hashlib
import inspect
from contextlib import suppress
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

import tenure
from tenure import (
    ActivePath,
    AgentFrame,
    AttachmentIntent,
    AttachmentManifest,
    CheckpointPart,
    FullGraph,
    LogicalRuntimeId,
    PersistedSessionRead,
    Pruned,
    RuntimeCommit,
    Seams,
    SessionCheckpoint,
    SessionDelta,
    SessionMeta,
    SessionNodeRecord,
    SessionRelation,
    Store,
    TokenLedgerEntry,
    TokenUsage,
    decode_snapshot,
    encode_snapshot,
)
from tenure.errors import (
    Corrupt,
    CounterOverflow,
    HeadRevisionConflict,
    InvalidInput,
    NodeConflict,
    NotFound,
    PayloadTooLarge,
    QueuedWorkClaimExpired,
    SessionBindingMismatch,
    StaleFence,
    TurnCommitConflict,
    UnsupportedReadScope,
)
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.graph import checkpoints
from tenure.persistence.model.contracts.queued_work import (
    DeliveryPolicy,
    QueuedWorkBatchDraft,
    QueuedWorkClaim,
    QueuedWorkClaimBoundary,
    QueuedWorkKind,
    QueuedWorkPayload,
    SlotPolicy,
)
from tenure.persistence.model.conversation.graph import OWN_NODES
from tenure.persistence.upkeep.inspect import show_runtime
from tenure.persistence.upkeep.verify_store import verify_part
from tests.persistence.contracts.builders import delta, envelope, rewrite, snapshot, texts
from tests.persistence.contracts.damage import execute
from tests.persistence.contracts.journals.test_state import Clock
from tests.persistence.contracts.owners.owned import Owner


def node(node_id: str, parent: str | None = None, payload: str | None = None, **more: Any) -> SessionNodeRecord:
    return SessionNodeRecord(
        node_id=node_id,
        parent_node_id=parent,
        payload=(payload or node_id).encode(),
        timestamp="2026-01-02T03:04:05Z",
        **more,
    )


def chain(*node_ids: str, parent: str | None = None) -> tuple[SessionNodeRecord, ...]:
    return tuple(node(each, before) for each, before in zip(node_ids, (parent, *node_ids), strict=False))


async def commit(store: Store, expected: int, *nodes: SessionNodeRecord, **more: Any) -> Any:
    return await store.sessions.commit_runtime_state(
        RuntimeCommit(session_id="talk", expected_head_revision=expected, nodes=nodes, **more)
    )


async def load(store: Store, scope: Any = None) -> PersistedSessionRead:
    found = await store.sessions.load_session("talk", ActivePath() if scope is None else scope)
    assert found is not None
    return found


async def path(store: Store, leaf: str | None = None) -> list[str]:
    return [str(each.node_id) for each in (await load(store, ActivePath(leaf))).graph.nodes]


async def everything(store: Store) -> list[str]:
    return [str(each.node_id) for each in (await load(store, FullGraph())).graph.nodes]


async def test_a_session_comes_back_as_it_was_committed(store: Store) -> None:
    nodes = (
        node("a", caused_by={"by": [1, None]}, agent_frame_id="main"),
        node("b", "a", kind="plugin:search"),
        node("c", "a"),
    )
    frames = (AgentFrame(frame_id="main", frame={"model": "m"}), AgentFrame(frame_id="other"))
    result = await commit(
        store,
        0,
        *nodes,
        leaf_node_id="b",
        config={"temperature": 0.5},
        agent_frames=frames,
        current_agent_frame_id="main",
        checkpoint=SessionCheckpoint(turn_state={"turn_index": 1}, parts={"tools": CheckpointPart(body=b"\x00t")}),
        usage_deltas=(TokenLedgerEntry(source="main", model="m", usage=TokenUsage(reasoning_tokens=7)),),
    )

    found = await load(store, FullGraph())

    assert (found.session_id, found.head_revision, found.config) == ("talk", 1, {"temperature": 0.5})
    assert (found.agent_frames, found.current_agent_frame_id) == (frames, "main")
    assert (found.graph.nodes, found.graph.leaf_node_id) == (nodes, "b")
    assert found.checkpoint_ref == result.checkpoint_ref
    assert found.checkpoint is not None
    assert found.checkpoint.turn_state == {"turn_index": 1}
    assert found.checkpoint.parts["tools"].body == b"\x00t"
    assert found.checkpoint.parts["tools"].ref == hashlib.sha256(b"\x00t").hexdigest()
    assert found.token_ledger == (TokenLedgerEntry(source="main", model="m", usage=TokenUsage(reasoning_tokens=7)),)
    assert (result.head_revision, result.leaf_node_id) == (1, "b")
    assert result.manifest is not None
    assert result.manifest.parts["tools"] == attrs.evolve(found.checkpoint.parts["tools"], body=None)


async def test_a_session_without_a_commit_is_none(store: Store) -> None:
    assert await store.sessions.load_session("talk", FullGraph()) is None
    assert await store.sessions.load_session_meta("talk") is None
    assert await store.sessions.load_node("talk", "a") is None
    await store.sessions.save_session_meta(SessionMeta(session_id="talk"))

    assert await store.sessions.load_session("talk", FullGraph()) is None


async def test_the_active_path_leads_to_the_leaf_of_the_head_or_to_another_one(store: Store) -> None:
    await commit(store, 0, *chain("a", "b", "c"))
    await commit(store, 1, *chain("d", "e", parent="a"))

    assert await path(store) == ["a", "d", "e"]
    assert await path(store, "c") == ["a", "b", "c"]
    assert await path(store, "b") == ["a", "b"]
    assert (await load(store, ActivePath("b"))).graph.leaf_node_id == "b"
    assert await everything(store) == ["a", "b", "c", "d", "e"]
    assert (await load(store, FullGraph())).graph.leaf_node_id == "e"
    with pytest.raises(NotFound):
        await path(store, "z")


async def test_the_last_nodes_of_a_path_are_read_alone(store: Store) -> None:
    await commit(store, 0, *chain("a", "b", "c"))
    await commit(store, 1, *chain("d", "e", parent="a"))

    for last, expected in ((1, ["e"]), (2, ["d", "e"]), (3, ["a", "d", "e"]), (9, ["a", "d", "e"])):
        read = await load(store, ActivePath(last=last))
        assert [each.node_id for each in read.graph.nodes] == expected
        assert (read.graph.leaf_node_id, read.head_revision) == ("e", 2)
    other = (await load(store, ActivePath("c", last=2))).graph.nodes
    assert other == (await load(store, ActivePath("c"))).graph.nodes[1:]
    assert [each.parent_node_id for each in other] == ["a", "b"]
    no_counts: list[Any] = [0, -1, True, "2"]
    for wrong in no_counts:
        with pytest.raises(InvalidInput):
            await load(store, ActivePath(last=wrong))


async def test_an_empty_append_leaves_the_leaf_and_raises_the_revision(store: Store) -> None:
    await commit(store, 0, *chain("a", "b"))

    result = await commit(store, 1, config={"x": 1})

    assert (result.head_revision, result.leaf_node_id) == (2, "b")
    assert (await load(store)).config == {"x": 1}


async def test_each_result_names_the_leaf_and_the_checkpoint_that_stand_then(store: Store) -> None:
    part = SessionCheckpoint(parts={"one": CheckpointPart(body=b"one")})

    results = [
        await commit(store, 0, *chain("a", "b")),
        await commit(store, 1, *chain("c", parent="b"), checkpoint=part),
        await commit(store, 2, leaf_node_id="a"),
        await commit(store, 3),
    ]
    await store.runtimes.commit_session_snapshot("ada", delta("a", "own"))
    results += [await commit(store, 5), await commit(store, 6, *chain("d", parent="a"))]

    assert [each.leaf_node_id for each in results[:4]] == ["b", "c", "a", "a"]
    assert (await load(store)).graph.leaf_node_id == "d"
    assert results[4].leaf_node_id.startswith(OWN_NODES)
    assert results[5].leaf_node_id == "d"
    assert [each.checkpoint_ref is None for each in results] == [True, *[False] * 5]


async def test_the_head_moves_to_a_node_that_is_there_and_every_branch_stays(store: Store) -> None:
    await commit(store, 0, *chain("a", "b", "c"))
    await commit(store, 1, leaf_node_id="a")
    assert (await path(store), await everything(store)) == (["a"], ["a", "b", "c"])
    await commit(store, 2, node("d", "b"), node("e", "c"), leaf_node_id="a")
    await commit(store, 3, node("f", "a"))
    await commit(store, 4, leaf_node_id="e")
    await commit(store, 5, node("g"), leaf_node_id="g")

    assert await path(store) == ["g"]
    assert await everything(store) == ["a", "b", "c", "d", "e", "f", "g"]
    assert await path(store, "d") == ["a", "b", "d"]
    assert await path(store, "e") == ["a", "b", "c", "e"]


async def test_what_is_appended_beside_the_new_leaf_stays_as_a_branch(store: Store) -> None:
    await commit(store, 0, node("a"), node("b"), leaf_node_id="a")
    await commit(store, 1, node("c", "a"), node("d", "a"), node("e", "b"), leaf_node_id="c")

    assert (await path(store), await everything(store)) == (["a", "c"], ["a", "b", "c", "d", "e"])
    assert await path(store, "d") == ["a", "d"]
    assert await path(store, "e") == ["b", "e"]


async def test_a_commit_wants_the_revision_that_is_stored(store: Store) -> None:
    await commit(store, 0, node("a"))

    for expected in (0, 2):
        with pytest.raises(HeadRevisionConflict) as caught:
            await commit(store, expected, node("b", "a"))
        assert (caught.value.expected, caught.value.actual) == (expected, 1)

    assert await everything(store) == ["a"]


async def test_of_ten_racers_on_one_head_one_wins_and_the_graph_is_whole(store: Store) -> None:
    await commit(store, 0, node("a"))
    lost: list[int] = []

    async def race(racer: int) -> None:
        try:
            await commit(store, 1, node(f"r{racer}", "a"))
        except HeadRevisionConflict:
            lost.append(racer)

    async with trio.open_nursery() as nursery:
        for racer in range(10):
            nursery.start_soon(race, racer)

    (won,) = set(range(10)) - set(lost)
    assert await everything(store) == ["a", f"r{won}"]
    assert (await load(store)).head_revision == 2


@pytest.mark.parametrize(
    ("nodes", "more", "error"),
    [
        ((node("a", "b"),), {}, NodeConflict),
        ((node("x", "nowhere"),), {}, NotFound),
        ((node("x", "y"), node("y")), {}, NotFound),
        ((), {"leaf_node_id": "nowhere"}, NotFound),
        ((node("x"), node("x", "a")), {}, InvalidInput),
        ((node("tenure:7"),), {}, InvalidInput),
        ((node("x", agent_frame_id="nobody"),), {}, InvalidInput),
        ((), {"current_agent_frame_id": "nobody"}, InvalidInput),
        ((), {"config": {1: 2}}, InvalidInput),
        ((), {"checkpoint": SessionCheckpoint(parts={"p": CheckpointPart(ref="00" * 32)})}, NotFound),
        ((), {"checkpoint": SessionCheckpoint(parts={"p": CheckpointPart()})}, InvalidInput),
        ((), {"checkpoint": SessionCheckpoint(parts={"p": CheckpointPart(body=b"", ref="00" * 32)})}, InvalidInput),
        (
            (),
            {"usage_deltas": (TokenLedgerEntry(source="s", model="m", usage=TokenUsage(input_tokens=-1)),)},
            InvalidInput,
        ),
        ((node("x", payload="x" * 17_000_000),), {}, PayloadTooLarge),
    ],
)
async def test_a_commit_that_cannot_be_writes_nothing(
    store: Store, nodes: tuple[SessionNodeRecord, ...], more: dict[str, Any], error: type[Exception]
) -> None:
    await commit(store, 0, *chain("a", "b"))
    before = await load(store, FullGraph())

    with pytest.raises(error):
        await commit(store, 1, *(node("good", "b"), *nodes), **more)

    assert await load(store, FullGraph()) == before


async def test_that_a_node_is_there_is_said_before_its_parent_is_looked_for(store: Store) -> None:
    await commit(store, 0, *chain("a", "b"))

    with pytest.raises(NodeConflict):
        await commit(store, 1, node("a", "nowhere"))


# Turns


async def test_the_same_turn_with_the_same_content_returns_the_first_result(store: Store) -> None:
    first = await commit(store, 0, *chain("a", "b"), turn_id="t1")
    await commit(store, 1, node("c", "b"))

    again = await commit(store, 0, *chain("a", "b"), turn_id="t1")
    later = await commit(store, 2, *[attrs.evolve(each, timestamp=None) for each in chain("a", "b")], turn_id="t1")

    assert first == again == later
    assert first.head_revision == 1
    assert (await load(store)).head_revision == 2
    assert await everything(store) == ["a", "b", "c"]


@pytest.mark.parametrize(
    "other",
    [
        {"nodes": (node("a", payload="other"),)},
        {"nodes": (node("b"),)},
        {"config": {"x": 1}},
        {"checkpoint": SessionCheckpoint(turn_state=1)},
        {"usage_deltas": (TokenLedgerEntry(source="s", model="m", usage=TokenUsage(input_tokens=1)),)},
        {"agent_frames": (AgentFrame(frame_id="f"),)},
    ],
    ids=str,
)
async def test_the_same_turn_with_other_content_is_refused(store: Store, other: dict[str, Any]) -> None:
    turn = RuntimeCommit(session_id="talk", expected_head_revision=0, nodes=(node("a"),), turn_id="t1")
    await store.sessions.commit_runtime_state(turn)

    with pytest.raises(TurnCommitConflict) as caught:
        await store.sessions.commit_runtime_state(attrs.evolve(turn, **other))

    assert (caught.value.session_id, caught.value.turn_id) == ("talk", "t1")
    assert (await load(store)).head_revision == 1


# Queued work


def draft(text: str, session_id: str = "talk", **more: Any) -> QueuedWorkBatchDraft:
    return QueuedWorkBatchDraft(
        session_id=session_id,
        delivery_policy=DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
        slot_policy=SlotPolicy.EXCLUSIVE,
        payloads=(QueuedWorkPayload(kind=QueuedWorkKind.TURN_INPUT, body=text.encode()),),
        **more,
    )


async def claim(store: Store) -> QueuedWorkClaim:
    found = await store.queue.claim_ready_queued_work("talk", "me", QueuedWorkClaimBoundary.IDLE, 60_000, 1)
    assert found is not None
    return found


async def queued(store: Store) -> list[str]:
    return [batch.items[0].payload.body.decode() for batch in await store.queue.list_queued_work("talk")]


async def test_a_turn_completes_its_claim_and_queues_what_comes_next_in_one_commit(store: Store) -> None:
    await store.queue.enqueue_queued_work(draft("first"))
    done = (await claim(store)).completion()

    result = await commit(
        store, 0, node("a"), completed_queue_claims=(done,), enqueued_queue_batches=(draft("x"), draft("y"))
    )

    assert await queued(store) == ["x", "y"]
    assert result.enqueued_batch_ids == tuple(each.batch_id for each in await store.queue.list_queued_work("talk"))


async def test_a_turn_whose_claim_no_longer_holds_writes_nothing(store: Store) -> None:
    await store.queue.enqueue_queued_work(draft("first"))
    lost = await claim(store)
    await store.queue.abandon_queued_work_claim(lost)
    held = await claim(store)

    with pytest.raises(QueuedWorkClaimExpired):
        await commit(
            store, 0, node("a"), completed_queue_claims=(lost.completion(),), enqueued_queue_batches=(draft("x"),)
        )
    foreign = attrs.evolve(held.completion(), session_id="other")
    with pytest.raises(QueuedWorkClaimExpired):
        await commit(store, 0, node("a"), completed_queue_claims=(foreign,))
    with pytest.raises(InvalidInput):
        await commit(store, 0, node("a"), enqueued_queue_batches=(draft("x", "other"),))

    assert await store.sessions.load_session("talk", FullGraph()) is None
    assert await queued(store) == ["first"]
    with pytest.raises(HeadRevisionConflict):  # the revision is asked before the claim
        await commit(store, 7, completed_queue_claims=(lost.completion(),))


async def test_a_claim_of_another_session_is_asked_for_after_fence_turn_and_revision(store: Store) -> None:
    await store.queue.enqueue_queued_work(draft("others", "other"))
    held = await store.queue.claim_ready_queued_work("other", "me", QueuedWorkClaimBoundary.IDLE, 60_000, 1)
    assert held is not None
    foreign: dict[str, Any] = {"completed_queue_claims": (held.completion(),)}
    first = await commit(store, 0, node("a"), turn_id="t")

    with pytest.raises(TurnCommitConflict):
        await commit(store, 0, node("a"), turn_id="t", **foreign)
    with pytest.raises(HeadRevisionConflict):
        await commit(store, 0, node("b"), **foreign)
    with pytest.raises(QueuedWorkClaimExpired):
        await commit(store, 1, node("b", "a"), **foreign)
    await store.runtimes.commit_session_snapshot("alice", delta("one", session="owned"))
    await Owner(store, "alice").own()
    turn = RuntimeCommit(session_id="owned", expected_head_revision=1, **foreign)
    with pytest.raises(StaleFence):
        await store.sessions.commit_runtime_state(turn)

    assert await commit(store, 0, node("a"), turn_id="t") == first
    assert len(await store.queue.list_queued_work("other")) == 1


async def test_a_turn_that_was_claimed_anew_is_the_same_turn_and_returns_the_first_result(store: Store) -> None:
    await store.queue.enqueue_queued_work(draft("first"))
    done = (await claim(store)).completion()
    turn = {"completed_queue_claims": (done,), "enqueued_queue_batches": (draft("x"),), "turn_id": "t"}
    first = await commit(store, 0, node("a"), **turn)
    anew = attrs.evolve(done, claim_id="qwc:1:2", lease_token="another")
    again = await commit(store, 0, node("a"), **turn | {"completed_queue_claims": (anew,)})

    assert first == again
    assert len(first.enqueued_batch_ids) == 1
    assert await queued(store) == ["x"]
    for other in ({"completed_queue_claims": ()}, {"enqueued_queue_batches": (draft("y"),)}):
        with pytest.raises(TurnCommitConflict):
            await commit(store, 0, node("a"), **turn | other)


# Usage


async def test_usage_is_merged_by_source_and_model(store: Store) -> None:
    def used(source: str, model: str, count: int) -> TokenLedgerEntry:
        return TokenLedgerEntry(source=source, model=model, usage=TokenUsage(input_tokens=count, output_tokens=1))

    await commit(store, 0, usage_deltas=(used("main", "m", 1), used("main", "n", 2), used("main", "m", 3)))
    await commit(store, 1, usage_deltas=(used("side", "m", 4), used("main", "m", 5)))
    await commit(store, 2, usage_deltas=(TokenLedgerEntry(source="none", model="m", usage=TokenUsage()),))

    ledger = {(each.source, each.model): each.usage for each in (await load(store)).token_ledger}
    assert ledger == {
        ("main", "m"): TokenUsage(input_tokens=9, output_tokens=3),
        ("main", "n"): TokenUsage(input_tokens=2, output_tokens=1),
        ("side", "m"): TokenUsage(input_tokens=4, output_tokens=1),
    }


async def test_a_ledger_that_would_overflow_refuses_the_whole_commit(store: Store) -> None:
    most = TokenLedgerEntry(source="s", model="m", usage=TokenUsage(cache_read_tokens=2**63 - 1))
    await commit(store, 0, node("a"), usage_deltas=(most,))

    with pytest.raises(CounterOverflow, match=r"'cache_read_tokens' .* correct the usage"):
        await commit(store, 1, node("b", "a"), usage_deltas=(most,))

    assert await everything(store) == ["a"]


# Checkpoints


async def blobs(store: Store) -> list[bytes]:
    async with store.read_connection() as connection:
        return [row[0] for row in await connection.query("SELECT body FROM blobs ORDER BY blob")]


async def test_the_bytes_of_a_part_are_stored_once(store: Store) -> None:
    part = CheckpointPart(body=b"same", encoding_version=3)
    first = await commit(store, 0, checkpoint=SessionCheckpoint(parts={"one": part, "two": part}))
    assert first.manifest is not None
    unchanged = CheckpointPart(ref=first.manifest.parts["one"].ref, encoding_version=3)
    second = await commit(store, 1, checkpoint=SessionCheckpoint(parts={"two": unchanged, "one": unchanged}))
    third = await commit(store, 2, checkpoint=SessionCheckpoint(parts={"two": unchanged}))

    assert await blobs(store) == [b"same"]
    assert first.checkpoint_ref == second.checkpoint_ref != third.checkpoint_ref
    found = (await load(store)).checkpoint
    assert found is not None
    assert {name: (each.body, each.encoding_version) for name, each in found.parts.items()} == {"two": (b"same", 3)}


async def test_gc_deletes_what_no_session_refers_to_and_nothing_else(store: Store) -> None:
    def parts(**bodies: bytes) -> SessionCheckpoint:
        return SessionCheckpoint(parts={name: CheckpointPart(body=body) for name, body in bodies.items()})

    await commit(store, 0, checkpoint=parts(a=b"shared", b=b"old"))
    await commit(store, 1, checkpoint=parts(a=b"shared", b=b"new"))
    other = RuntimeCommit(session_id="other", expected_head_revision=0, checkpoint=parts(c=b"shared", d=b"others"))
    await store.sessions.commit_runtime_state(other)

    report = await store.sessions.gc_unreachable()

    assert (report.root_count, report.retained_blob_count, report.deleted_blob_count) == (2, 3, 1)
    assert sorted(await blobs(store)) == [b"new", b"others", b"shared"]
    assert (await store.sessions.bind("other").gc_unreachable()).deleted_blob_count == 0


async def test_gc_deletes_nothing_where_a_live_checkpoint_cannot_be_decoded(store: Store) -> None:
    part = SessionCheckpoint(parts={"p": CheckpointPart(body=b"old")})
    await commit(store, 0, checkpoint=part)
    await commit(store, 1, checkpoint=SessionCheckpoint(parts={"p": CheckpointPart(body=b"new")}))
    await execute(store, "UPDATE checkpoints SET turn_state = x'00'")

    with pytest.raises(Corrupt):
        await store.sessions.gc_unreachable()

    assert await blobs(store) == [b"old", b"new"]


async def test_a_part_that_came_to_be_referred_to_since_it_was_looked_for_stays(store: Store) -> None:
    part = SessionCheckpoint(parts={"p": CheckpointPart(body=b"old")})
    first = await commit(store, 0, checkpoint=part)
    assert first.manifest is not None
    await commit(store, 1, checkpoint=SessionCheckpoint())
    found = await store.read(lambda statements: checkpoints.unreachable(statements, 0, 10))
    assert len(found) == 1

    unchanged = CheckpointPart(ref=first.manifest.parts["p"].ref)
    await commit(store, 2, checkpoint=SessionCheckpoint(parts={"p": unchanged}))
    collected = await store.commit(Commit(changes=(checkpoints.CollectBlobs(blobs=found),)))

    assert collected.values == (0,)
    assert await blobs(store) == [b"old"]


async def test_maintenance_works_beside_commits(store: Store) -> None:
    async def write() -> None:
        for number in range(40):
            part = CheckpointPart(body=b"%d" % (number % 3))
            await commit(store, number, node(f"n{number}"), checkpoint=SessionCheckpoint(parts={"p": part}))

    async def maintain() -> None:
        for number in range(40):
            with suppress(NodeConflict):  # it may be the leaf of the head
                await store.sessions.tombstone_nodes("talk", [f"n{number - 1}"] if number % 2 else [])
            await store.sessions.gc_unreachable()
            await store.sessions.vacuum()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        nursery.start_soon(maintain)

    assert (await load(store)).head_revision == 40
    assert (await verify_part(store, "sessions")).is_sound


# Tombstones


async def test_a_tombstone_hides_a_node_with_all_that_stands_on_it(store: Store) -> None:
    await commit(store, 0, *chain("a", "b", "c", "d"))
    await commit(store, 1, *chain("e", "f", parent="a"))
    await commit(store, 2, node("g", "b"), leaf_node_id="f")
    talk = store.sessions.bind("talk")

    await talk.tombstone_nodes(["c", "unknown", "c"])

    assert await everything(store) == ["a", "b", "e", "f", "g"]
    assert await talk.load_node("c") is None
    assert await talk.load_node("d") is None
    assert (await talk.load_node("g")) == node("g", "b")
    with pytest.raises(NotFound):
        await path(store, "d")
    await talk.tombstone_nodes(["g"])
    assert await everything(store) == ["a", "b", "e", "f"]
    await talk.tombstone_nodes([])
    await talk.tombstone_nodes(["b"])
    assert await everything(store) == ["a", "e", "f"]
    assert (await talk.vacuum()).removed_node_count == 4
    assert (await talk.vacuum()).removed_node_count == 0
    assert await everything(store) == ["a", "e", "f"]


async def test_a_tombstone_on_the_active_path_is_refused_and_hides_nothing(store: Store) -> None:
    await commit(store, 0, *chain("a", "b"))
    await commit(store, 1, node("c", "a"))

    for live in ("a", "c"):
        with pytest.raises(NodeConflict):
            await store.sessions.tombstone_nodes("talk", ["b", live])

    assert await everything(store) == ["a", "b", "c"]
    await commit(store, 2, leaf_node_id="b")
    await store.sessions.tombstone_nodes("talk", ["c"])
    assert await everything(store) == ["a", "b"]
    with pytest.raises(NodeConflict):
        await commit(store, 3, node("c", "a"))


async def test_vacuum_of_one_session_leaves_the_others(store: Store) -> None:
    for session_id in ("talk", "other"):
        for revision, nodes in enumerate((chain("a", "b"), chain("c", parent="a"))):
            await store.sessions.commit_runtime_state(
                RuntimeCommit(session_id=session_id, expected_head_revision=revision, nodes=nodes)
            )
        await store.sessions.tombstone_nodes(session_id, ["b"])

    assert (await store.sessions.bind("talk").vacuum()).removed_node_count == 1
    assert (await store.sessions.bind("nowhere").vacuum()).removed_node_count == 0
    assert (await store.sessions.vacuum()).removed_node_count == 1
    assert (await store.sessions.vacuum()).removed_node_count == 0


# Meta and binding


async def test_meta_round_trips_and_the_last_write_wins(store: Store) -> None:
    talk = store.sessions.bind("talk")
    meta = SessionMeta(
        session_id="talk",
        session_name="Talk",
        created_at="2026-01-02T03:04:05Z",
        model="m",
        cwd="/somewhere",
        relation=SessionRelation(parent_session_id="root", caused_by={"node": "a"}),
    )
    await talk.save_session_meta(SessionMeta(session_id="talk"))
    await talk.save_session_meta(meta)

    assert await talk.load_session_meta() == meta


async def test_what_is_bound_to_one_session_refuses_another(store: Store) -> None:
    talk = store.sessions.bind("talk")

    with pytest.raises(SessionBindingMismatch) as caught:
        await talk.commit_runtime_state(RuntimeCommit(session_id="other", expected_head_revision=0))
    with pytest.raises(SessionBindingMismatch):
        await talk.save_session_meta(SessionMeta(session_id="other"))

    assert (caught.value.bound, caught.value.attempted) == ("talk", "other")
    assert await store.sessions.load_session("other", FullGraph()) is None


async def test_the_bound_verbs_of_queued_work_are_those_of_the_store(store: Store) -> None:
    talk = store.sessions.bind("talk")
    batch = await talk.enqueue_queued_work(draft("x"))
    assert await talk.list_queued_work("talk") == await store.queue.list_queued_work("talk") == (batch,)
    found = await talk.claim_ready_queued_work("talk", "me", QueuedWorkClaimBoundary.IDLE, 60_000, 1)
    assert found is not None
    assert await talk.list_pending_queued_work("talk") == ()
    await talk.abandon_queued_work_claim(await talk.renew_queued_work_claim(found, 60_000))
    again = await talk.claim_ready_queued_work_by_batch_ids(
        "talk", "me", QueuedWorkClaimBoundary.IDLE, 60_000, [batch.batch_id]
    )
    assert again is not None
    await talk.commit_runtime_state(
        RuntimeCommit(session_id="talk", expected_head_revision=0, completed_queue_claims=(again.completion(),))
    )
    assert await talk.cancel_queued_work_batch("talk", batch.batch_id) is None
    with pytest.raises(SessionBindingMismatch):
        await talk.list_queued_work("other")
    with pytest.raises(SessionBindingMismatch):
        await talk.enqueue_queued_work(draft("x", "other"))


@pytest.mark.parametrize("scope", ["full_graph", None, FullGraph, 7])
async def test_a_scope_that_is_none_is_refused(store: Store, scope: Any) -> None:
    with pytest.raises(UnsupportedReadScope):
        await store.sessions.bind("talk").load_session(scope)


SIGNATURES = {
    "load_session": ["scope"],
    "load_node": ["node_id"],
    "commit_runtime_state": ["commit"],
    "save_session_meta": ["meta"],
    "load_session_meta": [],
    "tombstone_nodes": ["ids"],
    "vacuum": [],
    "gc_unreachable": [],
    "enqueue_queued_work": ["batch"],
    "claim_ready_queued_work": ["session_id", "owner_id", "boundary", "lease_ttl_ms", "max_batches"],
    "claim_ready_queued_work_by_batch_ids": ["session_id", "owner_id", "boundary", "lease_ttl_ms", "batch_ids"],
    "renew_queued_work_claim": ["claim", "lease_ttl_ms"],
    "abandon_queued_work_claim": ["claim"],
    "cancel_queued_work_batch": ["session_id", "batch_id"],
    "list_queued_work": ["session_id"],
    "list_pending_queued_work": ["session_id"],
    "record_intent": ["intent"],
    "commit_refs": ["session_id", "attachment_ids"],
    "list_uncommitted": ["older_than_epoch_ms"],
    "forget": ["session_id", "attachment_id"],
}


@pytest.mark.parametrize("verb", SIGNATURES)
async def test_the_bound_verbs_have_the_signatures_of_the_document(store: Store, verb: str) -> None:
    parameters = inspect.signature(getattr(store.sessions.bind("talk"), verb)).parameters.values()

    assert [each.name for each in parameters if each.kind is not each.KEYWORD_ONLY] == SIGNATURES[verb]
    assert {each.name for each in parameters if each.kind is each.KEYWORD_ONLY} <= {"fence"}


async def test_what_is_bound_to_a_session_is_its_manifest_of_attachments(store: Store) -> None:
    talk: AttachmentManifest = store.sessions.bind("talk")
    meant = [
        AttachmentIntent(attachment_id=hashlib.sha256(body).hexdigest(), session_id="talk") for body in (b"a", b"b")
    ]
    for intent in meant:
        await talk.record_intent(intent)
    other = AttachmentIntent(attachment_id=meant[0].attachment_id, session_id="other")
    await store.attachments.record_intent(other)
    await talk.commit_refs("talk", (meant[0].attachment_id,))

    assert [entry.attachment_id for entry in await talk.list_uncommitted(2**62)] == [meant[1].attachment_id]
    await talk.forget("talk", meant[1].attachment_id)
    assert await talk.list_uncommitted(2**62) == ()
    with pytest.raises(SessionBindingMismatch):
        await talk.record_intent(other)
    with pytest.raises(SessionBindingMismatch):
        await talk.commit_refs("other", (other.attachment_id,))
    with pytest.raises(SessionBindingMismatch):
        await talk.forget("other", other.attachment_id)
    assert [entry.session_id for entry in await store.attachments.list_uncommitted(2**62)] == ["other"]


async def test_the_tier_is_that_of_the_store(store: Store) -> None:
    assert store.sessions.durability_tier is store.durability_tier
    assert store.sessions.bind("talk").durability_tier is store.durability_tier


# Pruning and showing


async def test_a_turn_is_forgotten_when_pruning_asks_and_thirty_days_have_passed(tmp_path: Path) -> None:
    clock = Clock()
    async with tenure.open_store(tmp_path / "agents.db", seams=Seams(wall_clock=clock)) as store:
        for number in range(2):
            part = SessionCheckpoint(parts={"p": CheckpointPart(body=b"%d" % number)})
            await commit(store, number, checkpoint=part, turn_id=f"t{number}")
            clock.now += 40 * 86_400

        pruned = await store.prune(60 * 86_400)

        assert (pruned.turns, pruned.parts) == (1, 1)
        assert (await store.prune(60 * 86_400)) == Pruned()
        with pytest.raises(HeadRevisionConflict):
            await commit(store, 0, checkpoint=SessionCheckpoint(), turn_id="t0")
        with pytest.raises(TurnCommitConflict):
            await commit(store, 0, turn_id="t1")
        assert (await store.prune(0)).turns == 1


async def test_what_is_shown_of_a_runtime_counts_its_graph(store: Store) -> None:
    await commit(store, 0, *chain("a", "b"), checkpoint=SessionCheckpoint(parts={"p": CheckpointPart(body=b"four")}))
    used = TokenLedgerEntry(source="main", model="m", usage=TokenUsage(input_tokens=2, output_tokens=3))
    await commit(store, 1, node("c", "a"), node("d", "a"), leaf_node_id="b", usage_deltas=(used,), turn_id="t")
    await store.sessions.tombstone_nodes("talk", ["d"])
    await store.runtimes.commit_session_snapshot("alice", delta("a", "b"))

    shown = await store.read(lambda statements: show_runtime(statements, LogicalRuntimeId("alice")))

    assert {
        name: shown["session"][name] for name in ("branches", "left_behind", "turns", "checkpoint_parts", "tokens")
    } == {
        "branches": 1,
        "left_behind": 1,
        "turns": 1,
        "checkpoint_parts": {"p": 4},
        "tokens": {"main m": 5},
    }


# One conversation, not two


async def test_the_conversation_of_a_runtime_is_a_graph_and_its_path_the_snapshot(store: Store) -> None:
    await store.runtimes.commit_session_snapshot("alice", delta("one", "two"))

    read = await load(store)
    first, second = read.graph.nodes
    assert [each.payload for each in read.graph.nodes] == [b"one", b"two"]
    assert (first.parent_node_id, second.parent_node_id) == (None, first.node_id)
    assert await store.sessions.load_node("talk", str(second.node_id)) == second

    await commit(store, read.head_revision, node("three", second.node_id, "three"))
    assert await store.runtimes.load_session_snapshot("alice") == envelope("one", "two", "three")
    await commit(store, read.head_revision + 1, node("other", first.node_id, "other"))
    assert await store.runtimes.load_session_snapshot("alice") == envelope("one", "other")
    await store.runtimes.commit_session_snapshot("alice", delta("one", "other", "more"))
    assert [each.payload for each in (await load(store)).graph.nodes] == [b"one", b"other", b"more"]
    assert len(await everything(store)) == 5


@pytest.mark.parametrize("how", ["append", "leaf"])
async def test_a_turn_that_goes_on_elsewhere_than_a_rewrite_led_to_is_itself_one_of_the_snapshot(
    store: Store, how: str
) -> None:
    runtimes, before, after = store.runtimes, snapshot("one", "two"), snapshot("one", "edited")
    await runtimes.commit_session_snapshot("alice", delta("one", "two"))
    edited = SessionDelta(session_snapshot=encode_snapshot(after))
    await runtimes.commit_session_transcript_rewrite_snapshot("alice", edited, rewrite(before, after))
    read = await load(store)
    first = read.graph.nodes[0].node_id

    if how == "append":
        await commit(store, read.head_revision, node("other", first, "other"))
    else:
        await commit(store, read.head_revision, leaf_node_id=first)

    wanted = ["one", "other"] if how == "append" else ["one"]
    loaded = await runtimes.load_session_snapshot("alice")
    assert texts(loaded) == wanted
    known = decode_snapshot(loaded or b"").rewrites
    assert [(each.parent_revision, each.revision) for each in known] == [
        (before.revision, after.revision),
        (after.revision, snapshot(*wanted).revision),
    ]
    more = SessionDelta(session_snapshot=encode_snapshot(snapshot(*wanted, "more", rewrites=known)))
    await runtimes.commit_session_snapshot("alice", more)
    assert await runtimes.replace_session_snapshot_if_current("alice", more.session_snapshot, envelope("new"))


async def test_a_branch_stays_where_a_snapshot_leaves_the_path_that_it_stands_on(store: Store) -> None:
    await commit(store, 0, *chain("a", "b", "c"))
    await commit(store, 1, node("d", "b"), leaf_node_id="c")
    await store.runtimes.commit_session_snapshot("alice", delta("a", "b", "c"))

    await store.runtimes.clear_session_snapshot("alice")

    assert (await path(store), await everything(store)) == ([], ["a", "b", "d"])
    assert (await store.sessions.vacuum()).removed_node_count == 1
    assert await path(store, "d") == ["a", "b", "d"]


async def test_the_session_of_an_owned_runtime_obeys_its_fence(store: Store) -> None:
    owner = Owner(store, "alice")
    token = (await owner.own()).fence_token
    await store.runtimes.commit_session_snapshot("alice", delta("one"), fence=token)
    turn = RuntimeCommit(session_id="talk", expected_head_revision=1, nodes=(node("n"),), turn_id="t")

    for fence in (None, token + 1):
        with pytest.raises(StaleFence):
            await store.sessions.commit_runtime_state(turn, fence=fence)
        with pytest.raises(StaleFence):
            await store.sessions.save_session_meta(SessionMeta(session_id="talk"), fence=fence)
        with pytest.raises(StaleFence):
            await store.sessions.tombstone_nodes("talk", ["x"], fence=fence)
    first = await store.sessions.commit_runtime_state(turn, fence=token)

    assert await store.sessions.commit_runtime_state(turn, fence=token) == first
    with pytest.raises(StaleFence):
        await store.sessions.commit_runtime_state(turn)
    with pytest.raises(InvalidInput):
        await store.sessions.commit_runtime_state(attrs.evolve(turn, session_id="free"), fence=token)
