"""Policies, lanes, supersession, dead letters and repair, on the store itself."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tenure import (
    InputDurability,
    InputId,
    InputKind,
    InputPhase,
    InputState,
    LogicalRuntimeId,
    PolicyDecision,
    RunApplyBoundary,
    RunId,
    SessionId,
    Store,
    StoredInputState,
)
from tenure.errors import InvalidInput, InvalidTransition, NotAccepting, NotFound, RuntimeDestroyed
from tenure.persistence.commits.commit import (
    Change,
    Commit,
)
from tenure.persistence.facets.inbox import outcomes
from tenure.persistence.facets.inbox.inputs import (
    AcceptedInput,
    AcceptInput,
)
from tenure.persistence.facets.inbox.receipts import MintReceipt
from tenure.persistence.facets.ownership.lifecycle import WriteLifecycle
from tenure.persistence.facets.ownership.ownership import (
    ReleaseOwnership,
    TakeOwnership,
)
from tenure.persistence.facets.runs import dead_letters
from tenure.persistence.facets.runs.dead_letters import (
    DropDeadLetter,
    Retried,
    RetryDeadLetter,
)
from tenure.persistence.facets.runs.entries import RecordEntry
from tenure.persistence.facets.runs.runs import (
    BeginRun,
    FailRun,
    FinishRun,
    NothingBegun,
    RejectInput,
    RunBegun,
)
from tenure.persistence.model.codec import digest
from tenure.persistence.model.entries import (
    EntryKind,
    EntryStatus,
    Repeat,
)
from tenure.persistence.model.inputs.policies import (
    COALESCING_KINDS,
    DEFAULT_POLICIES,
    QueueMode,
    Routing,
    WakeMode,
    may_be_derived,
    replaced_phase,
)
from tenure.persistence.model.values import (
    AbandonReason,
    Lane,
    RuntimeState,
)
from tenure.persistence.upkeep.listing import list_inbox
from tenure.persistence.upkeep.verify import verify_runtime
from tests.kit.phase_oracle import repaired
from tests.kit.seen import open_seen_store
from tests.persistence.contracts.builders import queued
from tests.persistence.contracts.damage import execute

ALICE = LogicalRuntimeId("alice")


class Alice:
    """One owned runtime, and short ways to write it."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self.token: int | None = None
        self.count = 0

    async def write(self, *changes: Change) -> tuple[Any, ...]:
        result = await self.store.commit(Commit(runtime_id=ALICE, fence_token=self.token, changes=changes))
        return result.values

    async def take(self) -> None:
        take = TakeOwnership(runtime_id=ALICE, kind="reader", epoch="e", session_id=SessionId("talk"))
        result = await self.store.commit(Commit(changes=(take,)))
        self.token = result.values[0].fence_token

    async def accept(self, input_id: str, **more: Any) -> AcceptedInput:
        payload = more.pop("payload", b"1")
        change = AcceptInput(
            runtime_id=ALICE, input_id=InputId(input_id), payload=payload, payload_digest=digest(payload), **more
        )
        result = await self.store.commit(Commit(changes=(change,)))
        accepted: AcceptedInput = result.values[0]
        return accepted

    async def begin(self, batch: int = 1) -> RunBegun | None:
        self.count += 1
        begun: RunBegun | NothingBegun
        (begun,) = await self.write(BeginRun(runtime_id=ALICE, run_id=RunId(f"run-{self.count}"), batch=batch))
        return begun if isinstance(begun, RunBegun) else None

    async def begun(self, batch: int = 1) -> RunBegun:
        begun = await self.begin(batch)
        assert begun is not None
        return begun

    async def fail(self, begun: RunBegun, retry_at: float | None = None) -> None:
        await self.write(FailRun(runtime_id=ALICE, run_id=begun.run_id, error="boom", retry_at=retry_at, failures="[]"))

    async def finish(self, begun: RunBegun) -> None:
        ids = tuple(each.input_id for each in begun.inputs)
        await self.write(
            MintReceipt(
                runtime_id=ALICE,
                run_id=begun.run_id,
                boundary=RunApplyBoundary.RUN_START,
                contributing_input_ids=ids,
            ),
            FinishRun(runtime_id=ALICE, run_id=begun.run_id),
        )

    async def states(self) -> dict[str, InputState]:
        found = await self.store.runtimes.load_input_states(ALICE)
        return {each.state.input_id: each.state for each in found if isinstance(each, StoredInputState)}

    async def phases(self) -> dict[str, str]:
        return {input_id: str(state.phase) for input_id, state in (await self.states()).items()}


@pytest.fixture(params=["memory", "file"])
async def alice(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncGenerator[Alice]:
    target = ":memory:" if request.param == "memory" else str(tmp_path / "agents.db")
    async with open_seen_store(target) as store:
        found = Alice(store)
        await found.take()
        yield found


# The table


def test_every_kind_has_a_policy() -> None:
    assert set(DEFAULT_POLICIES) == set(InputKind)


@pytest.mark.parametrize("kind", [InputKind.PROMPT, InputKind.FLOW_STEP, InputKind.EXTERNAL_EVENT])
def test_what_starts_work_is_queued_first_in_first_out_and_wakes(kind: InputKind) -> None:
    policy = DEFAULT_POLICIES[kind]

    assert (policy.lane, policy.queue_mode, policy.wake_mode) == (Lane.QUEUE, QueueMode.FIFO, WakeMode.WAKE_IF_IDLE)


def test_progress_steers_and_wakes_nobody() -> None:
    policy = DEFAULT_POLICIES[InputKind.PEER_RESPONSE_PROGRESS]

    assert (policy.lane, policy.queue_mode, policy.wake_mode) == (Lane.STEER, QueueMode.COALESCE, WakeMode.NONE)


def test_peers_interrupt_and_operations_are_consumed_at_once() -> None:
    assert DEFAULT_POLICIES[InputKind.PEER_MESSAGE].wake_mode is WakeMode.INTERRUPT_YIELDING
    assert DEFAULT_POLICIES[InputKind.OPERATION].consumes_on_accept


@pytest.mark.parametrize("kind", InputKind)
def test_only_some_kinds_coalesce_by_themselves(kind: InputKind) -> None:
    expected = InputPhase.COALESCED if kind in COALESCING_KINDS else None

    assert replaced_phase(kind, PolicyDecision()) is expected
    assert replaced_phase(kind, PolicyDecision(queue_mode=QueueMode.SUPERSEDE)) is InputPhase.SUPERSEDED
    assert replaced_phase(kind, PolicyDecision(queue_mode=QueueMode.COALESCE)) is InputPhase.COALESCED


@pytest.mark.parametrize("source", ["operator", "peer", "external"])
@pytest.mark.parametrize("kind", InputKind)
def test_what_somebody_outside_said_is_never_derived(kind: InputKind, source: str) -> None:
    assert not may_be_derived(kind, source)


def test_a_continuation_of_the_system_may_be_derived() -> None:
    assert may_be_derived(InputKind.CONTINUATION, "system")
    assert not may_be_derived(InputKind.PROMPT, "system")


# Admission


async def test_an_operation_is_consumed_with_an_immediate_receipt(alice: Alice) -> None:
    accepted = await alice.accept("i1", kind=InputKind.OPERATION)

    assert accepted.phase is InputPhase.CONSUMED
    receipt = await alice.store.runtimes.load_boundary_receipt("alice", "i1", 1)
    assert receipt is not None
    assert receipt.boundary is RunApplyBoundary.IMMEDIATE
    assert receipt.contributing_input_ids == ("i1",)
    assert (await alice.states())["i1"].last_boundary_sequence == 1
    assert await alice.begin() is None


async def test_an_input_keeps_the_policy_that_decided_it(alice: Alice) -> None:
    policy = PolicyDecision(routing=Routing.STEER, emit_operator_content=False)
    await alice.accept("i1", policy=policy, correlation_id="c-1")

    state = (await alice.states())["i1"]
    assert (state.policy, state.correlation_id, state.recovery_lane) == (policy, "c-1", Lane.STEER)


async def test_priority_goes_to_the_front_of_what_waits(alice: Alice) -> None:
    await alice.accept("i1")
    await alice.accept("i2")
    await alice.accept("i3", policy=PolicyDecision(queue_mode=QueueMode.PRIORITY))
    await alice.accept("i4", policy=PolicyDecision(queue_mode=QueueMode.PRIORITY))

    begun = await alice.begun(batch=10)

    assert [each.input_id for each in begun.inputs] == ["i4", "i3", "i1", "i2"]


@pytest.mark.parametrize("first", [None, 2 - 2**63])
async def test_what_went_before_all_others_is_read_and_sound(alice: Alice, first: int | None) -> None:
    runtimes, names = alice.store.runtimes, ["i4", "i3", "i2", "i1"]
    if first is not None:
        await runtimes.persist_input_state(ALICE, queued("last", admission_sequence=first), fence=alice.token)
    for name in reversed(names):
        await alice.accept(name, policy=PolicyDecision(queue_mode=QueueMode.PRIORITY))

    states = await alice.states()

    # Where the places end, all that go to the front share the lowest.
    assert {*states} == {*names} if first is None else {*names, "last"}
    assert (min if first is None else max)(each.admission_sequence or 0 for each in states.values()) == (first or -3)
    listed = await alice.store.read(partial(list_inbox, runtime_id=ALICE))
    assert {each.input_id for each in listed} == {*states}
    assert [each.admission for each in listed] == sorted(each.admission for each in listed)
    assert (await alice.store.read(partial(verify_runtime, runtime_id=ALICE))).is_sound
    for state in states.values():
        await runtimes.persist_input_state(ALICE, state, fence=alice.token)  # and may be written as it was read
    assert len((await alice.begun(batch=10)).inputs) == len(states)


@pytest.mark.parametrize(
    ("mode", "ending"),
    [(QueueMode.FIFO, "coalesced"), (QueueMode.COALESCE, "coalesced"), (QueueMode.SUPERSEDE, "superseded")],
)
async def test_a_later_input_takes_the_place_of_what_waits_under_its_key(
    alice: Alice, mode: QueueMode, ending: str
) -> None:
    await alice.accept("i1", supersession_key="s", idempotency_key="k")
    await alice.accept("other", supersession_key="t")
    accepted = await alice.accept("i2", supersession_key="s", policy=PolicyDecision(queue_mode=mode))

    assert accepted.replaced == ("i1",)
    states = await alice.states()
    assert {key: state.phase for key, state in states.items()} == {"i1": ending, "other": "queued", "i2": "queued"}
    assert states["i1"].successor == "i2"
    assert states["i1"].history[-1].after == ending
    again = await alice.accept("i9", idempotency_key="k")
    assert (again.input_id, again.deduplicated, again.phase) == ("i1", True, ending)


async def test_another_kind_under_the_same_key_stays(alice: Alice) -> None:
    await alice.accept("i1", supersession_key="s")
    await alice.accept("i2", supersession_key="s", kind=InputKind.PEER_RESPONSE_PROGRESS)

    assert set((await alice.phases()).values()) == {"queued"}


async def test_an_input_that_a_run_has_is_not_replaced(alice: Alice) -> None:
    await alice.accept("i1", supersession_key="s")
    await alice.begun()
    accepted = await alice.accept("i2", supersession_key="s")

    assert accepted.replaced == ()
    assert await alice.phases() == {"i1": "staged", "i2": "queued"}


async def test_a_refused_input_replaces_nothing(alice: Alice) -> None:
    await alice.accept("i1", supersession_key="s")
    with pytest.raises(InvalidInput):
        await alice.accept("i2", supersession_key="s", durability=InputDurability.EPHEMERAL, idempotency_key="k")
    with pytest.raises(InvalidInput):
        await alice.accept("i3", supersession_key="s", durability=InputDurability.DERIVED)

    assert await alice.phases() == {"i1": "queued"}


# Dead letters


async def test_a_retry_enters_the_same_run_with_its_steps_and_no_attempts(alice: Alice) -> None:
    await alice.accept("i1")
    begun = await alice.begun()
    step = RecordEntry(
        runtime_id=ALICE,
        run_id=begun.run_id,
        place="main/1",
        kind=EntryKind.STEP,
        name="look",
        arguments_digest=b"",
        version="1",
        repeat=Repeat.FREELY,
        status=EntryStatus.SUCCEEDED,
        result=b"7",
        started_at=0.0,
    )
    await alice.write(step)
    await alice.fail(begun)
    assert await alice.begin() is None

    (retried,) = await alice.write(RetryDeadLetter(runtime_id=ALICE, input_id=InputId("i1")))
    again = await alice.begun()

    assert retried == Retried(runtime_id=ALICE, input_ids=(InputId("i1"),))
    assert (again.run_id, again.run, again.again, again.attempts) == (begun.run_id, begun.run, True, 0)
    assert [each.input_id for each in again.inputs] == ["i1"]
    recorded = await alice.store.read(lambda statements: statements.all("entries.of_run", run=again.run))
    assert [row[2] for row in recorded] == ["look"]


async def test_a_fresh_retry_begins_a_new_run(alice: Alice) -> None:
    await alice.accept("i1")
    begun = await alice.begun()
    await alice.fail(begun)

    await alice.write(RetryDeadLetter(runtime_id=ALICE, input_id=InputId("i1"), fresh=True))
    again = await alice.begun()

    assert again.run_id != begun.run_id
    assert (again.again, again.attempts) == (False, 0)
    assert [each.input_id for each in again.inputs] == ["i1"]


async def test_a_batch_that_was_abandoned_together_comes_back_together(alice: Alice) -> None:
    for input_id in ("i1", "i2", "i3"):
        await alice.accept(input_id)
    begun = await alice.begun(batch=2)
    await alice.fail(begun)

    (retried,) = await alice.write(RetryDeadLetter(runtime_id=ALICE, input_id=InputId("i2")))

    assert retried.input_ids == ("i1", "i2")
    assert [each.input_id for each in (await alice.begun(batch=9)).inputs] == ["i1", "i2"]


async def test_a_reopened_run_waits_for_the_current_one(alice: Alice) -> None:
    await alice.accept("i1")
    first = await alice.begun()
    await alice.fail(first)
    await alice.accept("i2")
    second = await alice.begun()

    await alice.write(RetryDeadLetter(runtime_id=ALICE, input_id=InputId("i1")))
    await alice.finish(second)

    assert (await alice.begun()).run_id == first.run_id


async def test_a_rejected_member_of_a_run_that_ended_well_gets_a_run_of_its_own(alice: Alice) -> None:
    await alice.accept("i1")
    await alice.accept("i2")
    begun = await alice.begun(batch=2)
    await alice.write(RejectInput(runtime_id=ALICE, run_id=begun.run_id, input_id=InputId("i1"), error="no"))
    await alice.finish(begun)

    await alice.write(RetryDeadLetter(runtime_id=ALICE, input_id=InputId("i1")))
    again = await alice.begun()

    assert again.run_id != begun.run_id
    assert [each.input_id for each in again.inputs] == ["i1"]


async def test_what_a_reset_abandoned_can_be_retried(alice: Alice) -> None:
    await alice.accept("i1")
    await alice.write(
        WriteLifecycle(runtime_id=ALICE, state=RuntimeState.IDLE, abandon=AbandonReason.RESET, next_generation=True)
    )

    await alice.write(RetryDeadLetter(runtime_id=ALICE, input_id=InputId("i1")))

    assert await alice.phases() == {"i1": "queued"}


async def test_only_an_abandoned_input_is_retried(alice: Alice) -> None:
    await alice.accept("i1")

    with pytest.raises(InvalidTransition):
        await alice.write(RetryDeadLetter(runtime_id=ALICE, input_id=InputId("i1")))
    with pytest.raises(NotFound):
        await alice.write(RetryDeadLetter(runtime_id=ALICE, input_id=InputId("nobody")))


@pytest.mark.parametrize(
    ("state", "error"), [("retired", NotAccepting), ("stopped", NotAccepting), ("destroyed", RuntimeDestroyed)]
)
async def test_a_runtime_that_takes_nothing_takes_no_retry(alice: Alice, state: str, error: type[Exception]) -> None:
    await alice.accept("i1")
    await alice.fail(await alice.begun())
    await alice.write(WriteLifecycle(runtime_id=ALICE, state=RuntimeState(state)))

    with pytest.raises(error):
        await alice.write(RetryDeadLetter(runtime_id=ALICE, input_id=InputId("i1")))

    assert await alice.phases() == {"i1": "abandoned"}


async def test_a_dropped_dead_letter_keeps_its_key_and_nothing_else(alice: Alice) -> None:
    await alice.accept("i1", idempotency_key="k", payload=b'"secret"')
    await alice.fail(await alice.begun())

    await alice.write(DropDeadLetter(runtime_id=ALICE, input_id=InputId("i1")))

    state = (await alice.states())["i1"]
    assert (state.phase, state.payload, state.idempotency_key) == ("abandoned", b"", "k")
    letters = await alice.store.read(partial(dead_letters.of_runtime, runtime_id=ALICE, after=InputId(""), count=9))
    assert letters == ()
    with pytest.raises(NotFound):
        await alice.write(RetryDeadLetter(runtime_id=ALICE, input_id=InputId("i1")))
    again = await alice.accept("i2", idempotency_key="k", payload=b'"secret"')
    assert again.deduplicated


# Repair


async def crash(alice: Alice) -> None:
    """Give the runtime up as a dead host does, and take it over."""
    await alice.write(ReleaseOwnership(runtime_id=ALICE))
    await alice.take()


async def put(alice: Alice, phase: InputPhase, **more: Any) -> None:
    state = InputState(input_id=InputId("i1"), phase=phase, **more)
    await alice.store.runtimes.persist_input_state(ALICE, state, fence=alice.token)


@pytest.mark.parametrize("phase", ["accepted", "queued", "staged", "applied", "applied_pending_consumption"])
@pytest.mark.parametrize("has_receipt", [True, False])
@pytest.mark.parametrize("ephemeral", [True, False])
async def test_a_takeover_repairs_as_the_table_says(
    alice: Alice, phase: str, *, has_receipt: bool, ephemeral: bool
) -> None:
    if has_receipt:
        await alice.write(
            MintReceipt(
                runtime_id=ALICE,
                run_id=RunId("run-x"),
                boundary=RunApplyBoundary.RUN_START,
                contributing_input_ids=(InputId("i1"),),
                any_run=True,
            )
        )
    durability = InputDurability.EPHEMERAL if ephemeral else InputDurability.DURABLE
    await put(alice, InputPhase(phase), last_run_id=RunId("run-x"), last_boundary_sequence=1, durability=durability)

    await crash(alice)

    after = repaired(InputPhase(phase), has_receipt=has_receipt, ephemeral=ephemeral)
    assert await alice.phases() == ({} if after is None else {"i1": str(after)})
    if after is InputPhase.QUEUED and phase != "queued":
        state = (await alice.states())["i1"]
        assert state.history[-1].after is InputPhase.QUEUED
        assert state.history[-1].reason
        assert (await alice.begun()).run_id == "run-x"


async def test_the_receipt_of_a_checkpoint_does_not_end_an_applied_input(alice: Alice) -> None:
    await alice.write(
        MintReceipt(
            runtime_id=ALICE,
            run_id=RunId("run-x"),
            boundary=RunApplyBoundary.RUN_CHECKPOINT,
            contributing_input_ids=(),
            any_run=True,
        )
    )
    await put(alice, InputPhase.APPLIED, last_run_id=RunId("run-x"), last_boundary_sequence=1)

    await crash(alice)

    assert await alice.phases() == {"i1": "queued"}


@pytest.mark.parametrize("reason", [AbandonReason.RESET, AbandonReason.CANCELLED])
async def test_what_has_ended_is_left_alone(alice: Alice, reason: AbandonReason) -> None:
    await put(alice, InputPhase.ABANDONED, reason=reason, durability=InputDurability.EPHEMERAL)

    await crash(alice)

    assert (await alice.states())["i1"].reason is reason


async def test_a_run_whose_batch_was_ephemeral_ends(alice: Alice) -> None:
    await alice.accept("i1", durability=InputDurability.EPHEMERAL)
    await alice.begun()

    await crash(alice)

    assert await alice.phases() == {}
    assert await alice.begin() is None
    await alice.accept("i2")
    assert [each.input_id for each in (await alice.begun()).inputs] == ["i2"]


async def test_a_batch_that_cannot_be_staged_starves_nobody(alice: Alice) -> None:
    await alice.accept("bad")
    await alice.accept("good")
    await execute(alice.store, "DELETE FROM payloads WHERE input IN (SELECT input FROM inputs WHERE input_id = 'bad')")

    begun = await alice.begun()

    assert [each.input_id for each in begun.inputs] == ["good"]
    await alice.finish(begun)
    assert await alice.begin() is None
    outcome = await alice.store.read(partial(outcomes.find_outcome, runtime_id=ALICE, input_id=InputId("bad")))
    assert outcome is not None
    assert (outcome.phase, outcome.reason) == ("abandoned", "max_attempts_exhausted")
