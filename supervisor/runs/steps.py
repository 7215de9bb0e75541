"""The steps of one run: replayed where they are recorded, else executed and recorded (design §7)."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, cast, final

import trio

from tenure.actors.runtime_actor import RuntimeActor
from tenure.errors import LimitReached, PayloadTooLarge, RunEnded, StepFailed, StepMismatch
from tenure.persistence.commits.commit import (
    Change,
    CommitResult,
)
from tenure.persistence.facets.ownership.ownership import RenewLease
from tenure.persistence.facets.runs.runs import AcquitRun
from tenure.persistence.facets.runs.steps import (
    SLEEP,
    CatchStep,
    DoubtStep,
    RecordedStep,
    RecordStep,
    Repeat,
    SettleStep,
    StepStatus,
)
from tenure.persistence.model.codec import (
    decode,
    digest,
    encode,
)
from tenure.persistence.model.values import (
    RunId,
    check_step_name,
)
from tenure.persistence.seams.executors import Executor
from tenure.persistence.seams.interrupts import unprotected
from tenure.persistence.seams.step_threads import GIVEN_UP, StepWork
from tenure.persistence.store import Store
from tenure.persistence.writing.group import Outcome

from .behaviour import Behaviour
from .journal import StepKey
from .restart import describe
from .verdicts import (
    DidNotRun,
    Ran,
    StepInDoubt,
)


class NeedsAttention(Exception):
    """The run cannot go on until a person has looked: its runtime is held.

    Attributes:
        doubt: The step that must not run twice and may have run, where it is one; marked so with the held mark.
    """

    def __init__(self, detail: str, doubt: DoubtStep | None = None) -> None:
        """Say what to look at."""
        super().__init__(detail)
        self.doubt = doubt


@final
class Steps:
    """Executes and replays the steps of one run.

    Attributes:
        fault: The first mismatch or doubt that was raised; it decides the run's end even where the behaviour swallows it.
    """

    def __init__(
        self,
        store: Store,
        actor: RuntimeActor,
        executor: Executor,
        run_id: RunId,
        behaviour: Behaviour,
        recorded: Mapping[StepKey, RecordedStep],
    ) -> None:
        """Bind the steps to their run and what it has recorded."""
        self._store = store
        self._actor = actor
        self._channel = actor.channel
        self._executor = executor
        self._runtime_id = actor.facts.runtime_id
        self._run_id = run_id
        self._behaviour = behaviour
        self._recorded = recorded
        self._used: Counter[str] = Counter()
        self._failed: set[StepKey] = set()
        self.fault: Exception | None = None

    async def step(
        self, name: str, function: Callable[..., Awaitable[Any] | Any], arguments: tuple[object, ...], repeat: Repeat
    ) -> Any:
        """See `Run.step`."""
        encoded = encode([*arguments], "arguments")
        ordinal = self._use(check_step_name(name))
        recorded = self._recorded.get((name, ordinal))
        record = self._record(name, ordinal, digest(encoded), repeat)
        if recorded is not None:
            self._compare(recorded, digest(encoded), repeat)
            # Cases: it succeeded; it failed and may not run again; nobody knows and it must not run again; it may run again.
            if recorded.status is StepStatus.SUCCEEDED:
                return self._result(recorded.result or b"null", name, ordinal)
            if recorded.status is StepStatus.CAUGHT or (
                repeat is Repeat.NEVER and recorded.status is StepStatus.FAILED
            ):
                raise StepFailed(run_id=self._run_id, name=name, detail=recorded.error or "")
            if repeat is Repeat.NEVER:
                verdict = await self._ask(name, ordinal, decode(encoded, "arguments", name))
                if isinstance(verdict, Ran):
                    return await self._settle(name, ordinal, verdict)
        commit = partial(self._commit, self.catch())
        if repeat is Repeat.NEVER:
            await commit(record(status=StepStatus.DISPATCHED))
        if repeat is Repeat.KEYED:
            function = partial(function, key=f"{self._run_id}:{name}:{ordinal}")
        return await self._execute(function, arguments, record, commit)

    async def sleep(self, seconds: float) -> None:
        """See `Run.sleep`: the time to wake is on disk before the sleep begins."""
        ordinal = self._use(SLEEP)
        arguments_digest = digest(encode([seconds], "arguments"))
        recorded = self._recorded.get((SLEEP, ordinal))
        clock = self._store.seams.wall_clock
        if recorded is None:
            wake_at = clock() + seconds
            record = self._record(SLEEP, ordinal, arguments_digest, Repeat.FREELY)
            result = encode(wake_at, "result")
            done = record(status=StepStatus.SUCCEEDED, result=result, ended_at=clock())
            await self._commit(self.catch(), done)
        else:
            self._compare(recorded, arguments_digest, Repeat.FREELY)
            wake_at = self._result(recorded.result or b"0", SLEEP, ordinal)
            if wake_at > clock():
                await self._commit((), AcquitRun(runtime_id=self._runtime_id, run_id=self._run_id))
        with self._actor.resting.rest(seconds):
            await self._store.seams.sleep_until(wake_at, at_most_s=seconds)

    def mismatch(self, name: str, recorded: str, given: str) -> StepMismatch:
        """The error of a run that does something else than its journal says."""
        error = StepMismatch(
            runtime_id=self._runtime_id, run_id=self._run_id, name=name, recorded=recorded, given=given
        )
        self.fault = self.fault or error
        return error

    def catch(self) -> tuple[CatchStep, ...]:
        """What must stand in the commit of anything that the run records behind this: the steps whose errors it has seen.

        What is recorded may stand on such an error, so a replay has to raise it again, and may not execute the step.
        """
        return tuple(
            CatchStep(runtime_id=self._runtime_id, run_id=self._run_id, name=name, ordinal=ordinal)
            for name, ordinal in sorted(self._failed)
        )

    def landed(self, caught: tuple[CatchStep, ...]) -> None:
        """The commit that has these is on disk."""
        self._failed.difference_update((each.name, each.ordinal) for each in caught)

    async def commit(
        self, decide: Callable[[], Sequence[Change]], on_settled: Callable[[Outcome], None] | None = None
    ) -> CommitResult:
        """Commit for the run, in its turn.

        Raises:
            RunEnded: The run was dropped while this waited for its turn, and nothing is written.
        """

        def decide_if_open() -> Sequence[Change]:
            if not self._actor.executes(self._run_id):
                raise RunEnded(run_id=self._run_id)
            return decide()

        return await self._channel.decide_in_turn(decide_if_open, on_settled)

    # Inside

    def _use(self, name: str) -> int:
        if self._used.total() >= self._store.limits.run_steps:
            raise LimitReached(what="steps of one run", limit=self._store.limits.run_steps)
        self._used[name] += 1
        return self._used[name]

    def _record(self, name: str, ordinal: int, arguments_digest: bytes, repeat: Repeat) -> partial[RecordStep]:
        return partial(
            RecordStep,
            runtime_id=self._runtime_id,
            run_id=self._run_id,
            name=name,
            ordinal=ordinal,
            arguments_digest=arguments_digest,
            version=self._behaviour.version,
            repeat=repeat,
            started_at=self._store.seams.wall_clock(),
        )

    async def _ask(self, name: str, ordinal: int, arguments: list[Any]) -> Ran | DidNotRun:
        hook = self._behaviour.in_doubt
        if hook is not None:
            doubt = StepInDoubt(
                runtime_id=self._runtime_id,
                run_id=self._run_id,
                name=name,
                ordinal=ordinal,
                arguments=tuple(arguments),
            )
            verdict = await unprotected(hook, doubt)
            if isinstance(verdict, Ran | DidNotRun):
                return verdict  # whatever else it says must not be taken for "it did not run"
        in_doubt = DoubtStep(runtime_id=self._runtime_id, run_id=self._run_id, name=name, ordinal=ordinal)
        detail = f"step {name} #{ordinal} was dispatched and may have run"
        self.fault = self.fault or NeedsAttention(detail, in_doubt)
        raise self.fault

    async def _settle(self, name: str, ordinal: int, verdict: Ran) -> Any:
        result = self._encode(verdict.result)
        await self._commit(
            self.catch(),
            SettleStep(
                runtime_id=self._runtime_id,
                run_id=self._run_id,
                name=name,
                ordinal=ordinal,
                ran=True,
                result=result,
            ),
        )
        return self._result(result, name, ordinal)

    async def _execute(
        self,
        function: Callable[..., Awaitable[Any] | Any],
        arguments: tuple[object, ...],
        record: Callable[..., RecordStep],
        commit: Callable[[RecordStep], Awaitable[None]],
    ) -> Any:
        clock = self._store.seams.wall_clock
        unstarted = record(status=StepStatus.DISPATCHED)
        try:
            result = self._encode(await self._call(unstarted.name, function, arguments))
        except BaseException as exc:
            if not fails_step(exc) or not self._actor.executes(self._run_id):
                raise  # it ends more than the step; or the run was dropped, and records nothing more
            if isinstance(exc, LimitReached) and exc.what == GIVEN_UP:
                await self._hold_unstarted(unstarted, exc)
                raise
            failed = record(status=StepStatus.FAILED, error=describe(exc), ended_at=clock())
            await commit(failed)
            self._failed.add((failed.name, failed.ordinal))
            # Not the exception itself: where the run enters again, there is only what is recorded of it.
            raise StepFailed(run_id=self._run_id, name=failed.name, detail=failed.error or "") from exc
        await commit(record(status=StepStatus.SUCCEEDED, result=result, ended_at=clock()))
        return decode(result, "step", self._run_id)

    async def _commit(self, caught: tuple[CatchStep, ...], change: Change) -> None:
        await self.commit(lambda: (change, *caught))
        self.landed(caught)

    def _encode(self, result: object) -> bytes:
        encoded, limit = encode(result, "result"), self._store.limits.payload_bytes
        if len(encoded) > limit:
            raise PayloadTooLarge(size=len(encoded), limit=limit)
        return encoded

    async def _hold_unstarted(self, step: RecordStep, error: LimitReached) -> None:
        """No thread may be taken: the function did not run, and a person must look at what holds the threads."""
        if step.repeat is Repeat.NEVER:
            did_not_run = partial(SettleStep, name=step.name, ordinal=step.ordinal, ran=False)
            await self._commit((), did_not_run(runtime_id=self._runtime_id, run_id=self._run_id))
        self.fault = self.fault or NeedsAttention(f"step {step.name} did not begin: {error}")

    async def _call(
        self, name: str, function: Callable[..., Awaitable[Any] | Any], arguments: tuple[object, ...]
    ) -> Any:
        while True:
            await self._hold_lease()
            if not self._actor.executes(self._run_id):
                raise RunEnded(run_id=self._run_id)
            if _is_async(function):
                return await unprotected(function, *arguments)
            start = partial(self._start, function, arguments)
            work = StepWork(runtime_id=self._runtime_id, run_id=self._run_id, name=name, function=start)
            started, result = await self._executor.run(work)
            if started:
                return result

    def _start(self, function: Callable[..., Any], arguments: tuple[object, ...]) -> tuple[bool, Any]:
        # In the worker thread: the host may have slept, or the run may have been dropped, while this waited for one.
        may_start = self._actor.executes(self._run_id) and not self._store.lease_lapsed()
        return (True, function(*arguments)) if may_start else (False, None)

    async def _hold_lease(self) -> None:
        """No step body starts on a lapsed lease (design §4): the token must be found good again first."""
        while self._store.lease_lapsed():
            await self._channel.commit_in_turn(RenewLease())

    def _result(self, result: bytes, name: str, ordinal: int) -> Any:
        return decode(result, "step", f"{self._run_id}/{name}/{ordinal}")

    def _compare(self, recorded: RecordedStep, arguments_digest: bytes, repeat: Repeat) -> None:
        stored = f"{recorded.repeat} with arguments {recorded.arguments_digest.hex()[:16]}"
        given = f"{repeat} with arguments {arguments_digest.hex()[:16]}"
        if stored != given:
            raise self.mismatch(recorded.name, stored, given)


def fails_step(error: BaseException) -> bool:
    """Whether what a step raised is its failure; else it ends more than the step: the run, or the process (design §19)."""
    if isinstance(error, BaseExceptionGroup):
        return all(map(fails_step, cast("BaseExceptionGroup[BaseException]", error).exceptions))
    return not isinstance(error, (trio.Cancelled, KeyboardInterrupt, SystemExit, GeneratorExit))


def _is_async(function: Callable[..., Any]) -> bool:
    while isinstance(function, partial):
        function = function.func
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(getattr(function, "__call__", None))  # noqa: B004 - an object with an async __call__
