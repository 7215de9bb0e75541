"""The lifecycle written on a runtime's record, and the held mark beside it (design §5).

A caller decides before it writes here, with the table in `tenure.persistence.model.lifecycles.lifecycle`; state and inputs
change in one commit.
"""

from __future__ import annotations

from typing import Final, final

import msgspec
from attrs import frozen

from tenure.errors import RuntimeDestroyed
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import (
    Facet,
    Handler,
)
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.conversation import snapshots
from tenure.persistence.facets.inbox import cancelling, delays
from tenure.persistence.facets.records import (
    asides,
    chain,
    run_records,
    runtimes,
)
from tenure.persistence.facets.runs.following import follow_ups
from tenure.persistence.model.digests import check_digest, seal
from tenure.persistence.model.lifecycles.lifecycle import durable_state
from tenure.persistence.model.lifecycles.lifecycle_record import (
    LIFECYCLE_RECORD_VERSION,
    MachineLifecycleBindingFacts,
    encode_raw,
)
from tenure.persistence.model.values import (
    AbandonReason,
    InputId,
    LogicalRuntimeId,
    RuntimeState,
)

_encode: Final = msgspec.json.Encoder().encode


@final
@frozen(kw_only=True, slots=True)
class WriteLifecycle(Change):
    """Write the durable state that a lifecycle event led to, and abandon inputs with it where the event does.

    Answer: `LifecycleWritten`.

    Attributes:
        runtime_id: Whose.
        state: The durable state (never running or attached).
        abandon: Reason for every unfinished input; None keeps them.
        abandon_delayed: Reason for every input that is not due; None keeps them.
        end_run: Drop the current run, its counts and its timer.
        next_generation: Begin a new life: generation + 1 (reset).
        clear_session: Empty the conversation too.
        over: The stored state that this follows, written past the owner; where another one is stored by now, nothing is done.
    """

    always_synced = True

    runtime_id: LogicalRuntimeId
    state: RuntimeState
    abandon: AbandonReason | None = None
    abandon_delayed: AbandonReason | None = None
    end_run: bool = False
    next_generation: bool = False
    clear_session: bool = False
    over: RuntimeState | None = None


@final
@frozen(kw_only=True, slots=True)
class LifecycleWritten:
    """What `WriteLifecycle` did.

    Attributes:
        generation: The life that goes on.
        abandoned: The inputs it abandoned, in admission order.
        done: Whether anything was done; see `WriteLifecycle.over`.
    """

    generation: int
    abandoned: tuple[InputId, ...]
    done: bool = True


def write(tx: Transaction, change: WriteLifecycle) -> LifecycleWritten:
    """Write it, also inside the commit of another facet."""
    record = runtimes.load(tx, change.runtime_id)
    if change.over not in (None, record.state):
        return LifecycleWritten(generation=record.generation, abandoned=(), done=False)
    if record.state is RuntimeState.DESTROYED and change.state is not RuntimeState.DESTROYED:
        # Decided on a state that was published, while a store verb wrote the tombstone.
        raise RuntimeDestroyed(runtime_id=change.runtime_id)
    abandoned: tuple[InputId, ...] = ()
    if change.abandon is not None:
        abandoned = cancelling.abandon_all(tx, record.runtime, change.abandon)
    elif change.abandon_delayed is not None:
        abandoned = delays.abandon_delayed(tx, record.runtime, change.abandon_delayed)
    if change.end_run and record.run is not None:
        _end_run(tx, record, change)
    if change.next_generation:
        record.generation += 1
        record.crashes = 0
        record.failures = "[]"
        chain.add(tx, record, chain.LinkEvent.RESET, str(record.generation))
    if change.clear_session:
        snapshots.clear(tx, record)
    record.state = change.state
    if change.state is RuntimeState.RETIRED:
        asides.wake(tx, record, steered=True)  # nothing that steers its run comes any more
    record.record_version = LIFECYCLE_RECORD_VERSION
    if change.state is RuntimeState.DESTROYED:
        record.owner = None
        tx.ended.append(("runtime", record.runtime))
    runtimes.save(tx, record)
    return LifecycleWritten(generation=record.generation, abandoned=abandoned)


def _end_run(tx: Transaction, record: runtimes.RuntimeRecord, change: WriteLifecycle) -> None:
    run = record.run or 0
    if change.state is not RuntimeState.DESTROYED and run_records.load(tx, run).follows:
        follow_ups.put_back(tx, record)  # what follows an abandoned batch waits until the runtime lives again
        tx.past.append((change.runtime_id, change.state))  # its owner hears that something waits in the inbox
    else:
        run_records.end(tx, record, run, outcome=change.abandon or "dropped")
    record.run = None
    asides.end(tx, record)


@final
@frozen(kw_only=True, slots=True)
class Hold(Change):
    """Mark the runtime held: no run starts until a person resumes it. `reason` None resumes it and forgives its counts.

    Answer: None.
    """

    runtime_id: LogicalRuntimeId
    reason: str | None
    detail: str | None = None


def _hold(tx: Transaction, change: Hold) -> None:
    record = runtimes.load(tx, change.runtime_id)
    record.held = change.reason
    record.held_detail = change.detail
    if change.reason is None:
        record.crashes = 0
        record.failures = "[]"
    runtimes.save(tx, record)


@final
@frozen(kw_only=True, slots=True)
class PersistState(Change):
    """Write the state that a contract verb brings, projected to what is durable. Answer: the state as it was stored.

    It follows no arrow: the caller has decided. But nothing leaves destroyed.

    Attributes:
        runtime_id: Whose.
        state: The state; attached becomes idle, running idle or, in a retired runtime, retired.
        binding: To what the runtime is bound; None leaves what is known.
    """

    may_create = True
    always_synced = True

    runtime_id: LogicalRuntimeId
    state: RuntimeState
    binding: MachineLifecycleBindingFacts | None = None


def _check_state(tx: Transaction, change: PersistState) -> None:
    record = runtimes.find_cached(tx, change.runtime_id)
    destroyed = record is not None and record.state is RuntimeState.DESTROYED
    if destroyed and change.state is not RuntimeState.DESTROYED:
        raise RuntimeDestroyed(runtime_id=change.runtime_id)


def _persist_state(tx: Transaction, change: PersistState) -> RuntimeState:
    record = runtimes.find_cached(tx, change.runtime_id) or runtimes.load_or_create(tx, change.runtime_id)
    write_past(tx, record, durable_state(change.state, retiring=record.state is RuntimeState.RETIRED))
    if change.binding is not None:
        facts = _encode(change.binding)
        tx.write(
            "lifecycle.bind",
            runtime=record.runtime,
            fence_token=record.fence_token,
            facts=facts,
            digest=seal(record.runtime_id, record.fence_token, facts),
        )
    return record.state


def write_past(tx: Transaction, record: runtimes.RuntimeRecord, state: RuntimeState) -> None:
    """Write a state past the owner of a runtime, which hears of it and does what follows."""
    record.state = state
    if state is RuntimeState.RETIRED:
        asides.wake(tx, record, steered=True)
    record.record_version = LIFECYCLE_RECORD_VERSION
    runtimes.tell_owner(tx, record)
    if state is RuntimeState.DESTROYED and runtimes.living_holder(tx, record.owner) is None:
        record.owner = None  # else its owner ends the run and the inbox first, and lets go then
        asides.end(tx, record)
        tx.ended.append(("runtime", record.runtime))
    runtimes.save(tx, record)


def find_record(statements: Statements, runtime_id: LogicalRuntimeId) -> bytes | None:
    """The lifecycle record of a runtime, as bytes, not decoded; None where none was ever written.

    Without a binding, or with one from before the last token was minted, it says what the store itself knows.
    """
    row = statements.one("lifecycle.record", runtime_id=runtime_id)
    if row is None or row[0] == runtimes.NO_LIFECYCLE_RECORD:
        return None
    version, state, generation, fence_token, epoch, bound_under, facts, digest, scheme = row
    if facts is not None:
        check_digest(seal(runtime_id, bound_under, facts), digest, scheme, "lifecycle record", runtime_id)
    if facts is None or bound_under != fence_token:
        facts = _encode(
            {
                "agent_runtime_id": f"{runtime_id}:{generation}",
                "fence_token": fence_token or None,
                "runtime_generation": generation,
                "runtime_epoch_id": epoch,
            }
        )
    return encode_raw(version, state, facts if isinstance(facts, bytes) else _encode(str(facts)))


FACET: Final = Facet(
    name="lifecycle",
    handlers={
        WriteLifecycle: Handler(apply=write),
        Hold: Handler(apply=_hold),
        PersistState: Handler(apply=_persist_state, check=_check_state),
    },
)
