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


def carried(hooks: Hooks, runtime_id: LogicalRuntimeId, kind: str, terms: AcceptTerms) -> AcceptTerms:
    """The terms, with the context of the accept itself where the host is traced. Raises `InvalidInput`."""
    if hooks.carry is None:
        return terms
    above = check_traceparent(terms.get("traceparent"))
    return {**terms, "traceparent": hooks.carry("accept", runtime_id, kind, above)}


async def watch_accept(
    hooks: Hooks,
    runtime_id: LogicalRuntimeId,
    kind: str,
    accept: Callable[[], Awaitable[Ticket]],
    traceparent: str | None,
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
                    traceparent=traceparent,
                )
            )

    try:
        ticket = await accept()
    except Exception as exc:
        ended(None, AcceptOutcome.REFUSED, type(exc).__name__)
        raise
    ended(ticket.input_id, AcceptOutcome.DEDUPLICATED if ticket.deduplicated else AcceptOutcome.ACCEPTED)
    return ticket
