"""The steps of one run: given back where they are recorded, else executed and recorded (design §18, §19)."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any, final

import trio

from tenure.errors import InvalidInput, LimitReached, PayloadTooLarge, StepFailed
from tenure.persistence.facets.runs.entries import (
    RecordedEntry,
    SettleEntry,
)
from tenure.persistence.facets.runs.interrupted import AcquitRun
from tenure.persistence.model.codec import decode, digest, encode
from tenure.persistence.model.entries import EntryKind, EntryStatus, Repeat
from tenure.persistence.model.numbers import shown
from tenure.persistence.model.values import check_step_name
from tenure.persistence.seams.nursery import contained, is_for_others
from tenure.persistence.seams.step_threads import GIVEN_UP
from tenure.supervisor.accepting.classes import Misfit, name_of
from tenure.supervisor.accepting.instances import check_whole
from tenure.supervisor.operators.instrumented_runs import InstrumentedStep
from tenure.supervisor.runs.recording.asked import Asked, Differs, has_ended
from tenure.supervisor.runs.recording.attention import NeedsAttention
from tenure.supervisor.runs.recording.entering import Entering
from tenure.supervisor.runs.recording.flight import Flight
from tenure.supervisor.runs.recording.parallel import Sides
from tenure.supervisor.runs.recording.restart import describe
from tenure.supervisor.runs.recording.step_terms import DEFAULT_TERMS, StepRules, StepTerms, tries_again
from tenure.supervisor.runs.recording.verdicts import DidNotRun, Ran, StepInDoubt
from tenure.supervisor.runs.resting.staying import stay
from tenure.supervisor.runs.resting.waits import Wait

from .calls import Calls, Function
from .results import Results


@final
class Steps:
    """Executes and gives back the steps of one run."""

    def __init__(self, entering: Entering, calls: Calls, rules: StepRules, results: Results) -> None:
        """Bind the steps to their run."""
        self._entering = entering
        self._results = results
        self._store = entering.store
        self._actor = entering.actor
        self._calls = calls
        self._rules = rules
        self._classes = rules.classes
        self._name: object = self

    async def step(
        self,
        name: str,
        function: Function,
        arguments: tuple[object, ...],
        repeat: Repeat,
        call: str | None = None,
        terms: StepTerms = DEFAULT_TERMS,
    ) -> Any:
        """See `Run.step`."""
        if terms.attempts > 1 and repeat is Repeat.NEVER:
            raise InvalidInput(detail="a step that never repeats has one attempt", field="attempts")
        _check_function(function)
        returned = self._classes.result_class(function)
        encoded = self._classes.encode([*arguments], "arguments")
        asked = Asked(
            kind=EntryKind.STEP,
            name=self._check_name(name),
            repeat=repeat,
            arguments=digest(encoded),
            call=call,
            compare=terms.compare,
        )
        branch, found = self._entering.ask(asked)
        if found.entry is not None and found.entry.status is EntryStatus.SUCCEEDED:
            given = self._results.at_hand(found.entry)
            if given is not None:  # nothing is waited for, and nothing is in flight
                if call is None:
                    branch.drawn.clear()
                return self._stored(asked, found.place, given, returned)
        with self._entering.in_flight(branch, asked, found) as flight:
            if found.entry is None:
                tried = self._entering.record.tried(found.place, asked)
                if repeat is not Repeat.FREELY:
                    flight.waits = True
                    await self._entering.admit(asked, found)
                    flight.waits = False
                    await self._dispatch(flight, repeat)
                elif tried is not None:
                    await self._wait_for_next(flight, tried)
            else:
                given = await self._recorded(asked, flight, found.entry, encoded)
                if given is not None:
                    return self._stored(asked, found.place, given, returned)
            if repeat is Repeat.KEYED:
                function = partial(function, key=flight.call_key)
            return await self._attempts(asked, flight, partial(function, *arguments), returned, terms)

    def _check_name(self, name: str) -> str:
        if self._name is not name:  # most runs ask for one tool many times
            self._name = name = check_step_name(name)
        return name

    def sides(self, name: str, function: Function, items: Sequence[object], repeat: Repeat, terms: StepTerms) -> Sides:
        """The steps of a map, each with what its item is known by. Raises `InvalidInput`."""
        known_by = [digest(self._classes.encode([item], "arguments")).hex() for item in items]
        steps = [partial(self.step, name, function, (item,), repeat, None, terms) for item in items]
        return list(zip(known_by, steps, strict=True))

    async def sleep(self, seconds_: float) -> None:
        """See `Run.sleep`: the time to wake is on disk before the sleep begins."""
        entering, clock = self._entering, self._store.seams.wall_clock
        asked = Asked(kind=EntryKind.SLEEP, name="sleep", arguments=digest(encode([seconds_], "arguments")))
        branch, found = entering.ask(asked)
        with entering.in_flight(branch, asked, found) as flight:
            entry = found.entry
            if entry is None:
                wake_at = clock() + seconds_
                await flight.write(flight.record(EntryStatus.SUCCEEDED, result=encode(wake_at, "result")))
            elif entry.status is EntryStatus.CANCELLED:
                await entering.wait_for_scope(asked, found)
                return
            else:
                wake_at = decode(entry.result or b"0", "sleep", f"{entering.run_id}/{found.place}")
                if wake_at > clock():
                    acquit = AcquitRun(runtime_id=entering.runtime_id, run_id=entering.run_id)
                    await entering.commit(lambda: (acquit,))
            async with entering.rest(seconds_, Wait(until=wake_at)):
                await self._store.seams.sleep_until(wake_at, at_most_s=seconds_)

    # What is recorded

    async def _recorded(self, asked: Asked, flight: Flight, entry: RecordedEntry, encoded: bytes) -> bytes | None:
        """The result that is recorded, or None where the step is to be executed."""
        # Cases: it was cut off; it succeeded; it failed and may not run again; it is in doubt and must not run again; it
        # tries again by itself; it may run again.
        if entry.status is EntryStatus.CANCELLED:
            await self._entering.wait_for_scope(asked, flight.found)
        if entry.status is EntryStatus.SUCCEEDED:
            return await self._read(entry)
        if has_ended(entry):
            error = StepFailed(run_id=self._entering.run_id, name=entry.name, detail=entry.error or "")
            self._entering.read += ((error, entry.place),)
            raise error
        if entry.repeat is Repeat.NEVER:
            verdict = await self._ask(entry, decode(encoded, "arguments", entry.name))
            if isinstance(verdict, Ran):
                return await self._settle(flight, verdict)
            await self._dispatch(flight, entry.repeat)
        if entry.status is EntryStatus.RETRYING:
            await self._wait_for_next(flight, entry)
        return None

    async def _read(self, entry: RecordedEntry) -> bytes:
        try:
            return await self._results.read(entry)
        except NeedsAttention as exc:
            self._entering.fail(exc)  # also where the behaviour swallows it
            raise

    def _stored(self, asked: Asked, place: str, given: bytes, returned: Any) -> Any:
        value = decode(given, "step", place)
        if returned is None:
            return value
        try:
            return self._classes.structure(value, returned, "result")
        except Misfit as exc:
            recorded = f"a result that does not fit {name_of(returned)}: {exc}"
            raise self._entering.mismatch(Differs(place, recorded, str(asked))) from exc

    async def _ask(self, entry: RecordedEntry, arguments: list[Any]) -> Ran | DidNotRun:
        entering, hook = self._entering, self._rules.in_doubt
        if hook is not None:
            doubt = StepInDoubt(
                runtime_id=entering.runtime_id,
                run_id=entering.run_id,
                name=entry.name,
                place=entry.place,
                arguments=tuple(arguments),
            )
            verdict = await contained(hook, doubt)
            if isinstance(verdict, Ran | DidNotRun):
                return verdict  # whatever else it says must not be taken for "it did not run"
        raise self._doubt(entry.name, entry.place)

    def _doubt(self, name: str, place: str) -> BaseException:
        entering = self._entering
        detail = f"step {name} at {place} was dispatched and may have run"
        error = entering.fail(NeedsAttention(detail))
        entering.poke()
        return error

    async def _settle(self, flight: Flight, verdict: Ran) -> bytes:
        entering, result = self._entering, self.encode_result(verdict.result)
        await flight.write(
            SettleEntry(
                runtime_id=entering.runtime_id,
                run_id=entering.run_id,
                place=flight.place,
                ran=True,
                result=result,
            )
        )
        return result

    async def _dispatch(self, flight: Flight, repeat: Repeat) -> None:
        await stay(self._entering)
        if repeat is Repeat.KEYED:
            flight.call_key = flight.call_key or self._store.seams.new_id()
        await flight.write(flight.record(EntryStatus.DISPATCHED, ended=False))
        flight.dispatched = repeat is Repeat.NEVER
        # Its scope has ended meanwhile, or another step is in doubt: it does not begin, and is not in doubt.
        await trio.lowlevel.checkpoint_if_cancelled()
        if self._entering.fault is not None:
            raise self._entering.fault

    async def _wait_for_next(self, flight: Flight, entry: RecordedEntry) -> None:
        flight.attempt = entry.attempt + 1
        clock = self._store.seams.wall_clock
        at = entry.next_at if entry.next_at is not None else clock()
        wait_s = max(at - (entry.ended_at or at), 0.0)
        await self._sleep(flight, at, wait_s)

    async def _sleep(self, flight: Flight, at: float, wait_s: float) -> None:
        flight.rests = True
        async with self._entering.rest(wait_s):
            await self._store.seams.sleep_until(at, at_most_s=wait_s)
        flight.rests = False

    # Execution

    async def _attempts(self, asked: Asked, flight: Flight, function: Function, returned: Any, terms: StepTerms) -> Any:
        while True:
            try:
                result, value = await self._execute(flight, function, returned, terms)
            except BaseException as exc:
                if is_for_others(exc):
                    raise  # it ends more than the step; whatever else it is, it is the step's failure
                if not self._actor.executes(self._entering.run_id) or exc is self._entering.fault:
                    raise  # it was dropped, and records nothing more; or its runtime is held for it
                if type(exc) is LimitReached and exc.what == GIVEN_UP:  # asked past what an object says of its class
                    await self._hold_unstarted(asked, flight, exc)
                    raise
                if not tries_again(exc, flight.attempt, terms):
                    raise await self._failed(asked, flight, exc) from exc
                if flight.voice is not None:
                    flight.voice.fail()
                await self._back_off(flight, exc, terms)
                if flight.over is not None and not terms.overlap:
                    await flight.over()
                continue
            await flight.write(flight.record(EntryStatus.SUCCEEDED, result=result))
            return value

    async def _execute(
        self, flight: Flight, function: Function, returned: Any, terms: StepTerms, *, instrumented: bool = False
    ) -> tuple[bytes, Any]:
        """The result, as it is recorded and as the behaviour gets it: always through JSON, as from its record."""
        if self._calls.hooks.call is not None and not instrumented:
            with InstrumentedStep(self._calls.hooks, self._actor, self._entering.run_id, flight):
                return await self._execute(flight, function, returned, terms, instrumented=True)
        with trio.CancelScope() as scope:
            given = await self._calls.call(
                self._entering, flight, function, scope, terms.timeout_s, self._rules.grace_s
            )
            result = self.encode_result(given if returned is None else self._classes.plain_result(given, returned))
            value = decode(result, "step", self._entering.run_id)
            if returned is None:
                return result, value
            try:
                made = self._classes.structure(value, returned, "result")
            except Misfit as exc:
                raise InvalidInput(detail=f"it does not fit {name_of(returned)}: {exc}", field="result") from exc
            check_whole(given, made, "result")
            return result, made
        if flight.asked.repeat is Repeat.NEVER and flight.begun and terms.on_timeout == "in_doubt":
            raise self._doubt(flight.asked.name, flight.place)
        raise TimeoutError(f"it took longer than {terms.timeout_s} s")

    async def _failed(self, asked: Asked, flight: Flight, error: BaseException) -> StepFailed:
        # Recorded entries stand after it where a retry has forgotten its last error: it is caught from the start (R1).
        caught = asked.repeat is Repeat.FREELY and self._entering.record.goes_on(flight.branch)
        status = EntryStatus.CAUGHT if caught else EntryStatus.FAILED
        failed = flight.record(status, error=describe(error))
        await flight.write(failed)
        flight.branch.failed[failed.place] = None
        # Not the exception itself: where the run enters again, there is only what is recorded of it.
        return StepFailed(run_id=self._entering.run_id, name=asked.name, detail=failed.error or "")

    async def _hold_unstarted(self, asked: Asked, flight: Flight, error: LimitReached) -> None:
        """No thread may be taken: the function did not run, and a person must look at what holds the threads."""
        entering = self._entering
        if asked.repeat is Repeat.NEVER:
            of_run = partial(SettleEntry, runtime_id=entering.runtime_id, run_id=entering.run_id)
            await flight.write(of_run(place=flight.place, ran=False))
        entering.fail(NeedsAttention(f"step {asked.name} did not begin: {error}"))

    async def _back_off(self, flight: Flight, error: BaseException, terms: StepTerms) -> None:
        wait_s = terms.backoff(flight.attempt)
        at = self._store.seams.wall_clock() + wait_s
        await flight.write(flight.record(EntryStatus.RETRYING, error=describe(error), next_at=at))
        flight.attempt += 1
        await self._sleep(flight, at, wait_s)

    def encode_result(self, result: object, field: str = "result") -> bytes:
        """A result, or what else the behaviour gives, as it is stored. Raises `InvalidInput`, `PayloadTooLarge`."""
        encoded, limit = self._classes.encode(result, field), self._store.limits.payload_bytes
        if len(encoded) > limit:
            raise PayloadTooLarge(size=len(encoded), limit=limit)
        return encoded


def _check_function(function: object) -> None:
    if not callable(function):
        said = "pass the function, and its arguments after it: not what it has returned"
        raise InvalidInput(detail=f"{shown(function)} is not a function; {said}", field="function")
