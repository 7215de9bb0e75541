"""Inputs under every policy, and the jobs of a registry, as parts of the scenario with every kind of commit."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from typing import Any

from tenure.persistence.contracts.operation_registry import OperationRegistry
from tenure.persistence.facets.inbox.inputs import AcceptInput
from tenure.persistence.model.inputs.policies import InputDurability, PolicyDecision, QueueMode
from tenure.persistence.model.values import (
    InputId,
    InputKind,
    LogicalRuntimeId,
)
from tenure.persistence.store import Store
from tenure.testing.history import Witness

_VARIANTS: tuple[dict[str, Any], ...] = (
    {"kind": InputKind.PEER_RESPONSE_PROGRESS, "supersession_key": "of one job"},
    {"kind": InputKind.PEER_RESPONSE_PROGRESS, "supersession_key": "of one job"},  # the first is coalesced into it
    {"kind": InputKind.PROMPT, "supersession_key": "draft", "idempotency_key": "draft 1"},
    {"kind": InputKind.PROMPT, "supersession_key": "draft", "policy": PolicyDecision(queue_mode=QueueMode.SUPERSEDE)},
    {"kind": InputKind.OPERATION},  # consumed at once, with a receipt of its own
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
