"""A run, as its behaviour sees it.

A run that enters again starts from its top. What it recorded is replayed: a step gives its stored result, a checkpoint whose
receipt exists writes nothing and compares what was appended and sent before it. So a behaviour must do the same things in the
same order between its steps; where it does not, `StepMismatch` holds the runtime before anything is done twice (design §7).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import TypeVar, final

import trio

from tenure.actors.decisions import Decision, decide
from tenure.actors.runtime_actor import RuntimeActor
from tenure.errors import InvalidInput, RunEnded
from tenure.persistence.commits.commit import (
    Change,
    CommitResult,
)
from tenure.persistence.facets.conversation.sessions import AppendMessages
from tenure.persistence.facets.inbox.batches import BatchMember
from tenure.persistence.facets.inbox.receipts import MintReceipt
from tenure.persistence.facets.runs.runs import (
    AcquitRun,
    ConsumeInput,
    FinishRun,
    RejectInput,
    RunBegun,
    StageSteered,
)
from tenure.persistence.facets.runs.sends import Send
from tenure.persistence.facets.runs.steps import Repeat
from tenure.persistence.model.codec import (
    digest,
    encode,
)
from tenure.persistence.model.lifecycle import (
    LifecycleEvent,
    transition,
)
from tenure.persistence.model.values import (
    InputId,
    LogicalRuntimeId,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RunId,
    check_runtime_id,
)
from tenure.persistence.store import Store
from tenure.persistence.writing.group import Outcome
from tenure.supervisor.accepting.payloads import PayloadType

from .batch import Batch
from .journal import Journal
from .run_input import RunInput
from .session import RunSession
from .steps import Steps

T = TypeVar("T")


@final
class Run:
    """One execution of a behaviour over its batch. Good until the behaviour ends, or the run is dropped; then `RunEnded`.

    Attributes:
        runtime_id: Which runtime.
        run_id: The same over all attempts and crashes.
        fence_token: For tools that can refuse a stale one.
        generation: Which life of the runtime.
        inputs: Always exactly this batch, in admission order, less those whose payload does not fit the behaviour's class:
            they are rejected with the run's next boundary.
        session: The conversation.
        attempts: Failed attempts of this run so far.
    """

    def __init__(
        self,
        store: Store,
        actor: RuntimeActor,
        begun: RunBegun,
        journal: Journal,
        steps: Steps,
        payload_type: PayloadType,
        on_boundary: Callable[[Outcome], None],
    ) -> None:
        """Made by the supervisor; `on_boundary` hears of each checkpoint that has landed."""
        self.runtime_id = actor.facts.runtime_id
        self.run_id: RunId = begun.run_id
        self.fence_token = actor.facts.fence_token
        self.generation = actor.facts.generation
        self.attempts = begun.attempts
        self.session = RunSession(store, begun, self._check_open)
        self._batch = Batch(begun, payload_type)
        self.inputs = self._batch.inputs
        self._store = store
        self._actor = actor
        self._journal = journal
        self._steps = steps
        self._on_boundary = on_boundary
        self._sends: list[tuple[LogicalRuntimeId, bytes]] = []
        self._sends_landed = 0
        self._joined: list[RunInput] = []
        self._events: list[LifecycleEvent] = []
        self._decisions: tuple[Decision, ...] = ()
        self._boundaries = 0
        self._boundary = trio.Lock()  # held over a boundary: the next one begins where it left off
        self._ended = False

    # Work

    async def step(
        self, name: str, function: Callable[..., Awaitable[T] | T], *arguments: object, repeat: Repeat | str
    ) -> T:
        """Do a piece of work whose result is on disk before it is seen.

        The n-th use of a name in a run is one step: once recorded, its result is given back without calling `function`.
        Arguments and result are JSON values; what is given back has always gone through JSON.

        Args:
            name: Name of the step, 1 to 200 characters.
            function: Async, or sync and then run in a worker thread.
            *arguments: Given to `function`; their digest is compared with the recorded one.
            repeat: ``freely``: may run again when nobody knows whether it ran. ``keyed``: may too, and gets a keyword
                ``key``, always the same, to pass on. ``never``: its dispatch is on disk before it runs; in doubt after a
                crash, the behaviour's `in_doubt` hook or a person gives the verdict.

        Raises:
            StepMismatch: The record has other arguments; the run is not deterministic. Holds the runtime.
            InvalidInput: The arguments have no JSON form, the name does not fit, or `repeat` is none of the three.
            StepFailed: It raised; or its result has no JSON form, or is over `Limits.payload_bytes`. `detail` is what is
                recorded of it. A step that was caught, and on whose error the run has recorded something, and a ``never``
                step are not executed again: they raise the same where the run enters again.
            LimitReached: Too many steps in one run.
            RunEnded: The run is over.

        Cancellation: a thread that runs on is not waited for and its result is dropped.
        """
        self._check_open()
        try:
            how = Repeat(repeat)
        except ValueError as exc:
            raise InvalidInput(detail=f"a step repeats freely, keyed or never, not {repeat!r}", field="repeat") from exc
        result: T = await self._steps.step(name, function, arguments, how)
        return result

    async def sleep(self, seconds: float) -> None:
        """Sleep until a time that is on disk before the sleep begins: over crashes and restarts it is slept once.

        The time is one of the wall clock. Where that is set while the run sleeps, nothing changes; where it was set back before
        the run enters again, it sleeps at most `seconds` from then on, and where it was set forward, less.

        Args:
            seconds: Not negative, and finite: an endless wait is `wait_steered`.

        Raises:
            StepMismatch: The run slept otherwise before. Holds the runtime.
            InvalidInput: No such number of seconds.
            RunEnded: The run is over.
        """
        self._check_open()
        if not (math.isfinite(seconds) and seconds >= 0):
            raise InvalidInput(detail=f"{seconds} is not a number of seconds from 0", field="seconds")
        await self._steps.sleep(seconds)

    # What lands with the next boundary

    def send(self, target: str, payload: object) -> None:
        """Send a message to another runtime. It lands with the next boundary of this run, once, whatever happens.

        A target that cannot take it then does not fail this run: the message becomes a dead letter of this runtime.

        Raises:
            InvalidInput: No runtime id, or no JSON form.
            RunEnded: The run is over.
        """
        self._check_open()
        self._sends.append((check_runtime_id(target), encode(payload, "payload")))

    def reject(self, rejected: RunInput, error: str) -> None:
        """Abandon one member of the batch with ``rejected``, and spare the rest. Lands with the next boundary.

        What joined to steer the run is a member too. The first rejection of one that has not ended counts.

        Raises:
            InvalidInput: Not a member of this run.
            RunEnded: The run is over.
        """
        self._check_open()
        self._batch.reject(rejected, error)

    def retire(self) -> None:
        """Retire this runtime with the end of this run; a run that fails drops it. Raises `InvalidTransition`."""
        self._decide(LifecycleEvent.RETIRE)

    def reset(self) -> None:
        """Reset this runtime with the end of this run; a run that fails drops it. Raises `InvalidTransition`."""
        self._decide(LifecycleEvent.RESET)

    def stop(self) -> None:
        """Stop this runtime with the end of this run; a run that fails drops it. Raises `InvalidTransition`."""
        self._decide(LifecycleEvent.STOP)

    def destroy(self) -> None:
        """Destroy this runtime with the end of this run; a run that fails drops it. Raises `InvalidTransition`."""
        self._decide(LifecycleEvent.DESTROY)

    # Boundaries

    async def checkpoint(self, consume: tuple[RunInput, ...] = ()) -> RunBoundaryReceipt:
        """Commit what was appended, sent and rejected so far, and return the receipt.

        The inputs stay with the run, but for those that are named in `consume`. What was sent to steer joins the run here;
        `wait_steered` and `steered` give it.

        Raises:
            StepMismatch: What is replayed differs from what is stored. Holds the runtime.
            RunEnded: The run is over.
        """
        receipt, joined = await self._checkpoint(consume)
        self._join(joined)
        return receipt

    async def wait_steered(self) -> tuple[RunInput, ...]:
        """Wait until something is sent to steer this run, let it join at a checkpoint, and return what joined.

        What has joined at a `checkpoint` since the last of these waits is returned at once. The wait survives a restart:
        the run enters again and waits on. What has joined stays with the run, is part of its batch, and joins at the same
        checkpoint again in a replay. What has joined and is never handed out is queued again when the run ends.
        """
        while not self._joined:
            seen = self._actor.steered.value
            replayed = self._boundaries < len(self._journal.boundaries)
            _, joined = await self._checkpoint((), AcquitRun(runtime_id=self.runtime_id, run_id=self.run_id))
            self._join(joined)
            # A replayed checkpoint has looked into the inbox of long ago: more may be recorded, or lie there by now.
            if not self._joined and not replayed:
                with self._actor.resting.rest():
                    await self._actor.steered.wait_value(partial(operator.ne, seen))
        return self.steered()

    def steered(self) -> tuple[RunInput, ...]:
        """What has joined at a checkpoint since this or `wait_steered` was last asked; does not wait, and may be empty.

        Raises:
            RunEnded: The run is over.
        """
        self._check_open()
        steered, self._joined = tuple(self._joined), []
        self._batch.hand_out(steered)
        return steered

    # The supervisor's

    async def finish(self, on_settled: Callable[[Outcome], None]) -> None:
        """Commit the end of the run: what was appended, sent and rejected, the receipt, the batch consumed, own verbs."""
        if self._steps.fault is not None:
            raise self._steps.fault
        if self._boundaries < len(self._journal.boundaries):
            raise self._steps.mismatch(f"checkpoint {self._boundaries + 1}", "a checkpoint", "the end of the run")
        await self._commit(RunApplyBoundary.RUN_START, self._batch.contributing, self._last, on_settled)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The lifecycle events that this run asks for, as decided in its final commit; they are written last in it."""
        return self._decisions

    @property
    def unseen(self) -> tuple[InputId, ...]:
        """What has joined and was not handed out."""
        return tuple(each.input_id for each in self._joined)

    def end(self) -> None:
        """From now on every use of this run is `RunEnded`."""
        self._ended = True

    # Inside

    def _check_open(self) -> None:
        if self._ended or not self._actor.executes(self.run_id):
            raise RunEnded(run_id=self.run_id)
        if self._steps.fault is not None:
            raise self._steps.fault  # a behaviour may have caught it; nothing lands behind it

    def _decide(self, event: LifecycleEvent) -> None:
        self._check_open()
        self._decided([*self._events, event])  # refused here, where it can be refused by now
        self._events.append(event)

    def _decided(self, events: list[LifecycleEvent]) -> tuple[Decision, ...]:
        """What these come to behind the run, on the standing of this moment: somebody outside may have retired it."""
        decisions: list[Decision] = []
        standing = transition(self._actor.facts.standing, LifecycleEvent.FINISH_RUN, runtime_id=self.runtime_id)
        for event in events:
            decision = decide(self.runtime_id, standing, event, self._store.seams.new_id())
            if decision is not None:
                decisions.append(decision)
                standing = decision.after
        return tuple(decisions)

    def _last(self) -> list[Change]:
        # Called in the turn of the final commit: no verb from outside lands in between.
        finish = FinishRun(runtime_id=self.runtime_id, run_id=self.run_id, unseen=self.unseen)
        if self._events:
            self._decisions = self._decided(self._events)
        return [finish, *(change for decision in self._decisions for change in decision.changes)]

    async def _checkpoint(
        self, consume: tuple[RunInput, ...], *more: Change
    ) -> tuple[RunBoundaryReceipt, tuple[BatchMember, ...]]:
        self._check_open()
        last: list[Change] = [
            ConsumeInput(runtime_id=self.runtime_id, run_id=self.run_id, input_id=each.input_id) for each in consume
        ]
        last += [*more, StageSteered(runtime_id=self.runtime_id, run_id=self.run_id)]
        async with self._boundary:
            if self._boundaries < len(self._journal.boundaries):
                return self._replay()
            new = self._batch.newcomers()
            result = await self._commit(RunApplyBoundary.RUN_CHECKPOINT, new, lambda: last, self._on_boundary)
            self._batch.landed(each.input_id for each in consume)
        receipt: RunBoundaryReceipt = result.values[-len(last) - 1]
        joined: tuple[BatchMember, ...] = result.values[-1]
        return receipt, joined

    def _join(self, members: tuple[BatchMember, ...]) -> None:
        self._joined += self._batch.join(members)

    def _replay(self) -> tuple[RunBoundaryReceipt, tuple[BatchMember, ...]]:
        recorded = self._journal.boundaries[self._boundaries]
        appended = tuple(self.session.appended[self.session.landed :])
        sent = tuple((target, digest(payload)) for target, payload in self._sends[self._sends_landed :])
        for what, stored, given in (("appended", recorded.appended, appended), ("sent", recorded.sent, sent)):
            if stored != given:
                name = f"checkpoint {self._boundaries + 1}"
                raise self._steps.mismatch(name, f"{len(stored)} {what}", f"{len(given)} {what}, not the same")
        self._landed(len(self.session.appended), len(self._sends))
        return recorded.receipt, self._batch.joined_at(recorded.receipt.sequence)

    async def _commit(
        self,
        boundary: RunApplyBoundary,
        contributing: Iterable[InputId],
        last: Callable[[], list[Change]],
        on_settled: Callable[[Outcome], None],
    ) -> CommitResult:
        receipt = MintReceipt(
            runtime_id=self.runtime_id,
            run_id=self.run_id,
            boundary=boundary,
            contributing_input_ids=tuple(contributing),
        )
        caught = self._steps.catch()
        changes = [*caught, *self._buffered(), receipt]
        # Counted now: what another task of the behaviour adds while this is on its way lands with the next boundary.
        buffered = len(self.session.appended), len(self._sends), tuple(self._batch.rejected)
        result = await self._steps.commit(lambda: [*changes, *last()], on_settled)
        self._landed(*buffered)
        self._steps.landed(caught)
        return result

    def _buffered(self) -> list[Change]:
        runtime_id, run_id = self.runtime_id, self.run_id
        changes: list[Change] = []
        messages = tuple(self.session.appended[self.session.landed :])
        if messages:
            changes.append(AppendMessages(runtime_id=runtime_id, messages=messages, run_id=run_id))
        changes += [
            Send(
                runtime_id=runtime_id,
                run_id=run_id,
                index=index,
                target=target,
                input_id=InputId(self._store.seams.new_id()),
                payload=payload,
                payload_digest=digest(payload),
            )
            for index, (target, payload) in enumerate(self._sends[self._sends_landed :], self._sends_landed + 1)
        ]
        changes += [
            RejectInput(runtime_id=runtime_id, run_id=run_id, input_id=input_id, error=error)
            for input_id, error in self._batch.rejected.items()
        ]
        return changes

    def _landed(self, appended: int, sent: int, rejected: tuple[InputId, ...] = ()) -> None:
        self._boundaries += 1
        self.session.landed = appended
        self._sends_landed = sent
        self._batch.landed(rejected)
