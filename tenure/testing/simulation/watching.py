"""Watches behaviours from inside their runs: what they execute, what they see, and how they end.

Each behaviour of a simulation is wrapped. Its runs are real ones; of each, the step, the checkpoint and its own lifecycle
verbs are wrapped in a watcher that notes what happened, and judges what can be judged at once.
"""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Callable
from functools import partial
from typing import Any, Final, Protocol, final

from attrs import evolve

import tenure
from tenure import errors
from tenure.persistence.model.codec import digest, encode
from tenure.supervisor.runs.recording.attention import NeedsAttention, find_leaf
from tenure.supervisor.runs.recording.restart import RestartPolicy
from tenure.supervisor.runs.run import parts_of

from .model import (
    Model,
    RunFact,
    StepFact,
    StepKey,
    expect,
)
from .peek import rows
from .trace import Trace

VERBS: Final = ("retire", "reset", "stop", "destroy")

_PHASES: Final = """
SELECT i.input_id, i.phase FROM inputs i JOIN runs u ON u.run = i.run JOIN runtimes r ON r.runtime = i.runtime
WHERE r.runtime_id = ? AND u.run_id = ?
"""

_STEP: Final = """
SELECT e.status, e.result FROM entries e JOIN runs u ON u.run = e.run JOIN runtimes r ON r.runtime = u.runtime
WHERE r.runtime_id = ? AND e.name = ? AND lower(hex(e.arguments_digest)) = ? AND e.kind = 'step'
"""
_STEPS_OF_RUN: Final = """
SELECT e.status, e.result FROM entries e JOIN runs u ON u.run = e.run WHERE u.run_id = ? AND e.name = ? AND e.kind = 'step'
"""


class Place(Protocol):
    """Where a behaviour runs: one life of the host."""

    @property
    def number(self) -> int:
        """Which life."""
        ...

    @property
    def dead(self) -> bool:
        """Whether it is over: what still moves then is not seen."""
        ...

    @property
    def supervisor(self) -> tenure.Supervisor:
        """The supervisor of this life."""
        ...

    def wall_clock(self) -> float:
        """Unix time of this life."""
        ...


@final
class Watcher:
    """Wraps behaviours, and notes in the model what their runs do."""

    def __init__(self, model: Model, trace: Trace, violate: Callable[[BaseException], None]) -> None:
        """Note in `model`; `violate` gets a promise that did not hold."""
        self._model = model
        self._trace = trace
        self._violate = violate

    def wrap(self, kind: str, behaviour: tenure.Behaviour, place: Place) -> tenure.Behaviour:
        """The behaviour, watched in one life of the host."""
        hook = None if behaviour.in_doubt is None else partial(self._ask, behaviour.in_doubt)
        return evolve(behaviour, function=partial(self._live, kind, behaviour, place), in_doubt=hook)

    async def _ask(self, hook: tenure.InDoubtHook, doubt: tenure.StepInDoubt) -> tenure.Verdict | None:
        verdict = await hook(doubt)
        self._trace.note(f"step {doubt.name} at {doubt.place} of {doubt.runtime_id} is in doubt: {verdict}")
        if isinstance(verdict, tenure.DidNotRun):
            self._model.did_not_run(doubt.runtime_id, _digest(doubt.arguments))
        return verdict

    async def _live(self, kind: str, behaviour: tenure.Behaviour, place: Place, run: tenure.Run) -> None:
        fact = self._model.run(run.runtime_id, run.run_id)
        self._judge(place, partial(self._entered, place, run, fact))
        for name, watched in self._watched(place, run, fact):
            setattr(run, name, watched)
        try:
            await behaviour.function(run)
        except Exception as exc:
            if not place.dead:
                self._trace.note(f"{run.runtime_id} run {run.run_id[-6:]} raised {type(exc).__name__}: {exc}")
                self._raised(place, run, fact, behaviour.restart, exc)
            raise
        if not place.dead:
            self._trace.note(f"{run.runtime_id} run {run.run_id[-6:]} of {kind} returned")
            fact.returned = True
            fact.attempts = fact.attempts[0], fact.attempts[1] + 1  # its end may be refused, which is a failure too
            fact.appended = tuple(parts_of(run).messages.appended)
            # What it sent is known to the run alone, and what a restart has taken over goes from that list as its end lands.
            sent = run._entering.record.main.sent  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
            fact.sent = lambda: [(str(each.target), each.payload) for each in sent]

    def _entered(self, place: Place, run: tenure.Run, fact: RunFact) -> None:
        inputs = ",".join(each.input_id[-6:] for each in run.inputs)
        self._trace.note(f"{run.runtime_id} run {run.run_id[-6:]} enters, attempt {run.attempts + 1}, {inputs}")
        self._model.token(run.runtime_id, run.fence_token, run.generation)
        least, most = fact.attempts
        if fact.failed_in == place.number:
            least = most  # the host lived on, so it has counted
        where = f"run {run.run_id} of {run.runtime_id}"
        expect(least <= run.attempts <= most, f"{where} counts {run.attempts} failures, and had {least} to {most}")
        early = run.attempts == fact.failures and place.wall_clock() < fact.not_before
        expect(not early, f"{where} entered at {place.wall_clock()}, before {fact.not_before}")
        fact.attempts = run.attempts, run.attempts
        fact.failed_in = None
        fact.executed = fact.echoed = fact.returned = False
        for given in run.inputs:
            ended = given.phase != "staged" and given.input_id not in fact.named
            expect(not ended or given.phase == "abandoned", f"{where} entered over {given.phase} {given.input_id}")

    def _raised(
        self, place: Place, run: tenure.Run, fact: RunFact, policy: RestartPolicy, error: BaseException
    ) -> None:
        if find_leaf(error, (NeedsAttention, errors.StepMismatch)) is not None:
            return  # held, not counted
        least, most = fact.attempts
        fact.attempts = least, most + 1
        fact.echoed = not fact.executed and find_leaf(error, (errors.StepFailed,)) is not None
        if find_leaf(error, (errors.Error,)) is None:
            # Errors of tenure itself may mean that the run was dropped, or its host is done for.
            fact.failed_in = place.number
        fact.failures = run.attempts + 1
        wait_s = min(policy.backoff_s * 2**run.attempts, policy.backoff_limit_s) * (1 - policy.jitter)
        fact.not_before = place.wall_clock() + wait_s - 0.001

    def _watched(self, place: Place, run: tenure.Run, fact: RunFact) -> list[tuple[str, Any]]:
        used: Counter[str] = Counter()
        real_step, real_checkpoint, real_sleep = run.step, run.checkpoint, run.sleep

        async def step(
            name: str, function: Callable[..., Any], *arguments: object, repeat: tenure.Repeat | str, **terms: Any
        ) -> Any:
            scope = run.run_id if repeat == "freely" else run.inputs[0].input_id
            used[f"{name} {_digest(arguments)}"] += 1
            key = run.runtime_id, scope, name, _digest(arguments), used[f"{name} {_digest(arguments)}"]
            seen = self._model.steps.setdefault(key, StepFact())
            watched = self._step_function(place, fact, seen, str(repeat), " ".join(map(str, key)), function)
            result: Any = await real_step(name, watched, *arguments, repeat=repeat, **terms)
            if not place.dead:
                self._judge(place, partial(self._step_seen, place, run, key, seen, encode(result, "result")))
            return result

        async def checkpoint(consume: tuple[tenure.RunInput, ...] = ()) -> tenure.RunBoundaryReceipt:
            fact.named.update(each.input_id for each in consume)
            receipt = await real_checkpoint(consume)
            if not place.dead:
                self._judge(place, partial(self._checkpointed, place, run, fact, receipt))
            return receipt

        async def sleep(seconds: float) -> None:
            began = place.wall_clock()
            key = run.runtime_id, run.run_id, "sleep", "", used["sleep"]
            used["sleep"] += 1
            fresh = self._model.steps.get(key) is None
            self._model.steps.setdefault(key, StepFact())
            await real_sleep(seconds)
            over = not fresh or place.wall_clock() >= began + seconds - 0.001
            self._judge(place, partial(expect, over, f"{run.runtime_id} slept less than {seconds} s"))

        def verb(name: str, real: Callable[[], None]) -> None:
            self._model.standing(run.runtime_id).disturb(name, place.number)
            real()

        verbs = [(name, partial(verb, name, getattr(run, name))) for name in VERBS]
        return [("step", step), ("checkpoint", checkpoint), ("sleep", sleep), *verbs]

    def _step_function(
        self, place: Place, fact: RunFact, seen: StepFact, repeat: str, name: str, function: Callable[..., Any]
    ) -> Callable[..., Any]:
        def begin(keywords: dict[str, Any]) -> None:
            seen.executed += 1
            fact.executed = True
            self._trace.note(f"step {name}: executed, {repeat}, for the {seen.executed}. time")
            self._judge(place, partial(self._step_executed, seen, repeat, name, keywords))

        async def call_async(*arguments: object, **keywords: Any) -> Any:
            begin(keywords)
            return await function(*arguments, **keywords)

        def call(*arguments: object, **keywords: Any) -> Any:
            begin(keywords)
            return function(*arguments, **keywords)

        bare = function.func if isinstance(function, partial) else function
        return call_async if inspect.iscoroutinefunction(bare) else call

    def _step_executed(self, seen: StepFact, repeat: str, name: str, keywords: dict[str, Any]) -> None:
        expect(seen.seen is None, f"step {name} was executed again after its result was seen")
        expect(repeat != "never" or seen.executed == 1, f"step {name} may never be repeated, and was")
        if repeat == "keyed":
            given = keywords.get("key")
            expect(isinstance(given, str), f"step {name} got no key")
            expect(seen.key in (None, given), f"step {name} had key {seen.key}, and now {given}")
            seen.key = given

    def _step_seen(self, place: Place, run: tenure.Run, key: StepKey, seen: StepFact, result: bytes) -> None:
        stored = rows(place.supervisor, _STEP, run.runtime_id, key[2], key[3])
        taken = not seen.executed and ("succeeded", result) not in stored
        if taken and ("succeeded", result) in rows(place.supervisor, _STEPS_OF_RUN, run.run_id, key[2]):
            return  # another version of the behaviour takes what stands, whatever arguments it was given
        expect(seen.seen in (None, result), f"step {key} gave {seen.seen!r}, and now {result!r}")
        seen.seen = result
        # A run that was dropped meanwhile has seen it all the same.
        expect(("succeeded", result) in stored, f"step {key} was seen with {result!r}, and {stored} is stored")

    def _checkpointed(self, place: Place, run: tenure.Run, fact: RunFact, receipt: tenure.RunBoundaryReceipt) -> None:
        self._trace.note(f"{run.runtime_id} run {run.run_id[-6:]} checkpoint {receipt.sequence}")
        known = fact.receipts.setdefault(receipt.sequence, receipt)
        expect(known == receipt, f"a checkpoint returned {known}, and now {receipt}")
        for input_id, phase in rows(place.supervisor, _PHASES, run.runtime_id, run.run_id):
            consumed = phase == "consumed" and input_id not in fact.named
            expect(not consumed, f"input {input_id} of {run.runtime_id} was consumed at a checkpoint")

    def _judge(self, place: Place, judge: Callable[[], None]) -> None:
        if place.dead:
            return
        try:
            judge()
        except AssertionError as exc:
            self._violate(exc)


def _digest(arguments: tuple[object, ...]) -> str:
    return digest(encode([*arguments], "arguments")).hex()
