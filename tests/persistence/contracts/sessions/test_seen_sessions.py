"""What a commit of a session knows from the commit before, beside a host that changes the session meanwhile.

In each test a host knows all that there is to know of a session, something happens, and that host is asked for more: its answer
says what is stored, as another host reads it.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from pathlib import Path
from typing import Any, Final

import pytest

from proof.power_cuts.watching import check_records
from tenure import (
    CheckpointPart,
    FullGraph,
    LogicalRuntimeId,
    RuntimeCommit,
    RuntimeCommitResult,
    RuntimeState,
    SessionCheckpoint,
    SessionNodeRecord,
    Store,
    TokenLedgerEntry,
    TokenUsage,
)
from tenure.errors import CounterOverflow, HeadRevisionConflict, NodeConflict, NotFound, RuntimeDestroyed, StaleFence
from tenure.persistence.commits.commit import Change, Commit
from tenure.persistence.facets.conversation.sessions import AppendMessages
from tenure.persistence.facets.graph.graph import CommitGraph
from tenure.persistence.facets.state.bindings import BindExecution
from tenure.persistence.facets.state.values import WriteValues
from tenure.persistence.model.contracts.execution import ExecutionId
from tenure.persistence.model.conversation.graph import OWN_NODES
from tenure.persistence.model.conversation.graph_encoding import encode_commit
from tenure.testing.observing import inside_of
from tests.kit.ground import submit
from tests.kit.seen import open_seen_store
from tests.kit.stores import settle_all
from tests.persistence.contracts.builders import delta
from tests.persistence.contracts.owners.owned import Owner
from tests.persistence.contracts.queued.test_queue import draft, put

PART: Final = SessionCheckpoint(parts={"one": CheckpointPart(body=b"one")})

TOO_MUCH: Final = TokenLedgerEntry(source="s", model="m", usage=TokenUsage(input_tokens=2**63 - 1))

Happens = Callable[[Store], Awaitable[object]]


@pytest.fixture
async def pair(tmp_path: Path) -> AsyncGenerator[tuple[Store, Store]]:
    """Two hosts of one store."""
    path = tmp_path / "agents.db"
    async with open_seen_store(path) as first, open_seen_store(path) as second:
        yield first, second


def saying(expected: int, *nodes: str, parent: str | None = None, session: str = "talk", **more: Any) -> RuntimeCommit:
    made = tuple(
        [
            SessionNodeRecord(node_id=each, parent_node_id=before, payload=each.encode())
            for each, before in zip(nodes, (parent, *nodes), strict=False)
        ]
    )
    return RuntimeCommit(session_id=session, expected_head_revision=expected, nodes=made, **more)


async def say(store: Store, expected: int, *nodes: str, **more: Any) -> RuntimeCommitResult:
    return await store.sessions.commit_runtime_state(saying(expected, *nodes, **more))


def change(expected: int, *nodes: str, **more: Any) -> CommitGraph:
    return CommitGraph(commit=encode_commit(saying(expected, *nodes, **more)))


async def all_known(store: Store) -> None:
    """Two nodes, whose head and owner are known, and that there is no checkpoint; and that no execution is bound."""
    await say(store, 0, "a")
    await say(store, 1, "b", parent="a")
    await store.state.set("run:a", b"1")


async def check_answer(store: Store, reader: Store, answer: RuntimeCommitResult) -> None:
    """An answer says what is stored, and what is kept is what is stored."""
    found = await reader.sessions.load_session("talk", FullGraph())
    assert found is not None
    stored = found.head_revision, found.graph.leaf_node_id, found.checkpoint_ref
    assert (answer.head_revision, answer.leaf_node_id, answer.checkpoint_ref) == stored
    await check_kept(store)


async def check_kept(store: Store) -> None:
    inside = inside_of(store)
    await inside.run(lambda _: check_records(inside))


async def append(store: Store) -> None:
    await say(store, 2, "c", parent="b")


async def move(store: Store) -> None:
    await say(store, 2, leaf_node_id="a")


async def branch(store: Store) -> None:
    await say(store, 2, "c", "d", parent="a")


async def save(store: Store) -> None:
    await say(store, 2, checkpoint=PART)


async def go_on_as_runtime(store: Store) -> None:
    await store.runtimes.commit_session_snapshot("ada", delta("a", "b", "own"))


async def clear(store: Store) -> None:
    await go_on_as_runtime(store)
    envelope = await store.runtimes.load_session_snapshot("ada")
    assert envelope is not None
    assert await store.runtimes.clear_session_snapshot_if_current("ada", envelope)


async def clear_and_go_on(store: Store) -> None:
    await clear(store)
    assert (await store.sessions.vacuum()).removed_node_count == 3
    await store.runtimes.commit_session_snapshot("ada", delta("other"))


CHANGES: Final[dict[Happens, int]] = {
    append: 3,
    move: 3,
    branch: 3,
    save: 3,
    go_on_as_runtime: 3,
    clear: 4,
    clear_and_go_on: 5,
}
"""Each with the revision of the head that it leaves."""


@pytest.mark.parametrize("happens", CHANGES, ids=lambda each: each.__name__)
@pytest.mark.parametrize("who", ["this host", "another host"])
async def test_what_became_of_the_head_and_the_checkpoint_is_in_the_next_answer(
    pair: tuple[Store, Store], happens: Happens, who: str
) -> None:
    store, other = pair
    await all_known(store)

    await happens(store if who == "this host" else other)

    await check_answer(store, other, await say(store, CHANGES[happens]))
    await check_answer(store, other, await say(store, CHANGES[happens] + 1))


@pytest.mark.parametrize("who", ["this host", "another host"])
async def test_a_node_stands_on_the_head_that_is_there_now(pair: tuple[Store, Store], who: str) -> None:
    store, other = pair
    await all_known(store)
    await move(store if who == "this host" else other)

    await check_answer(store, other, await say(store, 3, "c", parent="b"))
    await check_answer(store, other, await say(store, 4, "d", parent="c"))

    found = await other.sessions.load_session("talk", FullGraph())
    assert found is not None
    assert [(node.node_id, node.parent_node_id) for node in found.graph.nodes] == [
        ("a", None),
        ("b", "a"),
        ("c", "b"),
        ("d", "c"),
    ]


async def test_what_no_runtime_has_named_as_its_key_is_is_no_name_of_it(pair: tuple[Store, Store]) -> None:
    store, other = pair
    await all_known(store)
    await go_on_as_runtime(store)
    own = (await say(store, 3)).leaf_node_id
    assert own is not None
    padded = f"{OWN_NODES}0{own.removeprefix(OWN_NODES)}"

    answer = await say(store, 4, leaf_node_id=padded)

    assert answer.leaf_node_id == own
    await check_answer(store, other, answer)
    await check_answer(store, other, await say(store, 5, "c", parent=padded))


@pytest.mark.parametrize("who", ["this host", "another host"])
async def test_a_session_that_was_not_there_and_is_there_now_is_seen(pair: tuple[Store, Store], who: str) -> None:
    store, other = pair
    await put(store, draft("work", session="talk"))
    await say(store if who == "this host" else other, 0, "a")

    with pytest.raises(HeadRevisionConflict):
        await say(store, 0, "b")

    await check_answer(store, other, await say(store, 1, "b", parent="a"))


@pytest.mark.parametrize("who", ["this host", "another host"])
async def test_a_session_that_a_runtime_has_by_now_obeys_its_fence(pair: tuple[Store, Store], who: str) -> None:
    store, other = pair
    await all_known(store)
    by = store if who == "this host" else other
    await by.runtimes.commit_session_snapshot("eve", delta("a", "b", "own"))
    owned = (await Owner(by, "eve").own()).fence_token

    for fence in (None, owned + 1):
        with pytest.raises(StaleFence):
            await store.sessions.commit_runtime_state(saying(3), fence=fence)
    answer = await store.sessions.commit_runtime_state(saying(3, "c", parent="a"), fence=owned)

    await check_answer(store, other, answer)


@pytest.mark.parametrize("who", ["this host", "another host"])
async def test_a_session_whose_runtime_was_destroyed_and_erased_is_written_no_more(
    pair: tuple[Store, Store], who: str
) -> None:
    store, other = pair
    await all_known(store)
    by = store if who == "this host" else other
    await by.runtimes.commit_session_snapshot("ada", delta("a", "b", "own"))
    await say(store, 3)
    await by.runtimes.persist_runtime_state("ada", RuntimeState.DESTROYED)
    with pytest.raises(RuntimeDestroyed):
        await say(store, 4)

    assert (await by.erase("ada")).counts["messages"] == 3

    with pytest.raises(HeadRevisionConflict):
        await say(store, 4)
    await check_answer(store, other, await say(store, 0, "a"))
    with pytest.raises(NotFound):
        await say(store, 1, "c", parent="b")


async def test_what_a_refused_commit_has_seen_is_forgotten_with_it(pair: tuple[Store, Store]) -> None:
    store, other = pair
    await all_known(store)
    await say(store, 0, "x", session="other", usage_deltas=(TOO_MUCH,))
    refused = change(2, "c", parent="b", checkpoint=PART, usage_deltas=(TOO_MUCH, TOO_MUCH))
    created = change(0, "y", session="new", usage_deltas=(TOO_MUCH, TOO_MUCH))
    saved = change(1, session="other", checkpoint=PART)

    outcomes = await settle_all(
        [submit(store, Commit(changes=(each,))) for each in (saved, refused, created, change(2, "d", parent="b"))]
    )

    assert [isinstance(each, CounterOverflow) for each in outcomes] == [False, True, True, False]
    answer = await say(store, 3)
    assert (answer.leaf_node_id, answer.checkpoint_ref) == ("d", None)
    await check_answer(store, other, answer)
    with pytest.raises(NotFound):
        await say(store, 4, "e", parent="c")
    await say(store, 0, "y", session="new")
    assert (await say(store, 2, session="other")).checkpoint_ref is not None


async def test_of_two_in_one_group_that_append_a_node_of_one_id_the_first_has_it(pair: tuple[Store, Store]) -> None:
    store, other = pair
    await all_known(store)

    outcomes = await settle_all(
        [
            submit(store, Commit(changes=(change(expected, node, parent="b"),)))
            for expected, node in ((2, "c"), (3, "c"), (3, "d"))
        ]
    )

    assert [isinstance(each, NodeConflict) for each in outcomes] == [False, True, False]
    for taken in ("c", "a"):
        with pytest.raises(NodeConflict):
            await say(store, 4, "e", taken, parent="d")
    await check_answer(store, other, await say(store, 4, "e", parent="d"))


async def test_a_store_that_is_opened_again_knows_what_is_stored(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    async with open_seen_store(path) as store:
        await all_known(store)
        await save(store)
    async with open_seen_store(path) as store:
        await check_answer(store, store, await say(store, 3))


# Whether an execution is bound


def write(value: bytes, key: str = "run:a") -> WriteValues:
    return WriteValues(values=((key, value),))


@pytest.mark.parametrize("who", ["this host", "another host"])
async def test_an_execution_that_was_bound_since_the_last_write_obeys_the_fence(
    pair: tuple[Store, Store], who: str
) -> None:
    store, other = pair
    by = store if who == "this host" else other
    token = (await Owner(by, "ada").own()).fence_token
    await all_known(store)

    await by.state.bind("run", "ada", fence=token)

    with pytest.raises(StaleFence):
        await store.state.set("run:a", b"2")
    await store.state.set("free:a", b"2")
    assert await other.state.get("run:a") == b"1"
    await check_kept(store)


async def test_in_one_group_a_binding_is_obeyed_by_what_comes_after_it_and_one_that_is_refused_is_none(
    pair: tuple[Store, Store],
) -> None:
    store, other = pair
    ada = Owner(store, "ada")
    token = (await ada.own()).fence_token
    await all_known(store)

    def bind(name: str, *more: Change) -> Commit:
        binding = BindExecution(execution_id=ExecutionId(name), runtime_id=ada.runtime_id)
        return Commit(runtime_id=ada.runtime_id, fence_token=token, changes=(binding, *more))

    unknown = change(7, "x", session="none")
    landing = [
        Commit(changes=(write(b"2"),)),
        bind("run", unknown),
        Commit(changes=(write(b"3"),)),
        bind("run"),
        Commit(changes=(write(b"4"),)),
    ]
    outcomes = await settle_all([submit(store, each) for each in landing])

    assert [isinstance(each, Exception) for each in outcomes] == [False, True, False, False, True]
    assert await other.state.get("run:a") == b"3"
    await check_kept(store)


async def test_an_execution_that_was_bound_to_what_is_erased_is_free_again(pair: tuple[Store, Store]) -> None:
    store, other = pair
    ada = LogicalRuntimeId("ada")
    await store.runtimes.persist_runtime_state(ada, RuntimeState.IDLE)
    await other.state.bind("run", ada)
    await store.runtimes.persist_runtime_state(ada, RuntimeState.DESTROYED)
    with pytest.raises(RuntimeDestroyed):
        await store.state.set("run:a", b"1")

    await other.erase(ada)

    await store.state.set("run:a", b"1")
    await store.state.set("run:a", b"2")
    await check_kept(store)


async def test_messages_that_a_runtime_appends_have_names_of_their_own(pair: tuple[Store, Store]) -> None:
    store, other = pair
    ada = Owner(store, "ada")
    await ada.own()
    commit = saying(0, "a", session="talk-ada")
    await store.sessions.commit_runtime_state(commit, fence=ada.token)

    await ada.write(AppendMessages(runtime_id=ada.runtime_id, messages=(b"own",)))

    answer = await store.sessions.commit_runtime_state(saying(2, session="talk-ada"), fence=ada.token)
    found = await other.sessions.load_session("talk-ada", FullGraph())
    assert found is not None
    assert answer.leaf_node_id == found.graph.leaf_node_id
    assert str(answer.leaf_node_id).startswith(OWN_NODES)
    await check_kept(store)


async def test_a_node_stands_beside_what_a_runtime_has_appended_since_its_parent_was_the_head(
    pair: tuple[Store, Store],
) -> None:
    store, other = pair
    ada = Owner(store, "ada")
    await ada.own()
    await store.sessions.commit_runtime_state(saying(0, "a", session="talk-ada"), fence=ada.token)
    await ada.write(AppendMessages(runtime_id=ada.runtime_id, messages=(b"own",)))

    await store.sessions.commit_runtime_state(saying(2, "b", parent="a", session="talk-ada"), fence=ada.token)

    found = await other.sessions.load_session("talk-ada", FullGraph())
    assert found is not None
    parents = {node.node_id: node.parent_node_id for node in found.graph.nodes}
    assert parents["b"] == "a"
