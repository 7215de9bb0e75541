"""Accepts, as the hooks of a host hear of them."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable

from tenure.persistence.model.events.happenings import AcceptEnded, AcceptOutcome
from tenure.persistence.model.inputs.traceparent import check_traceparent
from tenure.persistence.model.values import InputId, LogicalRuntimeId
from tenure.persistence.seams.hooks import Hooks

from .terms import AcceptTerms
from .tickets import Ticket


async def instrumented_accept(
    hooks: Hooks,
    runtime_id: LogicalRuntimeId,
    kind: str,
    accept: Callable[[AcceptTerms], Awaitable[Ticket]],
    terms: AcceptTerms,
) -> Ticket:
    """Accept, and call the hooks with what it led to; what is cancelled has led to nothing that is known.

    Where the host is traced, the input carries the context of the accept itself. Raises what `accept` raises.
    """
    began = time.perf_counter()
    traceparent: str | None = None

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
                    traceparent=traceparent,
                )
            )

    try:
        traceparent = check_traceparent(terms.get("traceparent"))
        if hooks.carry is not None:
            traceparent = hooks.carry("accept", runtime_id, kind, traceparent)
            terms = {**terms, "traceparent": traceparent}
        ticket = await accept(terms)
    except Exception as exc:
        ended(None, AcceptOutcome.REFUSED, type(exc).__name__)
        raise
    ended(ticket.input_id, AcceptOutcome.DEDUPLICATED if ticket.deduplicated else AcceptOutcome.ACCEPTED)
    return ticket
