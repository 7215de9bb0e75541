"""Accepts, as the hooks of a host hear of them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from tenure.persistence.model.events.happenings import AcceptEnded, AcceptOutcome
from tenure.persistence.model.values import InputId, LogicalRuntimeId
from tenure.persistence.seams.hooks import Hooks

from .tickets import Ticket


async def watch_accept(
    hooks: Hooks, runtime_id: LogicalRuntimeId, kind: str, accept: Callable[[], Awaitable[Ticket]]
) -> Ticket:
    """Accept, and call the hooks with what it led to; what is cancelled has led to nothing that is known."""
    began = time.perf_counter()

    def ended(input_id: InputId | None, outcome: AcceptOutcome, reason: str = "") -> None:
        if hooks.call is not None:
            seconds = time.perf_counter() - began
            hooks.call(
                AcceptEnded(
                    runtime_id=runtime_id,
                    kind=kind,
                    input_id=input_id,
                    outcome=outcome,
                    reason=reason,
                    seconds=seconds,
                )
            )

    try:
        ticket = await accept()
    except Exception as exc:
        ended(None, AcceptOutcome.REFUSED, type(exc).__name__)
        raise
    ended(ticket.input_id, AcceptOutcome.DEDUPLICATED if ticket.deduplicated else AcceptOutcome.ACCEPTED)
    return ticket
