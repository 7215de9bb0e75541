"""The lifecycle record: states, bindings, and what may not be stored."""

from __future__ import annotations

import json

import pytest

from tenure import (
    MachineLifecycleBindingFacts,
    MachineLifecycleCommit,
    MachineLifecycleSnapshot,
    MachineLifecycleStoreRecord,
    RuntimeState,
    Store,
)
from tenure.errors import Corrupt, InvalidTransition, RuntimeDestroyed, SchemaMismatch
from tenure.persistence.model.lifecycles.lifecycle_record import decode_lifecycle_record
from tests.persistence.contracts.builders import (
    consumed,
    queued,
)

PROJECTED = {
    "initializing": "initializing",
    "idle": "idle",
    "attached": "idle",
    "running": "idle",
    "retired": "retired",
    "stopped": "stopped",
    "destroyed": "destroyed",
}


@pytest.mark.parametrize("state", RuntimeState)
async def test_a_state_is_stored_as_what_is_durable_of_it(store: Store, state: RuntimeState) -> None:
    await store.runtimes.persist_runtime_state("alice", state)

    assert await store.runtimes.load_runtime_state("alice") == PROJECTED[state]


async def test_a_retired_runtime_that_runs_to_drain_stays_retired(store: Store) -> None:
    await store.runtimes.persist_runtime_state("alice", "retired")
    await store.runtimes.persist_runtime_state("alice", "running")

    assert await store.runtimes.load_runtime_state("alice") == "retired"


@pytest.mark.parametrize("state", [each for each in RuntimeState if each is not RuntimeState.DESTROYED])
async def test_nothing_leaves_destroyed(store: Store, state: RuntimeState) -> None:
    await store.runtimes.persist_runtime_state("alice", "destroyed")

    with pytest.raises(RuntimeDestroyed):
        await store.runtimes.persist_runtime_state("alice", state)

    assert await store.runtimes.load_runtime_state("alice") == "destroyed"


@pytest.mark.parametrize("before", [each for each in RuntimeState if each is not RuntimeState.DESTROYED])
@pytest.mark.parametrize("after", RuntimeState)
async def test_the_contract_asks_for_no_arrow(store: Store, before: RuntimeState, after: RuntimeState) -> None:
    await store.runtimes.persist_runtime_state("alice", before)
    await store.runtimes.persist_runtime_state("alice", after)

    assert await store.runtimes.load_runtime_state("alice") in {PROJECTED[after], "retired"}


async def test_a_destroyed_runtime_can_be_destroyed_again_with_its_inputs(store: Store) -> None:
    await store.runtimes.atomic_lifecycle_commit("alice", "destroyed", [consumed("i1")])
    await store.runtimes.atomic_lifecycle_commit("alice", "destroyed", [consumed("i1")])

    for name in ("i1", "i2"):
        with pytest.raises(RuntimeDestroyed):
            await store.runtimes.persist_input_state("alice", queued(name))


async def test_a_runtime_of_which_only_inputs_were_written_has_no_record(store: Store) -> None:
    await store.runtimes.persist_input_state("alice", queued("i1"))

    assert await store.runtimes.load_runtime_state("alice") is None
    assert await store.runtimes.load_machine_lifecycle_record("alice") is None
    assert await store.runtimes.load_machine_lifecycle_record("nobody") is None


async def test_state_and_inputs_are_one_commit(store: Store) -> None:
    await store.runtimes.persist_input_state("alice", consumed("i1"))

    with pytest.raises(InvalidTransition):
        await store.runtimes.atomic_lifecycle_commit("alice", "stopped", [queued("i2"), queued("i1")])

    assert await store.runtimes.load_runtime_state("alice") is None
    assert await store.runtimes.load_input_state("alice", "i2") is None


async def test_a_lifecycle_record_comes_back_with_its_binding(store: Store) -> None:
    binding = MachineLifecycleBindingFacts(
        agent_runtime_id="alice:3", fence_token=7, runtime_generation=3, runtime_epoch_id="e-1"
    )
    commit = MachineLifecycleCommit.of(RuntimeState.RETIRED, binding)

    await store.runtimes.commit_machine_lifecycle("alice", commit, [queued("i1")])

    data = await store.runtimes.load_machine_lifecycle_record("alice")
    assert data is not None
    assert data == commit.store_record().encode()
    assert decode_lifecycle_record(data, "alice") == commit.snapshot
    assert await store.runtimes.load_input_state("alice", "i1") is not None


async def test_a_binding_is_a_fact_and_guards_nothing(store: Store) -> None:
    await store.runtimes.commit_machine_lifecycle(
        "alice", MachineLifecycleCommit.of(RuntimeState.IDLE, MachineLifecycleBindingFacts(fence_token=9)), []
    )
    await store.runtimes.commit_machine_lifecycle(
        "alice", MachineLifecycleCommit.of(RuntimeState.IDLE, MachineLifecycleBindingFacts(fence_token=4)), []
    )

    data = await store.runtimes.load_machine_lifecycle_record("alice")
    assert data is not None
    assert decode_lifecycle_record(data, "alice").binding.fence_token == 4


async def test_a_record_without_a_binding_says_what_the_store_knows(store: Store) -> None:
    await store.runtimes.persist_runtime_state("alice", "idle")

    data = await store.runtimes.load_machine_lifecycle_record("alice")

    assert data is not None
    assert decode_lifecycle_record(data, "alice").binding == MachineLifecycleBindingFacts(
        agent_runtime_id="alice:0", runtime_generation=0
    )


def test_a_record_is_json_with_its_version_and_all_four_facts() -> None:
    record = MachineLifecycleStoreRecord(snapshot=MachineLifecycleSnapshot(runtime_state=RuntimeState.IDLE))

    assert json.loads(record.encode()) == {
        "record_version": 1,
        "runtime_state": "idle",
        "binding": {
            "agent_runtime_id": None,
            "fence_token": None,
            "runtime_generation": None,
            "runtime_epoch_id": None,
        },
    }


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"idle",
        b'"idle"',
        b"[]",
        b'{"runtime_state": "idle", "binding": {}}',
        b'{"record_version": 1, "runtime_state": "sleeping", "binding": {}}',
        b'{"record_version": 1, "runtime_state": "idle", "binding": {"fence_token": "7"}}',
        b'{"record_version": 1, "runtime_state": "idle"}',
        b"\xff\xfe",
    ],
)
def test_bytes_that_are_no_record_are_corrupt(data: bytes) -> None:
    with pytest.raises(Corrupt):
        decode_lifecycle_record(data, "alice")


@pytest.mark.parametrize("version", [0, 2, 99])
def test_another_version_of_the_record_is_refused(version: int) -> None:
    data = json.dumps({"record_version": version, "runtime_state": "idle", "binding": {}}).encode()

    with pytest.raises(SchemaMismatch):
        decode_lifecycle_record(data, "alice")
