"""What this host owns: the facts of its runtimes, and the actors of those that are in use."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import final
from weakref import WeakValueDictionary

from tenure.actors.facts import AtRest, RuntimeFacts, at_rest, facts_at_rest
from tenure.actors.listener import Ended
from tenure.actors.runtime_actor import RuntimeActor
from tenure.errors import Closed, Error
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.store import Store, ground_of


@final
class Owned:
    """The runtimes of one host.

    The facts of those that are passivated stay as a row each (`AtRest`), unless they say more; who looks for them has them made
    again. Where something still has them, a handle as a rule, they are the same object as before.

    Attributes:
        on_less: Called with the kind of each that is owned no longer.
    """

    def __init__(self, store: Store) -> None:
        """Own nothing yet."""
        self._store = store
        self._facts: dict[LogicalRuntimeId, RuntimeFacts] = {}
        self._at_rest: dict[LogicalRuntimeId, AtRest] = {}
        self._actors: dict[LogicalRuntimeId, RuntimeActor] = {}
        self._counts: Counter[str] = Counter()
        self.on_less: Callable[[str], None] = _nothing
        # Of runtimes that were put aside or given back, or are at rest, as long as a handle has them.
        self._left: WeakValueDictionary[LogicalRuntimeId, RuntimeFacts] = WeakValueDictionary()

    @property
    def all(self) -> list[RuntimeFacts]:
        """The facts of each; none is at rest then, until the next look at what is."""
        for runtime_id in list(self._at_rest):
            self.find(runtime_id)
        return list(self._facts.values())

    @property
    def in_use(self) -> list[RuntimeFacts]:
        """The facts of those that are not at rest: of each that executes, is held, or waits for something."""
        return list(self._facts.values())

    def running(self) -> list[LogicalRuntimeId]:
        """Those that have a run."""
        return [each.runtime_id for each in self.in_use if each.run_id is not None]

    @property
    def by_kind(self) -> dict[str, int]:
        """How many there are of each kind."""
        return {kind: count for kind, count in list(self._counts.items()) if count}

    def __len__(self) -> int:
        return len(self._facts) + len(self._at_rest)

    @property
    def actors(self) -> list[RuntimeActor]:
        """The actors that live now."""
        return list(self._actors.values())

    def count(self, kind: str) -> int:
        """How many of a kind."""
        return self._counts[kind]

    def owns(self, runtime_id: str) -> bool:
        """Whether this host owns a runtime."""
        return runtime_id in self._facts or runtime_id in self._at_rest

    def find(self, runtime_id: LogicalRuntimeId) -> RuntimeFacts | None:
        """What is known of a runtime, or None where it is not of this host."""
        facts = self._facts.get(runtime_id)
        if facts is None and self._at_rest:
            kept = self._at_rest.pop(runtime_id, None)
            if kept is not None:
                self._facts[runtime_id] = facts = self._left.pop(runtime_id, None) or facts_at_rest(runtime_id, kept)
        return facts

    def facts(self, runtime_id: LogicalRuntimeId) -> RuntimeFacts:
        """What is known of a runtime of this host. Raises `Closed` where it is not."""
        facts = self.find(runtime_id)
        if facts is None:
            raise self.why_lost(runtime_id)
        return facts

    def actor(self, runtime_id: LogicalRuntimeId) -> RuntimeActor | None:
        """The actor of a runtime, or None where it is passivated."""
        return self._actors.get(runtime_id)

    def why_lost(self, runtime_id: LogicalRuntimeId) -> Closed:
        """The error for a runtime that is owned no longer. Raises `StoreBroken` where the store has stopped."""
        # There the actors end before the body hears of it: it hears of the store.
        ground_of(self._store).check_open()
        return Closed(what=f"ownership of runtime {runtime_id}")

    # What changes it

    def adopt(self, facts: RuntimeFacts) -> RuntimeFacts:
        """A runtime has come to this host, in the callback of its commit; one that was put aside with the facts it had."""
        if not self.owns(facts.runtime_id):
            self._counts[facts.kind] += 1
        self._at_rest.pop(facts.runtime_id, None)
        left = self._left.pop(facts.runtime_id, None)
        if left is not None:
            left.become(facts)
            facts = left
        self._facts[facts.runtime_id] = facts
        return facts

    def activate(self, actor: RuntimeActor) -> None:
        """A runtime has an actor from now on."""
        self._actors[actor.facts.runtime_id] = actor

    def passivate(self, actor: RuntimeActor) -> None:
        """Drop an actor that is not in use. Its runtime stays owned under its token, and nothing is written."""
        del self._actors[actor.facts.runtime_id]
        actor.close(Closed(what=f"actor of {actor.facts.runtime_id}"))

    def rest(self, facts: RuntimeFacts) -> None:
        """Keep the facts of a passivated runtime as a row, unless they say more."""
        runtime_id = facts.runtime_id
        if self._facts.get(runtime_id) is not facts or runtime_id in self._actors:
            return
        kept = at_rest(facts)
        if kept is not None:
            del self._facts[runtime_id]
            self._at_rest[runtime_id], self._left[runtime_id] = kept, facts

    def shrink(self) -> None:
        """Give back the room of what is at rest by now: a dict keeps that of the most that it ever had."""
        self._facts = dict(self._facts)

    def lose(self, facts: RuntimeFacts, error: Error) -> None:
        """Another host has the runtime: its run goes no further, and who waits for its actor gets the error."""
        self.find(facts.runtime_id)  # and not at rest: a handle of it, which has lost it, would find it again
        del self._facts[facts.runtime_id]
        actor = self._actors.pop(facts.runtime_id, None)
        if actor is not None:
            actor.lose(error)
        self._less(facts)

    def put_aside(self, actor: Ended) -> None:
        """The run of a runtime is aside, and the runtime no host's: nothing is kept of it but what its handles have."""
        facts = actor.facts
        if self._facts.get(facts.runtime_id) is facts:
            self._left[facts.runtime_id] = facts
            self.lose(facts, Closed(what=f"actor of {facts.runtime_id}"))

    def give_back(self, facts: RuntimeFacts) -> None:
        """No host owns the runtime from now on: its handles ask the one that takes it."""
        if self.find(facts.runtime_id) is facts:
            facts.given_back = True
            self._left[facts.runtime_id] = facts
            self.lose(facts, Closed(what=f"ownership of runtime {facts.runtime_id}"))

    def ended(self, actor: Ended) -> None:
        """An actor has ended by itself: it has lost its runtime, and a spawn may try to get it back; or that was destroyed."""
        if self._actors.get(actor.facts.runtime_id) is actor:  # else it was passivated, or lost above
            del self._actors[actor.facts.runtime_id]
            if self._facts.pop(actor.facts.runtime_id, None) is not None:
                self._less(actor.facts)

    def close(self, error: Error) -> None:
        """End every actor, and own nothing more: a handle that outlives the host finds nothing."""
        for actor in self.actors:
            actor.close(error)
        self._facts.clear()
        self._at_rest.clear()

    def _less(self, facts: RuntimeFacts) -> None:
        self._counts[facts.kind] -= 1
        self.on_less(facts.kind)


def _nothing(_kind: str) -> None:
    """No one hears of it."""
