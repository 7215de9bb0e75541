"""Staying: a run begins no step while its host hands its runtime over (design §25)."""

from __future__ import annotations

import operator
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from tenure.actors.runtime_actor import RuntimeActor


class Stays(Protocol):
    """A run that may stay where it is.

    Attributes:
        actor: Of its runtime.
    """

    actor: RuntimeActor

    def rest(self) -> AbstractAsyncContextManager[None]:
        """Wait inside for what is not in this host's hands."""
        ...


async def stay(run: Stays) -> None:
    """Begin nothing while the host hands the runtime over: what comes next is its next owner's."""
    while run.actor.stays.value:
        async with run.rest():
            await run.actor.stays.wait_value(operator.not_)
