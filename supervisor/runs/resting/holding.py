"""A person's hold on a runtime whose run waits: no time of a wait is over then."""

from __future__ import annotations

from functools import partial
from typing import Final, Protocol

import trio

from tenure.actors.runtime_actor import RuntimeActor
from tenure.persistence.facets.records.holds import on_hold
from tenure.persistence.reading.patience import patiently
from tenure.persistence.store import Store

LOOK_S: Final = 1.0
"""Seconds between two looks whether it has ended."""


class Waits(Protocol):
    """A run that waits.

    Attributes:
        store: Where the hold is.
        actor: Of its runtime.
    """

    store: Store
    actor: RuntimeActor


async def is_on_hold(run: Waits) -> bool:
    """Whether a person keeps the runtime on hold."""
    facts = run.actor.facts
    return (await patiently(partial(run.store.read, on_hold))).keeps(facts.runtime_id, facts.kind)


async def wait_out_hold(run: Waits) -> None:
    """Wait until no person keeps the runtime on hold."""
    while await is_on_hold(run):  # noqa: ASYNC110 - it may end on another host
        await trio.sleep(LOOK_S)
