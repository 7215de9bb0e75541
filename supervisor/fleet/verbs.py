"""Verbs of runtimes as values: what is asked of an owner, by a handle on the same host or by a request of another one.

Each says how an actor carries it out, which changes it is where no host owns the runtime, and what its answer is. As a request
it is stored as a name and arguments in JSON, and done in the commit that carries it out (design §4).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar, final

import msgspec
from attrs import frozen

from tenure.actors.decisions import decide
from tenure.actors.runtime_actor import RuntimeActor
from tenure.persistence.commits.commit import Change
from tenure.persistence.facets.erasing.erasing import BeginErasure
from tenure.persistence.facets.inbox.cancelling import CancelInput
from tenure.persistence.facets.inbox.repair import QueueBrought
from tenure.persistence.facets.ownership.lifecycle import Hold
from tenure.persistence.facets.ownership.requests import (
    AnswerRequest,
    FinishRequest,
    encode_answer,
)
from tenure.persistence.facets.records.labels import Labelled, Relabel
from tenure.persistence.facets.records.runtimes import REREAD
from tenure.persistence.facets.runs.dead_letters import (
    DropDeadLetter,
    Retried,
    RetryDeadLetter,
)
from tenure.persistence.facets.runs.entries import SettleEntry
from tenure.persistence.facets.runs.interrupted import CancelledInputs, CancelWithRun, DropRun
from tenure.persistence.facets.runs.restarting import AmendRun
from tenure.persistence.model.codec import (
    encode,
)
from tenure.persistence.model.labels import Relabelling
from tenure.persistence.model.lifecycles.lifecycle import LifecycleEvent, Standing
from tenure.persistence.model.values import (
    AbandonReason,
    InputId,
    LogicalRuntimeId,
)
from tenure.supervisor.runs.at_work import doing
from tenure.supervisor.runs.recording.verdicts import (
    Ran,
    Verdict,
    check_verdict,
)

T_co = TypeVar("T_co", covariant=True)

Steps = tuple[tuple[str, bool, Any], ...]
"""Verdicts on steps in doubt: of each its place, whether it ran, and its result."""


@final
@frozen(kw_only=True, slots=True)
class Done:
    """How the commit that carries a request out says so."""

    runtime_id: LogicalRuntimeId
    request_id: str

    def finish(self, answer: str = "{}") -> FinishRequest:
        """It is done, and this came of it."""
        return FinishRequest(runtime_id=self.runtime_id, request_id=self.request_id, answer=answer)

    def answer(self, change: Change) -> Change:
        """It is done, and what the change answers came of it."""
        return AnswerRequest(runtime_id=self.runtime_id, request_id=self.request_id, change=change)


class Verb(Protocol[T_co]):
    """One verb with its arguments."""

    @property
    def name(self) -> str:
        """As it is stored."""
        ...

    async def perform(self, actor: RuntimeActor, done: Done | None = None) -> T_co:
        """Carry it out through the actor of its runtime, and the request that asked for it; durable when this returns."""
        ...

    def changes(self, runtime_id: LogicalRuntimeId, standing: Standing, epoch: str, /) -> tuple[Change, ...]:
        """Which changes it is where no host owns the runtime; the first change has its answer."""
        ...

    def answer(self, value: Any, /) -> T_co:
        """Its answer, of what the first change answered, or of that as it was stored."""
        ...


class _Silent:
    """A verb that answers nothing."""

    __slots__ = ()

    def answer(self, _value: Any, /) -> None:
        """See `Verb.answer`."""


@final
@frozen(kw_only=True, slots=True)
class Apply(_Silent):
    """A lifecycle event."""

    event: LifecycleEvent
    clear_session: bool = False
    erase: bool = False
    peers: bool = False

    @property
    def name(self) -> str:
        """See `Verb.name`."""
        return self.event

    async def perform(self, actor: RuntimeActor, done: Done | None = None) -> None:
        """See `Verb.perform`."""
        erasing = self._erasing(actor.facts.runtime_id)
        await actor.apply(self.event, *erasing, *_finish(done), clear_session=self.clear_session)

    def changes(self, runtime_id: LogicalRuntimeId, standing: Standing, epoch: str, /) -> tuple[Change, ...]:
        """See `Verb.changes`."""
        decision = decide(runtime_id, standing, self.event, epoch, clear_session=self.clear_session)
        return () if decision is None else (*decision.changes, *self._erasing(runtime_id))

    def _erasing(self, runtime_id: LogicalRuntimeId) -> tuple[Change, ...]:
        return (BeginErasure(runtime_id=runtime_id, peers=self.peers),) if self.erase else ()


@final
@frozen(kw_only=True, slots=True)
class Reread(_Silent):
    """Publish what a store verb in another process has written past the owner, and queue what it brought.

    Stored with what it wrote; no one waits.
    """

    name = REREAD

    async def perform(self, actor: RuntimeActor, done: Done | None = None) -> None:
        """See `Verb.perform`."""
        await actor.reread(QueueBrought(runtime_id=actor.facts.runtime_id), *_finish(done))

    def changes(self, _runtime_id: LogicalRuntimeId, _standing: Standing, _epoch: str, /) -> tuple[Change, ...]:
        """See `Verb.changes`."""
        return ()


@final
@frozen(kw_only=True, slots=True)
class Resume(_Silent):
    """Clear the held mark."""

    name = "resume"

    restart_run: bool = False
    take_recorded: bool = False
    renamed: tuple[tuple[str, str], ...] = ()
    forget: tuple[str, ...] = ()
    repeat_never: bool = False
    version: str | None = None
    settled: Steps = ()

    async def perform(self, actor: RuntimeActor, done: Done | None = None) -> None:
        """See `Verb.perform`."""
        await actor.hold(None, None, *self._amend(actor.facts.runtime_id), *_finish(done))

    def changes(self, runtime_id: LogicalRuntimeId, _standing: Standing, _epoch: str, /) -> tuple[Change, ...]:
        """See `Verb.changes`."""
        return (*self._amend(runtime_id), Hold(runtime_id=runtime_id, reason=None))

    def _amend(self, runtime_id: LogicalRuntimeId) -> tuple[Change, ...]:
        settled = _settling(runtime_id, self.settled)  # by the places that they have before
        if not (self.restart_run or self.take_recorded or self.renamed or self.forget or self.version is not None):
            return settled
        return (
            *settled,
            AmendRun(
                runtime_id=runtime_id,
                take_recorded=self.take_recorded,
                renamed=self.renamed,
                forget=self.forget,
                restart=self.restart_run,
                repeat_never=self.repeat_never,
                version=self.version,
            ),
        )


@final
@frozen(kw_only=True, slots=True)
class Settle(_Silent):
    """Say whether steps in doubt ran, and resume."""

    name = "settle_step"

    steps: Steps

    async def perform(self, actor: RuntimeActor, done: Done | None = None) -> None:
        """See `Verb.perform`."""
        await actor.hold(None, None, *_settling(actor.facts.runtime_id, self.steps), *_finish(done))

    def changes(self, runtime_id: LogicalRuntimeId, _standing: Standing, _epoch: str, /) -> tuple[Change, ...]:
        """See `Verb.changes`."""
        return (*_settling(runtime_id, self.steps), Hold(runtime_id=runtime_id, reason=None))


def _settling(runtime_id: LogicalRuntimeId, steps: Steps) -> tuple[Change, ...]:
    return tuple(
        SettleEntry(runtime_id=runtime_id, place=place, ran=ran, result=encode(result, "result"))
        for place, ran, result in steps
    )


def verdicts(given: Iterable[tuple[str, Verdict]]) -> Steps:
    """Verdicts on places, as a verb carries them. Raises `InvalidInput` where one is none."""
    steps: list[tuple[str, bool, Any]] = []
    for place, verdict in given:
        checked = check_verdict(verdict)
        steps.append((place, isinstance(checked, Ran), checked.result if isinstance(checked, Ran) else None))
    return tuple(steps)


@final
@frozen(kw_only=True, slots=True)
class Cancel:
    """End the current run and abandon its batch; or one input, with or without the run that has it.

    Answers whether there was something.
    """

    name = "cancel"

    input_id: InputId | None = None
    in_run: bool = False

    async def perform(self, actor: RuntimeActor, done: Done | None = None) -> bool:
        """See `Verb.perform`."""
        change = _answered(self._change(actor.facts.runtime_id), done)
        if self.input_id is None:
            return bool(await actor.drop_run(change, AbandonReason.CANCELLED))
        if self.in_run:
            return self.answer(await actor.cancel_with_run(change))
        return await actor.cancel_input(self.input_id, change)

    def changes(self, runtime_id: LogicalRuntimeId, _standing: Standing, _epoch: str, /) -> tuple[Change, ...]:
        """See `Verb.changes`."""
        return (self._change(runtime_id),)

    def _change(self, runtime_id: LogicalRuntimeId) -> Change:
        if self.input_id is None:
            return DropRun(runtime_id=runtime_id, reason=AbandonReason.CANCELLED)
        kind = CancelWithRun if self.in_run else CancelInput
        return kind(runtime_id=runtime_id, input_id=self.input_id)

    def answer(self, value: Any, /) -> bool:
        """See `Verb.answer`."""
        if self.in_run:
            value = msgspec.convert(value, CancelledInputs, from_attributes=True).input_ids
        return bool(value)


@final
@frozen(kw_only=True, slots=True)
class Retry:
    """Queue a dead letter again. Answers what was queued, and where."""

    name = "retry"

    input_id: InputId
    fresh: bool = False
    version: str | None = None

    async def perform(self, actor: RuntimeActor, done: Done | None = None) -> Retried:
        """See `Verb.perform`."""
        (answer,) = await actor.commit(_answered(self._change(actor.facts.runtime_id), done))
        retried: Retried = answer
        return retried

    def changes(self, runtime_id: LogicalRuntimeId, _standing: Standing, _epoch: str, /) -> tuple[Change, ...]:
        """See `Verb.changes`."""
        return (self._change(runtime_id),)

    def answer(self, value: Any, /) -> Retried:
        """See `Verb.answer`."""
        return msgspec.convert(value, Retried, from_attributes=True)

    def _change(self, runtime_id: LogicalRuntimeId) -> Change:
        return RetryDeadLetter(runtime_id=runtime_id, input_id=self.input_id, fresh=self.fresh, version=self.version)


@final
@frozen(kw_only=True, slots=True)
class Drop(_Silent):
    """Let a dead letter go."""

    name = "drop"

    input_id: InputId

    async def perform(self, actor: RuntimeActor, done: Done | None = None) -> None:
        """See `Verb.perform`."""
        await actor.commit(self._change(actor.facts.runtime_id), *_finish(done))

    def changes(self, runtime_id: LogicalRuntimeId, _standing: Standing, _epoch: str, /) -> tuple[Change, ...]:
        """See `Verb.changes`."""
        return (self._change(runtime_id),)

    def _change(self, runtime_id: LogicalRuntimeId) -> Change:
        return DropDeadLetter(runtime_id=runtime_id, input_id=self.input_id)


@final
@frozen(kw_only=True, slots=True)
class ChangeLabels:
    """Set and remove labels. Answers those that it has then, by name."""

    name = "relabel"

    changed: Relabelling

    async def perform(self, actor: RuntimeActor, done: Done | None = None) -> dict[str, str]:
        """See `Verb.perform`."""
        (answer,) = await actor.commit(_answered(self._change(actor.facts.runtime_id), done))
        return self.answer(answer)

    def changes(self, runtime_id: LogicalRuntimeId, _standing: Standing, _epoch: str, /) -> tuple[Change, ...]:
        """See `Verb.changes`."""
        return (self._change(runtime_id),)

    def answer(self, value: Any, /) -> dict[str, str]:
        """See `Verb.answer`."""
        return dict(msgspec.convert(value, Labelled, from_attributes=True).labels)

    def _change(self, runtime_id: LogicalRuntimeId) -> Change:
        return Relabel(runtime_id=runtime_id, changed=self.changed)


@final
@frozen(kw_only=True, slots=True)
class Doing:
    """Say what a runtime does that its host alone knows: it stands in no record. Changes nothing.

    Attributes:
        now: Unix seconds, of who asks.
    """

    name = "doing"

    now: float

    async def perform(self, actor: RuntimeActor, done: Done | None = None) -> str | None:
        """See `Verb.perform`."""
        told = doing(actor, self.now)
        if done is not None:
            await actor.commit(done.finish(encode_answer(told)))
        return told

    def changes(self, _runtime_id: LogicalRuntimeId, _standing: Standing, _epoch: str, /) -> tuple[Change, ...]:
        """See `Verb.changes`."""
        return ()

    def answer(self, value: Any, /) -> str | None:
        """See `Verb.answer`."""
        return None if value is None else str(value)


def _finish(done: Done | None) -> tuple[Change, ...]:
    return () if done is None else (done.finish(),)


def _answered(change: Change, done: Done | None) -> Change:
    return change if done is None else done.answer(change)
