"""A scenario with every kind of commit that exists: the stories of all facets, then work as it comes every day.

Each facet has its story with its proof, and both are registered there (`FacetProof`). A test compares what landed with the
catalogue of facets, so every change there is stands in a story; the power cut ends it at every write.
"""

from __future__ import annotations

from typing import Final, final

from attrs import field, frozen

from proof.promises.facets import PROOFS, promises
from proof.stories.words import KIND, Words
from tenure.persistence.commits.commit import Change
from tenure.persistence.model.values import DurabilityClass
from tenure.testing.history import Witness
from tenure.testing.machine import Machine
from tenure.testing.observing import inside_of

from .invariants import open_real
from .watching import watch

CAST: Final = ("ada", "bob", "cyd")
"""Runtimes that every story may use."""


@final
@frozen(kw_only=True)
class EveryCommit:
    """Every change once, in stories that make sense; then some days.

    Attributes:
        days: Rounds of everyday work.
        durability: Of the store.
        landed: The types of changes that landed.
    """

    days: int = 12
    durability: DurabilityClass = DurabilityClass.DISK
    landed: set[type[Change]] = field(factory=set[type[Change]], init=False)

    async def __call__(self, machine: Machine, witness: Witness) -> None:
        """See `Scenario`."""
        async with open_real(machine, self.durability) as store:
            watch(inside_of(store), witness, promises, self.landed)
            words = Words(store, machine, witness)
            await _enter(words)
            for proof in PROOFS:
                if proof.story is not None:
                    await proof.story(words)
        # Closed in order; the next host finds its rows.
        async with open_real(machine, self.durability) as store:
            watch(inside_of(store), witness, promises, self.landed)
            words = Words(store, machine, witness)
            await _enter(words)
            for day in range(self.days):
                for proof in PROOFS:
                    if proof.everyday is not None:
                        await proof.everyday(words, day)


async def _enter(words: Words) -> None:
    """The runtimes that every story may use are owned; another one is made by its first input, and no host owns it."""
    for name in CAST:
        await words.own(name)
    await words.accept("newt", "first", key="k-new", kind=KIND)
    await words.accept("newt", "second", kind=KIND)
