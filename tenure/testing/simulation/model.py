"""What a simulated host has promised, and what the world has seen of it: a small model, kept outside every host.

Nothing here knows how tenure works inside. Facts are noted when the outside learns of them, and never forgotten by a crash.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, final

from attrs import define, field, frozen

from tenure.persistence.model.values import RunBoundaryReceipt

StepKey = tuple[str, str, str, str, int]
"""Runtime, run, name, digest of the arguments, and which of equals. A restart takes over what must not be done twice: of that
the first input of the run stands in the place of the run."""


@final
class PromiseBroken(AssertionError):
    """Something that tenure promises did not hold."""


@final
@define(kw_only=True, slots=True)
class InputFact:
    """An accept that was acknowledged.

    Attributes:
        accepted_at: Trio's clock then.
        ended: Phase and reason, as soon as any client heard it.
    """

    accepted_at: float
    ended: tuple[str, str | None] | None = None


@final
@define(kw_only=True, slots=True)
class StepFact:
    """A step as the world outside saw it.

    Attributes:
        executed: How often its function was called.
        key: The key it was given, where it is ``keyed``.
        seen: The encoded result that a behaviour has seen, or None.
    """

    executed: int = 0
    key: str | None = None
    seen: bytes | None = None


@final
@define(kw_only=True, slots=True)
class RunFact:
    """A run as its behaviour lived it.

    Attributes:
        attempts: Least and most failures that may be stored.
        failed_in: The life in which it failed last and has not entered since, or None.
        not_before: Unix time before which it may not enter again, with so many failures.
        failures: How many.
        executed: Whether a step was executed since it entered last.
        echoed: Whether it failed last by an error that it read from its record, and executed nothing: that is its last attempt.
        returned: Whether its behaviour returned.
        named: Inputs that it asked to consume at a checkpoint.
        appended: Messages at its end.
        sent: Gives target and payload of each send, once its end has landed.
        receipts: By sequence, as its checkpoints returned them.
    """

    attempts: tuple[int, int] = (0, 0)
    failed_in: int | None = None
    not_before: float = 0.0
    failures: int = -1
    executed: bool = False
    echoed: bool = False
    returned: bool = False
    named: set[str] = field(factory=set[str])
    appended: tuple[bytes, ...] = ()
    sent: Callable[[], Sequence[tuple[str, bytes]]] = tuple
    receipts: dict[int, RunBoundaryReceipt] = field(factory=dict[int, RunBoundaryReceipt])


@final
@frozen(kw_only=True, slots=True)
class Doubt:
    """An accept whose host could not say whether it landed.

    Attributes:
        incarnation: Which host.
        group: Which of its groups.
        runtime_id: Whose inbox.
        key: The input's idempotency key.
        known: Whether the key had been acknowledged before.
    """

    incarnation: str
    group: int
    runtime_id: str
    key: str
    known: bool


TARGETS: Final = {
    "spawn": {"stopped": "idle"},
    "retire": {"idle": "retired", "stopped": "retired"},
    "reset": {"retired": "idle"},
    "stop": {"idle": "stopped"},
    "recycle": {"retired": "idle"},
    "destroy": {"idle": "destroyed", "retired": "destroyed", "stopped": "destroyed"},
}
"""Where a verb leads from a stored state; where nothing is said, the state stays."""


@final
class Standing:
    """The states in which a runtime may be found: one, while no verb is in doubt."""

    def __init__(self) -> None:
        """It exists, or will."""
        self.possible = {"idle"}
        self._open: dict[int, str] = {}
        self._own: set[tuple[int, str]] = set()
        self._last = 0
        self._disturbed: set[int] = set()

    def begin(self, verb: str) -> int:
        """A verb is on its way; it may land from now on, at any time until it is answered."""
        self._last += 1
        if self._open:
            self._disturbed.update([*self._open, self._last])
        self._open[self._last] = verb
        self._may_become()
        return self._last

    def answer(self, number: int, *, landed: bool) -> None:
        """It was answered. A verb that landed and was alone on its way leaves the states that it leads to."""
        verb = self._open[number]
        if landed and number not in self._disturbed and not self._own:
            self.possible = {TARGETS[verb].get(state, state) for state in self.possible}
        self.lost(number)

    def lost(self, number: int) -> None:
        """The host went away with it: it landed or it did not, and the next look at the store says which."""
        self._open.pop(number, None)
        self._disturbed.discard(number)

    def disturb(self, verb: str, life: int) -> None:
        """A behaviour may carry out this verb in this life, with the end of its run; and when is not known outside."""
        self._own.add((life, verb))
        self._may_become()

    def found(self, state: str, life: int) -> None:
        """The store of a new host was looked at, in a life whose runs may have asked for verbs by then."""
        self._own = {each for each in self._own if each[0] == life}
        if not self._open:
            self.possible = {state}
            self._may_become()

    def _may_become(self) -> None:
        verbs = [*self._open.values(), *(verb for _, verb in self._own)]
        before: set[str] = set()
        while before != self.possible:
            before = set(self.possible)
            self.possible |= {TARGETS[verb].get(state, state) for verb in verbs for state in before}


@final
@define(slots=True)
class Model:
    """Everything that was promised and seen.

    Attributes:
        kinds: Of the runtimes that were spawned.
        inputs: Acknowledged accepts, by runtime and input id.
        keys: The input that a runtime's idempotency key names, as acknowledged.
        steps: By `StepKey`.
        runs: By runtime and run id.
        tokens: The last token that was seen of each runtime.
        owners: The runtime of each token that was seen.
        generations: The last generation that was seen of each runtime.
        standings: By runtime.
        doubts: Accepts in doubt, until a later host was asked.
    """

    kinds: dict[str, str] = field(factory=dict[str, str])
    inputs: dict[tuple[str, str], InputFact] = field(factory=dict[tuple[str, str], InputFact])
    keys: dict[tuple[str, str], str] = field(factory=dict[tuple[str, str], str])
    steps: dict[StepKey, StepFact] = field(factory=dict[StepKey, StepFact])
    runs: dict[tuple[str, str], RunFact] = field(factory=dict[tuple[str, str], RunFact])
    tokens: dict[str, int] = field(factory=dict[str, int])
    owners: dict[int, str] = field(factory=dict[int, str])
    generations: dict[str, int] = field(factory=dict[str, int])
    standings: dict[str, Standing] = field(factory=dict[str, Standing])
    doubts: list[Doubt] = field(factory=list[Doubt])

    def run(self, runtime_id: str, run_id: str) -> RunFact:
        """What is known of a run."""
        return self.runs.setdefault((runtime_id, run_id), RunFact())

    def standing(self, runtime_id: str) -> Standing:
        """What is known of a runtime's state."""
        return self.standings.setdefault(runtime_id, Standing())

    def did_not_run(self, runtime_id: str, arguments: str) -> None:
        """A person who looked says that a step with these arguments did not run, in any call of its function."""
        for key, fact in self.steps.items():
            if key[0] == runtime_id and key[3] == arguments and fact.seen is None:
                fact.executed = 0

    def accepted(self, runtime_id: str, input_id: str, key: str | None, now: float) -> None:
        """An accept was acknowledged."""
        self.inputs.setdefault((runtime_id, input_id), InputFact(accepted_at=now))
        if key is not None:
            known = self.keys.setdefault((runtime_id, key), input_id)
            expect(known == input_id, f"key {key} of {runtime_id} named {known}, and now {input_id}")

    def ended(self, runtime_id: str, input_id: str, phase: str, reason: str | None) -> None:
        """A client heard how an input ended. It may never have ended otherwise."""
        fact = self.inputs.setdefault((runtime_id, input_id), InputFact(accepted_at=0.0))
        said = fact.ended or (phase, reason)
        expect(said == (phase, reason), f"input {input_id} of {runtime_id} ended {said}, and now {(phase, reason)}")
        fact.ended = said

    def token(self, runtime_id: str, token: int, generation: int) -> None:
        """A token was seen in force."""
        last = self.tokens.get(runtime_id, 0)
        expect(token >= last, f"the token of {runtime_id} went back from {last} to {token}")
        owner = self.owners.setdefault(token, runtime_id)
        expect(owner == runtime_id, f"token {token} was given to {owner} and to {runtime_id}")
        known = self.generations.get(runtime_id, 0)
        expect(generation >= known, f"the generation of {runtime_id} went back from {known} to {generation}")
        self.tokens[runtime_id], self.generations[runtime_id] = token, generation


def expect(holds: bool, otherwise: str) -> None:  # noqa: FBT001 - as assert
    """Raise `PromiseBroken` where a promise does not hold."""
    if not holds:
        raise PromiseBroken(otherwise)
