"""Inputs under every policy, and the jobs of a registry, as parts of the scenario with every kind of commit."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import trio

from tenure.persistence.contracts.operation_registry import OperationRegistry
from tenure.persistence.facets.inbox import delays
from tenure.persistence.facets.inbox.cancelling import CancelInput
from tenure.persistence.facets.inbox.inputs import AcceptInput
from tenure.persistence.facets.inbox.repair import QueueBrought
from tenure.persistence.facets.ownership.lifecycle import WriteLifecycle
from tenure.persistence.facets.runs import deadlines
from tenure.persistence.model.inputs.input_state import InputState
from tenure.persistence.model.inputs.policies import InputDurability, PolicyDecision, QueueMode
from tenure.persistence.model.values import (
    AbandonReason,
    InputId,
    InputKind,
    InputPhase,
    Lane,
    LogicalRuntimeId,
    RunApplyBoundary,
    RuntimeState,
)
from tenure.persistence.store import Store
from tenure.testing.history import Witness

from .words import Words, id_of

_VARIANTS: tuple[dict[str, Any], ...] = (
    {"kind": InputKind.PEER_RESPONSE_PROGRESS, "supersession_key": "of one job"},
    {"kind": InputKind.PEER_RESPONSE_PROGRESS, "supersession_key": "of one job"},  # the first is coalesced into it
    {"kind": InputKind.PROMPT, "supersession_key": "draft", "idempotency_key": "draft 1"},
    {"kind": InputKind.PROMPT, "supersession_key": "draft", "policy": PolicyDecision(queue_mode=QueueMode.SUPERSEDE)},
    {"kind": InputKind.OPERATION},  # consumed at once, with its own receipt
    {"kind": InputKind.CONTINUATION, "correlation_id": "what it answers"},
    {"kind": InputKind.PROMPT, "policy": PolicyDecision(queue_mode=QueueMode.PRIORITY)},
    {"durability": InputDurability.EPHEMERAL},
    {"kind": InputKind.CONTINUATION, "durability": InputDurability.DERIVED, "source": '{"type":"system"}'},
)


async def accept_under_policies(write: Callable[..., Awaitable[Any]], name: str, new_id: Callable[[], str]) -> None:
    """Accept one input of each sort; those that take the place of another do so in the same commit."""
    for number, variant in enumerate(_VARIANTS):
        payload = f'"{number}"'.encode()
        await write(
            AcceptInput(
                runtime_id=LogicalRuntimeId(name),
                input_id=InputId(new_id()),
                payload=payload,
                payload_digest=hashlib.sha256(payload).digest(),
                **variant,
            )
        )


async def work_on_jobs(store: Store, retried: Callable[..., Awaitable[Any]], witness: Witness) -> None:
    """Jobs that a registry watches: each end is on disk before it is heard."""
    registry = await OperationRegistry.open(store.operations, "watched", epoch_id="of the story")
    for name, end in (("done", registry.complete), ("broken", registry.fail), ("unwanted", registry.cancel)):
        await retried(registry.register, name, "background_tool_op")
        await retried(registry.start, name)
        await retried(registry.progress, name)
        ended = await retried(end, name)
        witness.acknowledged("ended operation", ("watched", name, ended.status))
    registry.close()


async def late_inputs(words: Words) -> None:
    """One that waits, a member of a batch, and all that a run has, past their deadlines."""
    await words.own("lea")
    await words.accept("lea", "never begun", deadline_s=1)
    await trio.sleep(2)
    await words.write(deadlines.ExpireInputs(runtime_id=id_of("lea")))
    await words.accept("lea", "a member", deadline_s=1)
    await words.accept("lea", "the other", deadline_s=3)
    run_id = await words.begin("lea", batch=2)
    await trio.sleep(2)
    await words.write(
        deadlines.ExpireMembers(runtime_id=id_of("lea"), run_id=run_id),
        words.receipt("lea", run_id, RunApplyBoundary.RUN_CHECKPOINT),
    )
    await trio.sleep(2)
    await words.write(deadlines.DropLateRun(runtime_id=id_of("lea")))


async def policies(words: Words) -> None:
    """Inputs that wait, take the place of others, go first, or are consumed at once; and jobs."""
    await words.own("ivy")
    await accept_under_policies(words.write, "ivy", words.new_id)
    await work_on_jobs(words.store, words.retried, words.witness)


async def brought_inputs(words: Words) -> None:
    """Inputs that a store verb writes as accepted under a living owner, which queues them."""
    await words.own("bea")
    for name, lane in (("to work on", Lane.QUEUE), ("to hear", Lane.STEER)):
        state = InputState(input_id=InputId(name), phase=InputPhase.ACCEPTED, payload=b'"brought"', recovery_lane=lane)
        await words.retried(
            partial(words.store.runtimes.persist_input_state, fence=words.tokens["bea"]), id_of("bea"), state
        )
    await words.write(QueueBrought(runtime_id=id_of("bea")))


async def delayed_inputs(words: Words) -> None:
    """Some that are cancelled, are due, or are abandoned with the retirement of their runtime."""
    await words.own("dan")
    unwanted = await words.accept("dan", "unwanted", after_s=9)
    await words.write(CancelInput(runtime_id=id_of("dan"), input_id=unwanted))
    await words.accept("dan", "the second", after_s=2, deadline_s=50)
    await words.accept("dan", "the first", after_s=1)
    await words.accept("dan", "never", after_s=900)
    await trio.sleep(3)
    await words.write(delays.QueueDue(runtime_id=id_of("dan")))
    await words.finish("dan", await words.begin("dan", batch=2))
    await words.write(
        WriteLifecycle(runtime_id=id_of("dan"), state=RuntimeState.RETIRED, abandon_delayed=AbandonReason.RETIRED)
    )
