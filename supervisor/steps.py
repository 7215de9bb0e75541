"""The steps of one run: replayed where they are recorded, else executed and recorded (design §7)."""

from __future__ import annotations

import inspect
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, final

from tenure.actors.commit_channel import CommitChannel
from tenure.errors import LimitReached, StepMismatch
from tenure.persistence.codec import decode, digest, encode
from tenure.persistence.executors import Executor
from tenure.persistence.facets.steps import RecordedStep, RecordStep, Repeat, StepStatus
from tenure.persistence.store import Store
from tenure.persistence.values import LogicalRuntimeId, RunId

from .journal import StepKey
from .restart import describe


class NeedsAttention(Exception):
    """A step that must not run twice may have run: the runtime is held until somebody says whether it did."""


class RecordedFailure(Exception):
    """What a ``never`` step raised at an earlier attempt; it is raised again and not executed again."""


@final
class Steps:
    """Executes and replays the steps of one run."""

    def __init__(
        self,
        store: Store,
        channel: CommitChannel,
        executor: Executor,
        runtime_id: LogicalRuntimeId,
        run_id: RunId,
        version: str,
        recorded: Mapping[StepKey, RecordedStep],
    ) -> None:
        """Bind the steps to their run and what it has recorded."""
        self._store = store
        self._channel = channel
        self._executor = executor
        self._runtime_id = runtime_id
        self._run_id = run_id
        self._version = version
        self._recorded = recorded
        self._used: Counter[str] = Counter()

    async def step(
        self, name: str, function: Callable[..., Awaitable[Any] | Any], arguments: tuple[object, ...], repeat: Repeat
    ) -> Any:
        """See `Run.step`."""
        if self._used.total() >= self._store.limits.run_steps:
            raise LimitReached(what="steps of one run", limit=self._store.limits.run_steps)
        self._used[name] += 1
        ordinal = self._used[name]
        arguments_digest = digest(encode(arguments, "arguments"))
        recorded = self._recorded.get((name, ordinal))
        if recorded is not None:
            self._compare(recorded, arguments_digest, repeat)
            # Cases: it succeeded; it must not run again (it failed, or nobody knows); it may run again.
            if recorded.status is StepStatus.SUCCEEDED:
                return decode(recorded.result or b"null", "step", f"{self._run_id}/{name}/{ordinal}")
            if repeat is Repeat.NEVER:
                if recorded.status is StepStatus.FAILED:
                    raise RecordedFailure(recorded.error)
                message = f"step {name} #{ordinal} was dispatched and may have run"
                raise NeedsAttention(message)
        record = partial(
            RecordStep,
            runtime_id=self._runtime_id,
            run_id=self._run_id,
            name=name,
            ordinal=ordinal,
            arguments_digest=arguments_digest,
            version=self._version,
            repeat=repeat,
            started_at=self._store.seams.wall_clock(),
        )
        if repeat is Repeat.NEVER:
            await self._channel.commit_in_turn(record(status=StepStatus.DISPATCHED))
        if repeat is Repeat.KEYED:
            function = partial(function, key=f"{self._run_id}:{name}:{ordinal}")
        return await self._execute(function, arguments, record)

    async def _execute(
        self,
        function: Callable[..., Awaitable[Any] | Any],
        arguments: tuple[object, ...],
        record: partial[RecordStep],
    ) -> Any:
        clock = self._store.seams.wall_clock
        try:
            result = encode(await self._call(function, arguments), "result")
        except Exception as exc:
            failed = record(status=StepStatus.FAILED, error=describe(exc), ended_at=clock())
            await self._channel.commit_in_turn(failed)
            raise
        await self._channel.commit_in_turn(record(status=StepStatus.SUCCEEDED, result=result, ended_at=clock()))
        return decode(result, "step", self._run_id)

    async def _call(self, function: Callable[..., Awaitable[Any] | Any], arguments: tuple[object, ...]) -> Any:
        if inspect.iscoroutinefunction(inspect.unwrap(getattr(function, "func", function))):
            return await function(*arguments)
        return await self._executor.run(partial(function, *arguments))

    def _compare(self, recorded: RecordedStep, arguments_digest: bytes, repeat: Repeat) -> None:
        stored, given = (
            f"{repeats} with arguments {digested.hex()[:16]}"
            for repeats, digested in (
                (recorded.repeat, recorded.arguments_digest),
                (repeat, arguments_digest),
            )
        )
        if stored != given:
            raise StepMismatch(
                runtime_id=self._runtime_id, run_id=self._run_id, name=recorded.name, recorded=stored, given=given
            )
