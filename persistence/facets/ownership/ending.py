"""The end of children: with the run that spawned them, or with their parent, in the commit of that end.

A child that no host owns is stopped or destroyed there and then. One that a host owns is written so past its owner, which
hears of it and ends its run and its inbox; until then nothing of the child can be written.
"""

from __future__ import annotations

from contextlib import suppress

from tenure.errors import Contended, Corrupt, InvalidTransition, NotFound
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.inbox import cancelling
from tenure.persistence.facets.records import fences, runtimes
from tenure.persistence.facets.runs.children import OnEnd, read_child
from tenure.persistence.model.lifecycles.lifecycle import (
    LifecycleEvent,
    Standing,
    abandons,
    durable,
    transition,
)
from tenure.persistence.model.values import LogicalRuntimeId, RuntimeState

from . import lifecycle

_EVENTS = {OnEnd.STOP: LifecycleEvent.STOP, OnEnd.DESTROY: LifecycleEvent.DESTROY}


def follow(tx: Transaction) -> None:
    """End the children of what this commit has ended, and theirs with them."""
    while tx.ended:
        what, key = tx.ended.pop(0)
        rows = tx.all("children.of_run", run=key) if what == "run" else tx.all("children.that_live", parent=key)
        for row in rows:
            tx.write("children.end", child_key=row[0], now=tx.now)
            with suppress(Corrupt, NotFound):  # damage at a child, which is not its parent's to suffer
                _end(tx, LogicalRuntimeId(row[8]), read_child(row[:8]).on_end)


def _end(tx: Transaction, child: LogicalRuntimeId, on_end: OnEnd) -> None:
    if on_end is OnEnd.LEAVE:
        return
    event, record = _EVENTS[on_end], runtimes.load(tx, child)
    if record.state is RuntimeState.DESTROYED or (record.state is RuntimeState.STOPPED and on_end is OnEnd.STOP):
        return
    try:
        state = durable(transition(Standing(state=record.state), event, runtime_id=child))
    except InvalidTransition:
        return  # it was never begun
    tx.past.append((child, state))
    if runtimes.living_holder(tx, record.owner) is not None:
        lifecycle.write_past(tx, record, state)
        return
    _end_unowned(tx, record, event, state)


def _end_unowned(tx: Transaction, record: runtimes.RuntimeRecord, event: LifecycleEvent, state: RuntimeState) -> None:
    record.owner = None
    # A frozen host that wakes may still hold the last token: what it knows is old from now on.
    record.fence_token = fences.mint_token(tx, record.fence_token)
    change = lifecycle.WriteLifecycle(runtime_id=record.runtime_id, state=state, abandon=abandons(event), end_run=True)
    lifecycle.write(tx, change)


def revive(tx: Transaction, record: runtimes.RuntimeRecord) -> None:
    """Bring a stopped child back to life. Raises `Contended` while its owner has not done all that follows from its stop."""
    if record.run is not None or cancelling.any_to_abandon(tx, record.runtime):
        if runtimes.living_holder(tx, record.owner) is not None:
            raise Contended(detail=f"runtime {record.runtime_id} is being stopped by its owner")
        _end_unowned(tx, record, LifecycleEvent.STOP, RuntimeState.STOPPED)
    lifecycle.write_past(tx, record, RuntimeState.IDLE)
    tx.past.append((record.runtime_id, RuntimeState.IDLE))
