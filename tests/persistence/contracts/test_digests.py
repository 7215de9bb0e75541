"""A stored byte that was changed is found where it is read, and costs the row or the runtime that it belongs to."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from tenure import InputId, LogicalRuntimeId, MachineLifecycleBindingFacts, MachineLifecycleCommit, RuntimeState, Store
from tenure.errors import Corrupt, SchemaMismatch
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.conversation import sessions
from tenure.persistence.facets.runs import dead_letters, sends
from tenure.persistence.model.contracts.operations import PersistedOpsSnapshot
from tenure.supervisor.runs.keeping.journal import load_journal
from tests.persistence.contracts.builders import delta, queued
from tests.persistence.contracts.damage import execute
from tests.persistence.contracts.owners.owned import Owner, live

ALICE, BOB = LogicalRuntimeId("alice"), LogicalRuntimeId("bob")
OF_ALICE = "(SELECT runtime FROM runtimes WHERE runtime_id = 'alice')"
RUN = f"(SELECT run FROM runtimes WHERE runtime = {OF_ALICE})"
SESSION = f"(SELECT session FROM runtimes WHERE runtime = {OF_ALICE})"


def _path(statements: Statements, runtime_id: LogicalRuntimeId) -> object:
    return sessions.path_of_runtime(statements, runtime_id)


def _journal(statements: Statements, runtime_id: LogicalRuntimeId) -> object:
    row = statements.one("runtimes.load", runtime_id=runtime_id)
    assert row is not None
    return load_journal(statements, row[11])


def _refused(statements: Statements, runtime_id: LogicalRuntimeId) -> object:
    return sends.refused(statements, runtime_id, InputId(""), 10)


def _letters(statements: Statements, runtime_id: LogicalRuntimeId) -> object:
    return dead_letters.of_runtime(statements, runtime_id, InputId(""), 10)


Read = Callable[..., object]

CHANGES: dict[str, tuple[str, Read]] = {
    "a message": (f"UPDATE nodes SET payload = CAST('\"hellO\"' AS BLOB) WHERE run = {RUN} AND boundary = 1", _path),
    "a message that a run replays": (
        f"UPDATE nodes SET payload = CAST('\"hellO\"' AS BLOB) WHERE run = {RUN} AND boundary = 1",
        _journal,
    ),
    "a step's result": (f"UPDATE entries SET result = CAST('\"sein\"' AS BLOB) WHERE run = {RUN}", _journal),
    "a step's name": (f"UPDATE entries SET name = 'looker' WHERE run = {RUN} AND name = 'looked'", _journal),
    "how a step repeats": (f"UPDATE entries SET repeat = 'freely' WHERE run = {RUN} AND repeat = 'never'", _journal),
    "what an entry is": (f"UPDATE entries SET kind = 'checkpoint' WHERE run = {RUN} AND kind = 'step'", _journal),
    "that a step has ended": (
        f"UPDATE entries SET status = 'dispatched' WHERE run = {RUN} AND kind = 'step'",
        _journal,
    ),
    "that a step failed": (f"UPDATE entries SET status = 'failed' WHERE run = {RUN} AND kind = 'step'", _journal),
    "the target of a send": (f"UPDATE sends SET target = 'pear' WHERE run = {RUN} AND target = 'peer'", _journal),
    "a refused message": (f"UPDATE sends SET payload = CAST('\"hellO\"' AS BLOB) WHERE run = {RUN}", _refused),
    "a refused message among dead letters": (
        f"UPDATE sends SET payload = CAST('\"hellO\"' AS BLOB) WHERE run = {RUN} AND payload IS NOT NULL",
        _letters,
    ),
    "the target of a refused message": (f"UPDATE sends SET target = 'nobodi' WHERE run = {RUN}", _refused),
    "the payload of a dead letter": (
        (
            "UPDATE payloads SET payload = CAST('{}' AS BLOB) WHERE input IN "
            f"(SELECT input FROM inputs WHERE phase = 'abandoned' AND runtime = {OF_ALICE})"
        ),
        _letters,
    ),
    "the session of a runtime": (
        "UPDATE runtimes SET session = (SELECT session FROM runtimes WHERE runtime_id = 'bob') WHERE runtime_id = 'alice'",
        _path,
    ),
    "the owner of a session": (
        (
            "UPDATE sessions SET runtime = (SELECT runtime FROM runtimes WHERE runtime_id = 'bob') "
            f"WHERE session = {SESSION}"
        ),
        _path,
    ),
}


async def _two(store: Store) -> Owner:
    owners = Owner(store, "alice"), Owner(store, "bob")
    await live(*owners)
    return owners[0]


@pytest.mark.parametrize("what", CHANGES)
async def test_what_an_owner_wrote_and_was_changed_is_corrupt_for_that_runtime_alone(store: Store, what: str) -> None:
    await _two(store)
    sql, read = CHANGES[what]
    await store.read(partial(read, runtime_id=ALICE))

    await execute(store, sql)

    with pytest.raises(Corrupt):
        await store.read(partial(read, runtime_id=ALICE))
    assert await store.read(partial(read, runtime_id=BOB))


async def test_a_message_is_not_appended_to_the_conversation_of_another_runtime(store: Store) -> None:
    alice = await _two(store)
    await execute(store, CHANGES["the session of a runtime"][0])

    with pytest.raises(Corrupt):
        await alice.write(sessions.AppendMessages(runtime_id=ALICE, messages=(b'"lost"',)))


async def test_a_refused_send_that_was_changed_is_not_sent_again(store: Store) -> None:
    alice = await _two(store)
    await Owner(store, "nobodi").own()
    await execute(store, CHANGES["the target of a refused message"][0])

    with pytest.raises(Corrupt):
        await alice.write(alice.retry("sent 2"))


BROUGHT: dict[str, tuple[str, Callable[[Store], Any]]] = {
    "operations": (
        "UPDATE operations SET snapshot = CAST(replace(CAST(snapshot AS TEXT), 'epoch', 'epodh') AS BLOB)",
        lambda store: store.operations.load_ops_lifecycle("alice"),
    ),
    "credentials": (
        "UPDATE oauth_flow SET snapshot = CAST('flov' AS BLOB)",
        lambda store: store.credentials.load_auth_oauth_flow_snapshot(),
    ),
    "binding": (
        "UPDATE bindings SET facts = CAST(replace(CAST(facts AS TEXT), 'host', 'hosd') AS BLOB)",
        lambda store: store.runtimes.load_runtime_state("alice"),
    ),
    "meta": (
        "UPDATE session_snapshots SET meta = CAST('{\"a\":1}' AS BLOB)",
        lambda store: store.runtimes.load_session_snapshot("alice"),
    ),
    "input": (
        "UPDATE inputs SET idempotency_key = 'other'",
        lambda store: store.runtimes.load_input_state("alice", "i1"),
    ),
}


async def _bring(store: Store) -> None:
    facts = MachineLifecycleBindingFacts(agent_runtime_id="host-1")
    await store.runtimes.commit_machine_lifecycle("alice", MachineLifecycleCommit.of(RuntimeState.IDLE, facts), [])
    await store.runtimes.commit_session_snapshot("alice", delta("a"))
    await store.runtimes.persist_input_state("alice", queued("i1", idempotency_key="one"))
    await store.operations.persist_ops_lifecycle("alice", PersistedOpsSnapshot(epoch_id="epoch"))
    await store.credentials.persist_auth_oauth_flow_snapshot(b"flow")


@pytest.mark.parametrize("what", BROUGHT)
async def test_what_a_contract_verb_wrote_and_was_changed_is_corrupt(store: Store, what: str) -> None:
    await _bring(store)
    sql, read = BROUGHT[what]
    assert await read(store) is not None

    await execute(store, sql)

    with pytest.raises(Corrupt):
        await read(store)


@pytest.mark.parametrize("table", ["inputs", "session_snapshots", "operations", "oauth_flow", "bindings"])
async def test_a_digest_of_a_later_scheme_is_another_schema_and_no_damage(store: Store, table: str) -> None:
    await _bring(store)
    await execute(store, f"UPDATE {table} SET scheme = 2")
    names = {"inputs": "input", "session_snapshots": "meta", "oauth_flow": "credentials", "bindings": "binding"}

    with pytest.raises(SchemaMismatch):
        await BROUGHT[names.get(table, table)][1](store)
