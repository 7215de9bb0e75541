"""What a run has to do with other runtimes: it sends them messages, asks them, and spawns children."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from tenure.persistence.facets.runs.addressed import PLAIN
from tenure.persistence.facets.runs.children import Child, OnEnd, Scope
from tenure.persistence.model.codec import encode
from tenure.persistence.model.inputs.delay import check_delay
from tenure.persistence.model.values import Lane, LogicalRuntimeId, check_runtime_id

from .keeping.terms import check_seconds, send_terms
from .parts import RunParts
from .recording.branch import Message
from .recording.entering import Entering
from .resting.turns import Opens, awaited


class Addressing:
    """What a run addresses to other runtimes."""

    # Of the run: there is no constructor to call for each.
    _entering: Entering
    _parts: RunParts
    _opens: Opens
    _check_open: Callable[[], None]

    def send(
        self,
        target: str,
        payload: object,
        *,
        lane: Lane | str = Lane.QUEUE,
        correlation_id: str | None = None,
        kind: str | None = None,
        at: datetime | None = None,
        after_s: float | None = None,
    ) -> None:
        """Send a message to another runtime. It lands with the next boundary of this run, once, whatever happens.

        A target that cannot take it then does not fail this run: the message becomes a dead letter of this runtime.

        Args:
            target: The receiver.
            payload: A JSON value.
            lane: ``queue``, or ``steer`` for the run that the target executes: it joins at that run's next checkpoint.
            correlation_id: What it answers: `RunInput.correlation_id` at the receiver. 1 to 500 characters.
            kind: Makes a target that is not there, of this kind. One of another kind is not given the message.
            at: When it comes into the inbox of the target: a time with a time zone. Until then it is on disk.
            after_s: The same, in seconds from the boundary that it lands with.

        Raises:
            InvalidInput: No runtime id, JSON form, lane, key or time; or a step with ``call=`` is in flight beside it.
            RunEnded: The run is over.
        """
        self._check_open()
        terms = (
            PLAIN
            if lane is Lane.QUEUE and correlation_id is None and kind is None and at is None and after_s is None
            else send_terms(lane, correlation_id, kind, check_delay(at, after_s))
        )
        message = Message(check_runtime_id(target), encode(payload, "payload"), terms)
        branch = self._entering.buffers("a message sent", message)
        branch.sent.append(message)
        if branch.stands_for is None:
            self._entering.record.addressed(message)

    @awaited
    async def ask(
        self,
        target: str,
        payload: object,
        kind: str | None = None,
        *,
        lane: Lane | str = Lane.QUEUE,
        correlation_id: str | None = None,
        timeout_s: float | None = None,
    ) -> Any:
        """Ask another runtime, and wait for the result of what it is asked: what its behaviour returns, or answers.

        The question, the wait, and what was appended, sent, rejected and answered before land in one commit; in a branch the
        question, the wait and what was sent in it. The answer comes back with the commit that ends the asked input. Both
        survive restarts of either side: one question, one answer. What the run asks again where it enters again is answered
        from its record.

        Args:
            target: Who is asked; not this runtime itself.
            payload: A JSON value.
            kind: Makes a target that is not there, of this kind.
            lane: ``queue``, or ``steer`` for the run that the target executes, which gives the answer by `answer`.
            correlation_id: `RunInput.correlation_id` at the target.
            timeout_s: Longest wait, from the question on, also over restarts. Where it is over, the question is abandoned if no
                run has taken it; an answer that comes later is not seen.

        Raises:
            AskFailed: The question was abandoned, rejected, refused or erased, or its answer came too late.
            AskCycle: The target waits for this runtime already.
            StepMismatch: The run asked otherwise before. Holds the runtime.
            InvalidInput: An argument does not fit; or another entry of this branch is in flight.
            RunEnded: The run is over.
        """
        if timeout_s is not None:
            timeout_s = check_seconds(timeout_s, "timeout_s")
        terms = send_terms(lane, correlation_id, kind)
        return await self._parts.asking.ask(check_runtime_id(target), encode(payload, "payload"), terms, timeout_s)

    @awaited
    async def spawn(
        self,
        runtime_id: str | None,
        kind: str,
        scope: Scope | str = Scope.RUNTIME,
        on_end: OnEnd | str = OnEnd.LEAVE,
        labels: Mapping[str, str] | None = None,
    ) -> LogicalRuntimeId:
        """Make a runtime that is a child of this one, and return its id: for `send` and `ask`, here or on any host.

        What was appended, sent, rejected and answered before lands in the same commit, in a branch what was sent in it. A
        child of this runtime that is there already is taken as it is; one that is stopped lives again.

        Args:
            runtime_id: Of the child; None draws one, which is the same where the run enters again.
            kind: Names its behaviour, which this host need not have.
            scope: ``run``: it ends with this run, however that ends; a failed attempt, a restart and `again` are no end.
                ``runtime``: it ends when this runtime is destroyed.
            on_end: What becomes of it then: ``leave`` nothing, ``stop`` or ``destroy``, in the commit of that end.
            labels: Of a new one; see `Runtime.relabel`. One that is there keeps what it has.

        Raises:
            ChildExists: The id is that of another runtime, which is not a child of this one.
            RuntimeDestroyed: It was a child, and never comes back.
            KindMismatch: The child is of another kind.
            StepMismatch: The run spawned otherwise before. Holds the runtime.
            InvalidInput: An argument does not fit; or another entry of this branch is in flight.
            RunEnded: The run is over.
        """
        return await self._parts.spawning.spawn(runtime_id, kind, scope, on_end, labels)

    @awaited
    async def children(self) -> tuple[Child, ...]:
        """The children of this runtime, in the order in which they were spawned, also those that have ended.

        It is the same where the run enters again, and no entry: what this run spawns later, or beside the branch that asks, is
        not there yet.

        Raises:
            RunEnded: The run is over. InvalidInput: This is inside a step.
        """
        return await self._parts.spawning.children()
