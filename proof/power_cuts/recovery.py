"""A scenario that does nothing but recover: it opens what is there, and closes it."""

from __future__ import annotations

from typing import final

from attrs import frozen

from proof.promises.facets import promises
from tenure.persistence.commits.commit import Change
from tenure.testing.history import Witness
from tenure.testing.machine import Machine
from tenure.testing.observing import inside_of

from .invariants import open_real
from .watching import watch


@final
@frozen
class Recovery:
    """Open and close the store, for faults that strike while it opens (`FaultSweep.over`)."""

    async def __call__(self, machine: Machine, witness: Witness) -> None:
        """See `Scenario`."""
        async with open_real(machine) as store:
            watch(inside_of(store), witness, promises, set[type[Change]]())
