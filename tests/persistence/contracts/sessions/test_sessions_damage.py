"""Every column of the rows of graphs, damaged: the verbs of the session say so, `verify` does, and other sessions go on."""

from __future__ import annotations

import random
from contextlib import suppress
from functools import partial
from typing import Any

import pytest

from tenure import (
    ActivePath,
    AgentFrame,
    CheckpointPart,
    FullGraph,
    RuntimeCommit,
    SessionCheckpoint,
    SessionMeta,
    SessionNodeRecord,
    Store,
    TokenLedgerEntry,
    TokenUsage,
)
from tenure.errors import Error, ReadFailed
from tenure.persistence.upkeep.verify_store import verify_part
from tests.kit.shares import TURN, share
from tests.persistence.contracts.damage import (
    SCHEMA,
    Calls,
    answers_of,
    check_answers,
    damage,
    every_junk,
    execute,
    restore,
    save,
    texts,
)

TABLES = {
    "sessions": ("session", 1),
    "nodes": ("node", 2),
    "branches": ("session", 1),
    "session_configs": ("session", 1),
    "session_metas": ("session", 1),
    "token_usage": ("session", 1),
    "checkpoints": ("session", 1),
    "checkpoint_parts": ("session", 1),
    "blobs": ("blob", 1),
    "turns": ("session", 1),
}
NAMES = {
    ("sessions", "session_id"),
    ("sessions", "session"),
    ("sessions", "revision"),
    ("nodes", "node_id"),
    ("nodes", "session"),
    ("nodes", "node"),
    ("nodes", "tombstoned_at"),
    ("branches", "session"),
    ("session_configs", "session"),
    ("session_metas", "session"),
    ("token_usage", "session"),
    ("checkpoints", "session"),
    ("turns", "session"),
    ("turns", "turn_id"),
}
"""What is found by another name, or by none, is not there; every other change of an answer is an error of reading."""

COLUMNS = [(table, column) for table in TABLES for column in SCHEMA[table]]


async def fill_graphs(store: Store) -> None:
    """Two sessions, each with a branch and a row in every table of graphs."""
    for name in ("a", "b"):
        await store.sessions.commit_runtime_state(turn(name, 0))
        await store.sessions.commit_runtime_state(
            RuntimeCommit(session_id=name, expected_head_revision=1, leaf_node_id="two")
        )
        await store.sessions.save_session_meta(SessionMeta(session_id=name, session_name=name))


def turn(name: str, expected: int) -> RuntimeCommit:
    return RuntimeCommit(
        session_id=name,
        expected_head_revision=expected,
        nodes=(
            SessionNodeRecord(node_id="one", payload=b"one", agent_frame_id="main"),
            SessionNodeRecord(node_id="two", payload=b"two", parent_node_id="one", caused_by={"by": name}),
            SessionNodeRecord(node_id="three", payload=b"three", parent_node_id="one"),
        ),
        config={"of": name},
        agent_frames=(AgentFrame(frame_id="main", frame={"of": name}),),
        current_agent_frame_id="main",
        checkpoint=SessionCheckpoint(turn_state={"of": name}, parts={"p": CheckpointPart(body=name.encode())}),
        usage_deltas=(
            TokenLedgerEntry(source="main", model="m", usage=TokenUsage(input_tokens=5, reasoning_tokens=2)),
        ),
        turn_id="first",
    )


async def answers(store: Store, name: str) -> dict[str, Any]:
    """What every verb says of one session; an error in place of an answer."""
    bound = store.sessions.bind(name)
    calls: Calls = {
        "full graph": lambda: bound.load_session(FullGraph()),
        "active path": lambda: bound.load_session(ActivePath()),
        "the end of the path": lambda: bound.load_session(ActivePath(last=1)),
        "a branch": lambda: bound.load_session(ActivePath("three")),
        "node": lambda: bound.load_node("two"),
        "meta": bound.load_session_meta,
        "replay": lambda: bound.commit_runtime_state(turn(name, 7)),
        "conflict": lambda: bound.commit_runtime_state(RuntimeCommit(session_id=name, expected_head_revision=99)),
        "tombstone": lambda: bound.tombstone_nodes(["nowhere"]),
    }
    return await answers_of(calls)


@pytest.mark.turns(2)
@pytest.mark.parametrize(("table", "column"), COLUMNS, ids=[".".join(each) for each in COLUMNS])
async def test_a_damaged_value_is_said_and_hides_no_neighbour(store_of_turn: Store, table: str, column: str) -> None:
    await fill_graphs(store_of_turn)
    whole, other = await answers(store_of_turn, "a"), await answers(store_of_turn, "b")
    where, key = TABLES[table]
    key_sql = f"{where} = {key!r}"
    saved = await save(store_of_turn, [table])
    for expression, value in share(every_junk(random.Random(f"{table}.{column}")), 4, TURN // 2):
        await damage(store_of_turn, table, column, key_sql, expression, value)

        found = await answers(store_of_turn, "a")
        sound = (await verify_part(store_of_turn, "sessions")).is_sound and (
            await verify_part(store_of_turn, "rows")
        ).is_sound
        neighbour = await answers(store_of_turn, "b")

        assert texts(neighbour) == texts(other)
        named = (table, column) in NAMES
        check_answers(whole, found, value, may_be_silent=named, seen=not sound, sees_silent=False)
        await restore(store_of_turn, saved)

    assert texts(await answers(store_of_turn, "a")) == texts(whole)


@pytest.mark.parametrize("column", SCHEMA["nodes"])
async def test_damage_before_the_end_of_a_path_leaves_that_end_or_is_said(store: Store, column: str) -> None:
    await fill_graphs(store)
    calls = (
        partial(store.sessions.load_session, "a", ActivePath(last=1)),
        partial(store.sessions.load_node, "a", "two"),
    )
    whole = [await call() for call in calls]
    saved = await save(store, ["nodes"])
    for expression, value in share(every_junk(random.Random(column)), 4):
        await damage(store, "nodes", column, "node = 1", expression, value)
        for call, before in zip(calls, whole, strict=True):
            with suppress(ReadFailed):
                assert await call() == before
        await restore(store, saved)


@pytest.mark.parametrize("table", ["nodes", "branches", "blobs", "checkpoint_parts", "checkpoints"])
async def test_a_row_that_is_gone_is_missed(store: Store, table: str) -> None:
    await fill_graphs(store)
    where, key = TABLES[table]
    await execute(store, f"DELETE FROM {table} WHERE {where} = ?", key)

    assert not (await verify_part(store, "sessions")).is_sound
    assert not isinstance((await answers(store, "b"))["full graph"], Error)


@pytest.mark.sqlite("keys that are counted without gaps")
async def test_a_node_that_was_moved_to_another_session_is_read_in_neither(store: Store) -> None:
    await fill_graphs(store)
    await execute(store, "UPDATE branches SET session = 2, node = 3 WHERE session = 2")

    assert isinstance((await answers(store, "b"))["full graph"], ReadFailed)
    assert not (await verify_part(store, "sessions")).is_sound
