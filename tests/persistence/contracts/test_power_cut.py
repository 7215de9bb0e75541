"""The power cut at every write of the contract: what was acknowledged is there, and no commit is half there."""

from __future__ import annotations

import itertools
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
import trio

import tenure
from tenure import (
    LogicalRuntimeId,
    MachineLifecycleBindingFacts,
    MachineLifecycleCommit,
    PersistedOpsSnapshot,
    RuntimeState,
    Store,
    StoredInputState,
)
from tenure.errors import NotFound
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.ownership.lifecycle import WriteLifecycle
from tenure.persistence.facets.runs.dead_letters import (
    DropDeadLetter,
    RetryDeadLetter,
)
from tenure.persistence.model.values import (
    AbandonReason,
    InputId,
)
from tenure.persistence.upkeep.verify import verify_runtime
from tenure.testing import History, Machine, PowerCut, Reopening, Witness
from tests.kit.shares import TURN, few
from tests.persistence.contracts.builders import (
    consumed,
    delta,
    envelope,
    queued,
    receipt,
    rewrite,
    snapshot,
)

pytestmark = pytest.mark.sqlite("a disk that forgets")

ALICE = LogicalRuntimeId("alice")

Step = Callable[[Store], Awaitable[Any]]


async def _reset(store: Store) -> None:
    change = WriteLifecycle(
        runtime_id=ALICE,
        state=RuntimeState.IDLE,
        abandon=AbandonReason.RESET,
        next_generation=True,
        clear_session=True,
    )
    await store.commit(Commit(runtime_id=ALICE, changes=(change,)))


async def _retry(store: Store) -> None:
    await store.commit(Commit(runtime_id=ALICE, changes=(RetryDeadLetter(runtime_id=ALICE, input_id=InputId("i2")),)))


async def _drop(store: Store) -> None:
    await store.commit(Commit(runtime_id=ALICE, changes=(DropDeadLetter(runtime_id=ALICE, input_id=InputId("i3")),)))


STEPS: tuple[Step, ...] = (
    lambda store: store.runtimes.persist_input_states_atomically(
        ALICE, [queued("i1", idempotency_key="k"), queued("i2"), queued("i3")]
    ),
    lambda store: store.runtimes.commit_session_boundary(
        ALICE, delta("a", "b"), "run-1", "run_start", ["i1"], [consumed("i1", idempotency_key="k")]
    ),
    lambda store: store.runtimes.atomic_apply(
        ALICE, delta("a", "b", "c"), receipt(2, "a", "b", "c"), [queued("i2", error="again")]
    ),
    lambda store: store.runtimes.commit_session_transcript_rewrite_snapshot(
        ALICE, delta("a", "x"), rewrite(snapshot("a", "b", "c"), snapshot("a", "x"))
    ),
    lambda store: store.runtimes.clear_session_snapshot(ALICE),
    lambda store: store.runtimes.commit_session_snapshot(ALICE, delta("d", meta={"v": 1})),
    lambda store: store.runtimes.replace_session_snapshot_if_current(
        ALICE, envelope("d", meta={"v": 1}), envelope("e", "f")
    ),
    lambda store: store.runtimes.clear_session_snapshot_if_current(ALICE, envelope("e", "f")),
    lambda store: store.runtimes.commit_machine_lifecycle(
        ALICE, MachineLifecycleCommit.of(RuntimeState.RETIRED, MachineLifecycleBindingFacts(fence_token=4)), []
    ),
    lambda store: store.operations.persist_ops_lifecycle(ALICE, PersistedOpsSnapshot(epoch_id="e")),
    lambda store: store.credentials.update_auth_oauth_flow_snapshot(lambda current: (current or b"") + b"token"),
    lambda store: store.runtimes.commit_session_snapshot(ALICE, delta("g")),
    _reset,
    _retry,
    _drop,
    lambda store: store.operations.delete_ops_lifecycle(ALICE),
    lambda store: store.runtimes.persist_runtime_state(ALICE, "destroyed"),
)


async def seen(store: Store) -> tuple[Any, ...]:
    """Everything of the runtime that a verb can tell, but times."""
    runtimes = store.runtimes
    rows = [each.state for each in await runtimes.load_input_states(ALICE) if isinstance(each, StoredInputState)]
    receipts = [await runtimes.load_boundary_receipt(ALICE, "run-1", sequence) for sequence in (1, 2)]
    return (
        [(each.input_id, each.phase, each.reason, each.error, each.payload, each.last_run_id) for each in rows],
        [each and (each.conversation_digest, each.message_count) for each in receipts],
        await runtimes.load_session_snapshot(ALICE),
        await runtimes.is_runtime_projection_quarantined(ALICE),
        await runtimes.load_machine_lifecycle_record(ALICE),
        await store.operations.load_ops_lifecycle(ALICE),
        await store.credentials.load_auth_oauth_flow_snapshot(),
    )


async def rehearse() -> list[tuple[Any, ...]]:
    """What is seen before the first step and after each."""
    async with tenure.open_store(":memory:") as store:
        found = [await seen(store)]
        for step in STEPS:
            await step(store)
            found.append(await seen(store))
        return found


@asynccontextmanager
async def open_on(machine: Machine) -> AsyncGenerator[Store]:
    async with tenure.open_store(machine.path(), seams=machine.seams()) as store:
        yield store


async def scenario(machine: Machine, witness: Witness) -> None:
    async with open_on(machine) as store:
        for number, step in enumerate(STEPS, start=1):
            witness.attempted("step", number)
            await step(store)
            witness.acknowledged("step", number)


class WholeSteps:
    """Every acknowledged step is there, the one on its way whole or not at all, and the chain holds."""

    name = "whole steps"

    def __init__(self, expected: list[tuple[Any, ...]]) -> None:
        self._expected = expected

    async def ask(self, store: Store, history: History) -> object:
        found = await seen(store)
        least = max(history.acknowledged("step"), default=0)
        most = max(history.attempted("step"), default=0)
        assert found in self._expected[least : most + 1], f"neither step {least} nor step {most} is what is there"
        try:
            verified = await store.read(lambda statements: verify_runtime(statements, ALICE))
        except NotFound:
            assert least == 0
        else:
            assert verified.is_sound, verified.problems
        return found


@pytest.mark.slow
def test_no_commit_of_the_contract_is_lost_or_half_there() -> None:
    expected = trio.run(rehearse)
    assert all(before != after for before, after in itertools.pairwise(expected)), "a step shows nothing"
    check = Reopening(open_store=open_on, invariants=[WholeSteps(expected)])

    report = PowerCut(scenario=scenario, check=check, budget=few(150, 2), seed=TURN).run()

    assert report.acknowledged == len(STEPS)
