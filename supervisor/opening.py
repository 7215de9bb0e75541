"""Opening a host: store, supervisor and recovery, around a body."""

from __future__ import annotations

import os
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from tenure.persistence.limits import Limits
from tenure.persistence.nursery import background
from tenure.persistence.seams import Seams
from tenure.persistence.store import open_store
from tenure.persistence.values import DurabilityClass

from .behaviour import Behaviour, BehaviourFunction, as_behaviours
from .supervisor import Supervisor


@asynccontextmanager
async def open_supervisor(
    target: str | os.PathLike[str],
    *,
    behaviours: Mapping[str, Behaviour | BehaviourFunction],
    durability: DurabilityClass | str = DurabilityClass.DISK,
    limits: Limits | None = None,
    seams: Seams | None = None,
) -> AsyncGenerator[Supervisor]:
    """Open a host: its store, and a supervisor that goes on with what was left unfinished.

    Args:
        target: See `open_store`.
        behaviours: By kind. A stored kind without one stays unowned.
        durability: See `open_store`.
        limits: See `open_store`.
        seams: See `open_store`.

    Raises:
        Error: What `open_store` raises; `StoreBroken` when the store stops, which cancels the body; `Internal` when the
            supervisor itself fails, with the cause. The body's own exception leaves unwrapped.

    Cancellation: the body's. A normal exit lets executing runs come to their end for at most `DRAIN_S`; any other exit drains
    nothing. What was accepted stays in the inbox.
    """
    async with open_store(target, durability=durability, limits=limits, seams=seams) as store:
        async with background() as body:
            supervisor = Supervisor(store, as_behaviours(behaviours), body.nursery)
            body.nursery.start_soon(supervisor.watch_store)
            try:
                with body, supervisor.body:
                    await supervisor.recover()
                    yield supervisor
                if body.left_normally and supervisor.failure is None:
                    await supervisor.drain()
            finally:
                supervisor.close()
        if supervisor.failure is not None and body.left_normally:
            raise supervisor.failure
        body.reraise()
