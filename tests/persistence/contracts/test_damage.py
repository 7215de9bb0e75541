"""Random bytes in every stored column: a typed error, and only that runtime blocked."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tenure import (
    InputState,
    LogicalRuntimeId,
    MachineLifecycleBindingFacts,
    MachineLifecycleCommit,
    PersistedOpsSnapshot,
    RuntimeState,
    SessionDelta,
    Store,
    encode_snapshot,
)
from tenure.errors import Corrupt, Error, Internal, ReceiptConflict, StoreBroken
from tenure.persistence.model.contracts.operations import (
    Operation,
    OperationKind,
)
from tenure.persistence.upkeep.verify import verify_runtime
from tests.kit.seen import open_seen_store
from tests.kit.shares import share
from tests.persistence.contracts.builders import (
    consumed,
    delta,
    envelope,
    queued,
    receipt,
    rewrite,
    snapshot,
)
from tests.persistence.contracts.damage import (
    SCHEMA,
    Calls,
    damage,
    every_junk,
    execute,
    outcome,
    restore,
    save,
    spoilt,
)

ROUNDS = 2

TABLES = {
    "runtimes": "runtime_id = 'alice'",
    "sessions": "session_id = 'talk-alice'",
    "nodes": "session = (SELECT session FROM sessions WHERE session_id = 'talk-alice')",
    "session_snapshots": "session = (SELECT session FROM sessions WHERE session_id = 'talk-alice')",
    "inputs": "runtime = {alice}",
    "payloads": "input IN (SELECT input FROM inputs WHERE runtime = {alice})",
    "runs": "runtime = {alice}",
    "receipts": "runtime = {alice}",
    "links": "runtime = {alice}",
    "bindings": "runtime = {alice}",
    "quarantines": "runtime = {alice}",
    "operations": "runtime = {alice}",
}


def path(name: str, *messages: str) -> bytes:
    """A snapshot behind the one rewrite that `fill` makes."""
    talk = f"talk-{name}"
    commit = rewrite(snapshot("a", "b", session=talk), snapshot("a", "x", session=talk))
    return encode_snapshot(snapshot("a", "x", *messages, session=talk, rewrites=(commit,)))


async def fill(store: Store, name: str) -> None:
    """Something in every table."""
    talk = f"talk-{name}"
    before, after = snapshot("a", "b", session=talk), snapshot("a", "x", session=talk)
    runtimes = store.runtimes
    states: list[InputState] = [consumed("i1", idempotency_key="k"), queued("i2", error="e", supersession_key="s")]
    await runtimes.commit_session_boundary(name, delta("a", "b", session=talk), "run-1", "run_start", ["i1"], states)
    await runtimes.commit_session_transcript_rewrite_snapshot(
        name, delta("a", "x", session=talk), rewrite(before, after)
    )
    await runtimes.atomic_apply(name, None, receipt(2, of_delta=False), [])
    binding = MachineLifecycleBindingFacts(agent_runtime_id=name, fence_token=3)
    await runtimes.commit_machine_lifecycle(name, MachineLifecycleCommit.of(RuntimeState.IDLE, binding), [])
    jobs = (Operation(operation_id="op", kind=OperationKind.BACKGROUND_TOOL_OP),)
    await store.operations.persist_ops_lifecycle(name, PersistedOpsSnapshot(epoch_id="e", operations=jobs))


def verbs(store: Store, name: str) -> Calls:
    """Every verb, reading first; those that write leave a sound runtime as it was, or nearly."""
    runtimes, talk = store.runtimes, f"talk-{name}"
    longer = SessionDelta(session_snapshot=path(name, "y"))
    return {
        "load_input_states": partial(runtimes.load_input_states, name),
        "load_input_state": partial(runtimes.load_input_state, name, "i2"),
        "load_boundary_receipt": partial(runtimes.load_boundary_receipt, name, "run-1", 1),
        "load_session_snapshot": partial(runtimes.load_session_snapshot, name),
        "load_runtime_state": partial(runtimes.load_runtime_state, name),
        "load_machine_lifecycle_record": partial(runtimes.load_machine_lifecycle_record, name),
        "is_quarantined": partial(runtimes.is_runtime_projection_quarantined, name),
        "load_ops_lifecycle": partial(store.operations.load_ops_lifecycle, name),
        "verify": partial(store.read, partial(verify_runtime, runtime_id=LogicalRuntimeId(name))),
        "persist_input_state": partial(runtimes.persist_input_state, name, queued("i2")),
        "persist_inputs": partial(runtimes.persist_input_states_atomically, name, [queued("i3"), queued("i2")]),
        "persist_runtime_state": partial(runtimes.persist_runtime_state, name, "idle"),
        "commit_session_snapshot": partial(runtimes.commit_session_snapshot, name, longer),
        "commit_session_boundary": partial(
            runtimes.commit_session_boundary, name, longer, "run-1", "run_start", [], []
        ),
        "atomic_apply": partial(runtimes.atomic_apply, name, None, receipt(9, of_delta=False), [queued("i4")]),
        "replace": partial(
            runtimes.replace_session_snapshot_if_current,
            name,
            path(name, "y"),
            envelope("z", session=talk),
        ),
        "clear_if": partial(runtimes.clear_session_snapshot_if_current, name, envelope("z", session=talk)),
        "persist_ops": partial(store.operations.persist_ops_lifecycle, name, PersistedOpsSnapshot(epoch_id="e")),
        "clear": partial(runtimes.clear_session_snapshot, name),
    }


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("kind", ["memory", "file"])
async def test_damage_is_a_typed_error_and_blocks_one_runtime_alone(tmp_path: Path, table: str, kind: str) -> None:
    source = random.Random(f"{table} {kind}")
    target = ":memory:" if kind == "memory" else str(tmp_path / "agents.db")
    async with open_seen_store(target, durability="memory") as store:
        await fill(store, "alice")
        if table == "quarantines":
            await store.runtimes.clear_session_snapshot_if_current("alice", await _stored(store))
        await fill(store, "bob")
        (alice,) = (await execute(store, "SELECT runtime FROM runtimes WHERE runtime_id = 'alice'"))[0]
        where = TABLES[table].format(alice=alice)
        assert await execute(store, f"SELECT 1 FROM {table} WHERE {where}"), "nothing would be damaged"
        saved = await save(store)
        for column, expression, value in share(spoilt(table, source, ROUNDS), 8):
            await damage(store, table, column, where, expression, value)
            await _expect_typed_errors(store, f"{table}.{column} = {expression} {value!r}")
            await restore(store, saved)


@pytest.mark.parametrize("number", [0, -1, -(2**40)])
@pytest.mark.parametrize(
    "sql", ["UPDATE nodes SET position = ? WHERE position = 1", "UPDATE sessions SET message_count = ?"]
)
async def test_a_message_before_the_first_and_a_count_below_the_messages_are_damage(sql: str, number: int) -> None:
    async with open_seen_store(":memory:") as store:
        await fill(store, "alice")
        stored = await _stored(store)
        await execute(store, sql, number)

        with pytest.raises(Corrupt):
            await store.runtimes.replace_session_snapshot_if_current(
                "alice", stored, envelope("z", session="talk-alice")
            )


async def _stored(store: Store) -> bytes:
    found = await store.runtimes.load_session_snapshot("alice")
    assert found is not None
    return found


async def _expect_typed_errors(store: Store, what: str) -> None:
    for verb, call in verbs(store, "alice").items():
        answer = await outcome(call)
        assert not isinstance(answer, Internal | StoreBroken), (what, verb, answer)
    assert store.broken is None, what
    for verb, call in verbs(store, "bob").items():
        answer = await outcome(call)
        # The one receipt that is out of turn is a sound refusal of a sound runtime.
        assert isinstance(answer, ReceiptConflict) == (verb == "atomic_apply"), (what, verb, answer)
        assert isinstance(answer, ReceiptConflict) or not isinstance(answer, Error), (what, verb, answer)
    rows = await store.runtimes.load_input_states("bob")
    assert not [each for each in rows if isinstance(each, Error)], what
    found = await store.read(partial(verify_runtime, runtime_id=LogicalRuntimeId("bob")))
    assert found.is_sound, (what, found.problems)


@pytest.mark.parametrize(("expression", "value"), every_junk(random.Random("oauth")))
async def test_damaged_credentials_are_a_typed_error_and_block_no_runtime(expression: str, value: Any) -> None:
    async with open_seen_store(":memory:") as store:
        await fill(store, "bob")
        await store.credentials.persist_auth_oauth_flow_snapshot(b"secret")
        for column in SCHEMA["oauth_flow"]:
            await damage(store, "oauth_flow", column, "TRUE", expression, value)
            seen: list[bytes | None] = []

            def update(stored: bytes | None, seen: list[bytes | None] = seen) -> bytes:
                seen.append(stored)
                return b"next"

            for call in (
                store.credentials.load_auth_oauth_flow_snapshot,
                partial(store.credentials.update_auth_oauth_flow_snapshot, update),
            ):
                answer = await outcome(call)
                assert not isinstance(answer, Internal | StoreBroken), (column, answer)
            assert all(each is None or isinstance(each, bytes) for each in seen), "a function was given junk"
            await _expect_typed_errors(store, f"oauth_flow.{column} = {expression} {value!r}")
            await store.credentials.persist_auth_oauth_flow_snapshot(b"secret")
            assert await store.credentials.load_auth_oauth_flow_snapshot() == b"secret", "it cannot be written anew"
