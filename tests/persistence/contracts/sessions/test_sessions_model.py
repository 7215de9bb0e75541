"""Sessions as graphs against a model of dicts, one of them also written by the snapshot verbs of a runtime."""

from __future__ import annotations

import tempfile
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, final

import attrs
import pytest
from hypothesis import settings, strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tenure import (
    ActivePath,
    CheckpointPart,
    FullGraph,
    LogicalRuntimeId,
    RuntimeCommit,
    RuntimeCommitResult,
    SessionCheckpoint,
    SessionDelta,
    SessionId,
    SessionNodeRecord,
    SessionSnapshot,
    Store,
    TokenLedgerEntry,
    TokenUsage,
    TranscriptRewriteCommit,
    decode_snapshot,
    encode_snapshot,
)
from tenure.errors import (
    CounterOverflow,
    HeadRevisionConflict,
    InvalidInput,
    NodeConflict,
    NotFound,
    TurnCommitConflict,
)
from tenure.persistence.upkeep.verify import verify_runtime
from tenure.persistence.upkeep.verify_store import verify_part
from tests.kit.models import Host, call, side_by_side
from tests.kit.shares import examples

TALK, FREE = "talk", "free"
"""The first is the conversation of a runtime from the first snapshot on."""

IDS = ("a", "b", "c", "d", "e", "f", "g", "h")
sessions = st.sampled_from((TALK, TALK, FREE))
ids = st.sampled_from(IDS)
optional_ids = st.one_of(st.none(), ids)
messages = st.sampled_from((b"x", b"y"))


@final
@attrs.define
class Node:
    """A node of the model, under its number."""

    node_id: str | None
    parent: int | None
    payload: bytes
    live: bool = True


@final
@attrs.define
class Graph:
    """One session."""

    revision: int = 0
    leaf: int | None = None
    has_snapshot: bool = False
    nodes: dict[int, Node] = attrs.field(factory=dict[int, Node])
    turns: dict[str, tuple[Any, RuntimeCommitResult]] = attrs.field(factory=dict[str, Any])
    ledger: dict[str, int] = attrs.field(factory=dict[str, int])
    parts: dict[str, bytes] | None = None

    def find(self, node_id: str) -> int | None:
        return next((number for number, node in self.nodes.items() if node.node_id == node_id), None)

    def live(self, node_id: str) -> int:
        number = self.find(node_id)
        if number is None or not self.nodes[number].live:
            raise NotFound(what="node", key=node_id)
        return number

    def path(self, leaf: int | None) -> list[int]:
        found: list[int] = []
        while leaf is not None:
            found.append(leaf)
            leaf = self.nodes[leaf].parent
        return found[::-1]

    def add(self, node: Node) -> int:
        number = max(self.nodes, default=0) + 1
        self.nodes[number] = node
        return number

    def has_children(self, number: int) -> bool:
        return any(node.live and node.parent == number for node in self.nodes.values())

    def hide(self, number: int) -> None:
        self.nodes[number].live = False
        for child, node in self.nodes.items():
            if node.live and node.parent == number:
                self.hide(child)

    def shown(self) -> list[tuple[bytes, int | None, str | None]]:
        live = [number for number, node in self.nodes.items() if node.live]
        place = {number: index for index, number in enumerate(live)}
        found = [self.nodes[number] for number in live]
        return [(node.payload, None if node.parent is None else place[node.parent], node.node_id) for node in found]

    def move(self, wanted: list[bytes]) -> None:
        """Make this the active path, as a snapshot does."""
        old = self.path(self.leaf)
        common = 0
        while common < min(len(old), len(wanted)) and self.nodes[old[common]].payload == wanted[common]:
            common += 1
        if common == len(old) == len(wanted):
            return
        for number in reversed(old[common:]):
            if self.has_children(number):
                break
            self.nodes[number].live = False
        self.leaf = old[common - 1] if common else None
        for payload in wanted[common:]:
            self.leaf = self.add(Node(None, self.leaf, payload))
        self.revision += 1


@final
@attrs.define
class Model:
    """What the store holds of sessions."""

    graphs: dict[str, Graph] = attrs.field(factory=lambda: {TALK: Graph(), FREE: Graph()})
    blobs: set[bytes] = attrs.field(factory=set[bytes])

    def commit(self, commit: RuntimeCommit) -> int | None:
        """Returns the new revision; None for a turn that was known, whose result the machine has kept."""
        graph = self.graphs[commit.session_id]
        if len({node.node_id for node in commit.nodes}) < len(commit.nodes):
            raise InvalidInput(detail="")
        if commit.turn_id in graph.turns:
            if graph.turns[commit.turn_id][0] != content_of(commit):
                raise TurnCommitConflict(session_id=commit.session_id, turn_id=commit.turn_id)
            return None
        if commit.expected_head_revision != graph.revision:
            raise HeadRevisionConflict(session_id="", expected=0, actual=0)
        leaf = graph.leaf
        for node in commit.nodes:
            if graph.find(node.node_id) is not None:
                raise NodeConflict(session_id="", node_id=node.node_id, detail="")
            parent = None if node.parent_node_id is None else graph.live(node.parent_node_id)
            leaf = graph.add(Node(node.node_id, parent, node.payload))
        graph.leaf = leaf if commit.leaf_node_id is None else graph.live(commit.leaf_node_id)
        graph.revision += 1
        if commit.checkpoint is not None:
            graph.parts = {name: part.body or b"" for name, part in commit.checkpoint.parts.items()}
            self.blobs |= set(graph.parts.values())
        for entry in commit.usage_deltas:
            total = graph.ledger.get(entry.source, 0) + entry.usage.input_tokens
            if total >= 2**63:
                raise CounterOverflow(counter="")
            graph.ledger[entry.source] = total
        return graph.revision

    def tombstone(self, session_id: str, node_ids: list[str]) -> None:
        graph = self.graphs[session_id]
        found = [graph.find(node_id) for node_id in node_ids]
        for number in found:
            if number in graph.path(graph.leaf):
                raise NodeConflict(session_id="", node_id="", detail="")
        for number in found:
            if number is not None and graph.nodes[number].live:
                graph.hide(number)

    def vacuum(self, session_id: str) -> int:
        graph = self.graphs[session_id]
        gone = [number for number, node in graph.nodes.items() if not node.live]
        for number in gone:
            del graph.nodes[number]
        return len(gone)

    def collect(self) -> tuple[int, int, int]:
        kept = {body for graph in self.graphs.values() for body in (graph.parts or {}).values()}
        gone = self.blobs - kept
        self.blobs -= gone
        return sum(graph.parts is not None for graph in self.graphs.values()), len(kept), len(gone)


def content_of(commit: RuntimeCommit) -> Any:
    return attrs.evolve(commit, expected_head_revision=0)


@st.composite
def nodes(draw: st.DrawFn) -> tuple[SessionNodeRecord, ...]:
    return tuple(
        SessionNodeRecord(node_id=draw(ids), payload=draw(messages), parent_node_id=draw(optional_ids))
        for _ in range(draw(st.integers(0, 3)))
    )


@st.composite
def checkpoints(draw: st.DrawFn) -> SessionCheckpoint | None:
    bodies = draw(st.one_of(st.none(), st.dictionaries(st.sampled_from("pq"), st.sampled_from((b"1", b"2", b"3")))))
    parts = {name: CheckpointPart(body=body) for name, body in (bodies or {}).items()}
    return None if bodies is None else SessionCheckpoint(parts=parts)


def used(source: str, count: int) -> TokenLedgerEntry:
    return TokenLedgerEntry(source=source, model="m", usage=TokenUsage(input_tokens=count))


usage = st.lists(st.builds(used, st.sampled_from("st"), st.sampled_from((1, 2, 2**62))), max_size=2).map(tuple)


class GraphMachine(RuleBasedStateMachine):
    """The store beside its model."""

    @initialize(on_file=st.booleans(), in_company=st.booleans())
    def open(self, *, on_file: bool, in_company: bool) -> None:
        self.in_company = in_company
        self.folder = tempfile.TemporaryDirectory()
        self.host = Host(str(Path(self.folder.name) / "agents.db") if on_file else ":memory:")
        self.model = Model()

    def teardown(self) -> None:
        if not hasattr(self, "host"):
            return
        try:
            for part in ("sessions", "rows"):
                problems = self.host.run(verify_part, self.store, part).problems
                assert not problems, problems
            with suppress(NotFound):  # where no snapshot was ever written
                runtime = self.host.run(self.store.read, partial(verify_runtime, runtime_id=LogicalRuntimeId("alice")))
                assert not runtime.problems, runtime.problems
        finally:
            self.host.close()
            self.folder.cleanup()

    @property
    def store(self) -> Store:
        return self.host.store

    def both(self, verb: Callable[[], Awaitable[Any]], model: Callable[[Model], Any]) -> Any:
        """See `side_by_side`."""
        act = partial(self.host.run, call, self.store, verb, in_company=self.in_company)
        return side_by_side(self, model, act)

    @rule(
        session_id=sessions,
        added=nodes(),
        leaf=st.one_of(st.none(), st.none(), ids),
        off=st.sampled_from((0, 0, 0, 0, 1)),
        turn=st.sampled_from((None, None, "t1", "t2")),
        checkpoint=checkpoints(),
        added_usage=usage,
    )
    def commit(
        self,
        session_id: str,
        added: tuple[SessionNodeRecord, ...],
        leaf: str | None,
        off: int,
        turn: str | None,
        checkpoint: SessionCheckpoint | None,
        added_usage: tuple[TokenLedgerEntry, ...],
    ) -> None:
        commit = RuntimeCommit(
            session_id=session_id,
            expected_head_revision=self.model.graphs[session_id].revision + off,
            nodes=added,
            leaf_node_id=leaf,
            checkpoint=checkpoint,
            usage_deltas=added_usage,
            turn_id=turn,
        )
        self.write(commit)

    @rule(session_id=sessions, under=st.integers(0, 8), payload=messages)
    def grow(self, session_id: str, under: int, payload: bytes) -> None:
        """A commit that can land: a new node on one that is there, or a root."""
        graph = self.model.graphs[session_id]
        free = [each for each in IDS if graph.find(each) is None]
        live = [node.node_id for node in graph.nodes.values() if node.live and node.node_id is not None]
        if free:
            parent = live[under % len(live)] if live and under else None
            node = SessionNodeRecord(node_id=free[0], payload=payload, parent_node_id=parent)
            self.write(RuntimeCommit(session_id=session_id, expected_head_revision=graph.revision, nodes=(node,)))

    @rule(session_id=sessions, turn=st.sampled_from(("t1", "t2")))
    def again(self, session_id: str, turn: str) -> None:
        """A turn that landed is committed again, on whatever head."""
        kept = self.model.graphs[session_id].turns.get(turn)
        if kept is not None:
            self.write(attrs.evolve(kept[0], expected_head_revision=3))

    def write(self, commit: RuntimeCommit) -> None:
        async def verb() -> int | None:
            result = await self.store.sessions.commit_runtime_state(commit)
            kept = self.model.graphs[commit.session_id].turns
            if commit.turn_id in kept:
                assert result == kept[commit.turn_id][1]
                return None
            if commit.turn_id is not None:
                kept[commit.turn_id] = content_of(commit), result
            return result.head_revision

        self.both(verb, lambda model: model.commit(commit))

    @rule(session_id=sessions, node_ids=st.lists(ids, max_size=2))
    def tombstone(self, session_id: str, node_ids: list[str]) -> None:
        self.both(
            lambda: self.store.sessions.tombstone_nodes(session_id, node_ids),
            lambda model: model.tombstone(session_id, node_ids),
        )

    @rule(session_id=sessions)
    def vacuum(self, session_id: str) -> None:
        async def verb() -> int:
            return (await self.store.sessions.bind(session_id).vacuum()).removed_node_count

        self.both(verb, lambda model: model.vacuum(session_id))

    @rule()
    def collect(self) -> None:
        async def verb() -> tuple[int, ...]:
            return attrs.astuple(await self.store.sessions.gc_unreachable())

        self.both(verb, lambda model: model.collect())

    # The same session, written by the verbs of a runtime

    @rule(payload=messages)
    def say(self, payload: bytes) -> None:
        graph = self.model.graphs[TALK]
        wanted = [graph.nodes[number].payload for number in graph.path(graph.leaf)] + [payload]

        def model(model: Model) -> None:
            model.graphs[TALK].has_snapshot = True
            model.graphs[TALK].move(wanted)

        async def verb() -> None:
            delta = SessionDelta(session_snapshot=encode_snapshot(snapshot(wanted, await self.rewrites())))
            await self.store.runtimes.commit_session_snapshot("alice", delta)

        self.both(verb, model)

    async def rewrites(self) -> tuple[TranscriptRewriteCommit, ...]:
        stored = await self.store.runtimes.load_session_snapshot("alice")
        return () if stored is None else decode_snapshot(stored).rewrites

    @rule(wanted=st.lists(messages, max_size=3))
    def edit(self, wanted: list[bytes]) -> None:
        graph = self.model.graphs[TALK]
        if not graph.has_snapshot:
            return
        before = snapshot([graph.nodes[number].payload for number in graph.path(graph.leaf)])

        async def verb() -> None:
            known, after = await self.rewrites(), snapshot(wanted)
            edit = TranscriptRewriteCommit(parent_revision=before.revision, revision=after.revision)
            delta = SessionDelta(session_snapshot=encode_snapshot(snapshot(wanted, (*known, edit))))
            await self.store.runtimes.commit_session_transcript_rewrite_snapshot("alice", delta, edit)

        self.both(verb, lambda model: model.graphs[TALK].move(wanted))

    @rule(wanted=st.lists(messages, max_size=3))
    def replace(self, wanted: list[bytes]) -> None:
        if not self.model.graphs[TALK].has_snapshot:
            return

        async def verb() -> bool:
            stored = await self.store.runtimes.load_session_snapshot("alice")
            return await self.store.runtimes.replace_session_snapshot_if_current(
                "alice", stored or b"", encode_snapshot(snapshot(wanted))
            )

        def model(model: Model) -> bool:
            model.graphs[TALK].move(wanted)
            return True

        self.both(verb, model)

    @rule()
    def clear(self) -> None:
        graph = self.model.graphs[TALK]
        if not graph.has_snapshot:
            return

        def model(model: Model) -> None:
            cleared = model.graphs[TALK]
            had = cleared.leaf is not None
            cleared.move([])
            cleared.revision += 0 if had else 1
            cleared.has_snapshot = False

        self.both(lambda: self.store.runtimes.clear_session_snapshot("alice"), model)

    @invariant()
    def everything_is_the_same(self) -> None:
        if not hasattr(self, "host"):
            return
        for session_id, graph in self.model.graphs.items():
            full = self.host.run(self.store.sessions.load_session, session_id, FullGraph())
            active = self.host.run(self.store.sessions.load_session, session_id, ActivePath())
            if full is None:
                assert graph.revision == 0
                continue
            place = {node.node_id: index for index, node in enumerate(full.graph.nodes)}
            shown = [
                (
                    node.payload,
                    None if node.parent_node_id is None else place[node.parent_node_id],
                    None if str(node.node_id).startswith("tenure:") else node.node_id,
                )
                for node in full.graph.nodes
            ]
            assert (full.head_revision, shown) == (graph.revision, graph.shown())
            assert [node.payload for node in active.graph.nodes] == [
                graph.nodes[number].payload for number in graph.path(graph.leaf)
            ]
            if graph.has_snapshot:
                stored = self.host.run(self.store.runtimes.load_session_snapshot, "alice")
                assert decode_snapshot(stored).messages == tuple([node.payload for node in active.graph.nodes])
            assert {entry.source: entry.usage.input_tokens for entry in full.token_ledger} == graph.ledger
            parts = None if full.checkpoint is None else full.checkpoint.parts
            assert (None if parts is None else {name: part.body for name, part in parts.items()}) == graph.parts


def snapshot(payloads: list[bytes], rewrites: tuple[TranscriptRewriteCommit, ...] = ()) -> SessionSnapshot:
    return SessionSnapshot(session_id=SessionId(TALK), messages=tuple(payloads), rewrites=rewrites)


GraphMachine.TestCase.settings = settings(max_examples=examples(40), stateful_step_count=25)
TestGraphs = pytest.mark.slow(GraphMachine.TestCase)
