"""What a run does at this moment, for people: what is in memory alone, and stands in no record yet."""

from __future__ import annotations

from tenure.actors.runtime_actor import RuntimeActor
from tenure.persistence.model.entries import EntryKind
from tenure.persistence.upkeep.one_runtime.sentences import human

from .recording.asked import list_entries
from .recording.entering import Entering
from .recording.flight import Flight


def doing(actor: RuntimeActor, now: float) -> str | None:
    """What a runtime of this host does, or waits for, at this moment; None where the store says all that there is."""
    if actor.facts.why_held is not None:
        return None
    if actor.slot is not None and actor.slot.waits:
        return actor.slot.why
    return None if actor.at_work is None else actor.at_work(now)


def at_work(entering: Entering, now: float) -> str | None:
    """The step that a run executes, or that waits until the record is reached or for a thread; None where there is none.

    Side by side there may be several: one that waits for the record goes before those that execute, those before one that
    waits for a thread, and the oldest before the others.
    """
    in_flight = [each for each in entering.flights.values() if each.waits or each.asked.kind is EntryKind.STEP]
    steps = [each for each in in_flight if not each.rests]
    if not steps:
        return None
    first = min(steps, key=lambda flight: (not flight.waits, flight.awaits_thread, flight.started_at))
    text = f"{_named(entering, first)}, for {human(now - first.started_at)}"
    if first.waits:
        return (
            f"its run waits with {text}: recorded, and not reached: {list_entries(entering.record.unreached.values())}"
        )
    if first.awaits_thread:
        return f"its run waits for a thread for {text}"
    others = f", and {len(steps) - 1} more beside it" if len(steps) > 1 else ""
    return f"its run executes {text}{others}"


def _named(entering: Entering, flight: Flight) -> str:
    version = f", version {entering.version}" if entering.version else ""
    kind, name = flight.asked.kind, flight.asked.name
    return f"{kind if kind == name else f'{kind} {name}'} at {flight.place}, attempt {flight.attempt}{version}"
