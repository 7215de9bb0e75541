"""Ends of an attempt that no further attempt can mend.

A person must look; or what it returned cannot be stored; or the host has lost the runtime, or its store.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from typing import Final, TypeVar, cast, final

import trio

from tenure.actors.runtime_actor import RuntimeActor
from tenure.errors import Closed, Error, StaleFence, StoreBroken
from tenure.persistence.facets.ownership.ownership import find_holding
from tenure.persistence.model.texts import leaves
from tenure.persistence.model.values import HeldReason
from tenure.persistence.reading.patience import in_a_run
from tenure.persistence.store import Store

E = TypeVar("E", bound=BaseException)


class NeedsAttention(Exception):
    """The run cannot go on until a person has looked: its runtime is held.

    Attributes:
        reason: Why the runtime is held.
    """

    def __init__(self, detail: str, reason: HeldReason = HeldReason.NEEDS_ATTENTION) -> None:
        """Say what to look at."""
        super().__init__(detail)
        self.reason = reason


class Unstorable(Exception):
    """What the behaviour returned cannot be stored, or is not what it asked for: another attempt would do all for nothing."""


REFUSALS: Final = 100
"""How often a behaviour is refused what it asks for by the error of its attempt, before it is by what it does not catch."""


class Refused(BaseException):
    """Ends a behaviour that swallows every `Exception`, in the place of the error that it was given again and again."""


@final
class Fault:
    """The first error that decides how an attempt ends, whatever the behaviour makes of it.

    Attributes:
        error: It, or None.
    """

    def __init__(self) -> None:
        """There is none."""
        self.error: BaseException | None = None
        self._refused = 0
        self._waits: dict[trio.CancelScope, None] = {}  # empty, it is nothing to the collector of cycles; a set is

    def set(self, error: BaseException) -> BaseException:
        """There is one; a later one changes nothing. Returns the first."""
        self.error = error if self.error is None else self.error  # and not `or`: it may have a `__bool__`
        for scope in self._waits:
            scope.cancel()
        return self.error

    def refuse(self, error: BaseException) -> BaseException:
        """What the behaviour is refused with that asks on: this error, or, after many of it, `Refused`."""
        self._refused += 1
        if self._refused <= REFUSALS:
            return error
        refused = Refused()
        refused.__cause__ = error
        return refused

    @contextmanager
    def ends(self) -> Generator[None]:
        """A durable wait inside ends with it: the other branches may wait for days, and a person would hear of it then."""
        if self.error is not None:
            raise self.error
        with trio.CancelScope() as scope:
            self._waits[scope] = None
            try:
                yield
            finally:
                del self._waits[scope]
        if scope.cancelled_caught and self.error is not None:
            raise self.error


def find_leaf(error: BaseException, wanted: tuple[type[E], ...]) -> E | None:
    """The first leaf of an exception, or of a group of them, that is one of these."""
    for leaf in leaves(error):
        if issubclass(type(leaf), wanted):  # and not isinstance: that asks what the object says of itself
            return cast("E", leaf)
    return None


async def find_loss(store: Store, actor: RuntimeActor, error: BaseException) -> Error | None:
    """Why this host has lost the runtime or its store, where that has ended an attempt; else None.

    A behaviour may let such an error through that says nothing of its runtime's owner: of a token that it has kept from an
    earlier life, or of another runtime or store. Then it has failed like any other. So what is stored is asked.
    """
    lost = find_leaf(error, (StaleFence, StoreBroken, Closed))
    if lost is None or store.broken is not None:
        return lost
    facts = actor.facts
    if type(lost) is not StaleFence or lost.runtime_id != facts.runtime_id:
        return None
    holding = await in_a_run(lambda: store.read(partial(find_holding, runtime_id=facts.runtime_id)))
    return None if holding is not None and holding.fence_token == facts.fence_token else lost
