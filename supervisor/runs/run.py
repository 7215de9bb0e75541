"""A run, as its behaviour sees it.

A run that enters again starts from its top. What it recorded is replayed: a step gives its stored result, a checkpoint whose
receipt exists writes nothing and compares what was appended and sent before it. So a behaviour must do the same things in the
same order between its steps; where it does not, `StepMismatch` holds the runtime before anything is done twice (design §7).
"""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from datetime import datetime
from random import Random
from typing import final
from uuid import UUID

import trio

from tenure.persistence.model.arguments import check_key, names_verbs
from tenure.persistence.model.lifecycles.lifecycle import LifecycleEvent
from tenure.persistence.model.values import (
    RunBoundaryReceipt,
    RunId,
    check_step_name,
)

from .addressing import Addressing
from .again import Again
from .inputs.run_input import RunInput
from .keeping.following import Follows
from .keeping.speaking import Speaking
from .keeping.terms import check_seconds, check_text
from .parts import RunParts
from .recording.cutting.kept import keep
from .resting.scopes import move_on_after
from .resting.turns import awaited
from .work import Work


@final
@names_verbs
class Run(Work, Addressing, Speaking, Follows):
    """One execution of a behaviour over its batch. Good until the behaviour ends, or the run is dropped; then `RunEnded`.

    Attributes:
        runtime_id: Which runtime.
        run_id: The same over all attempts and crashes.
        fence_token: For tools that can refuse a stale one.
        generation: Which life of the runtime.
        inputs: Always exactly this batch, in admission order, less those whose payload does not fit the behaviour's class:
            they are rejected with the run's next boundary.
        session: The conversation.
        state: What the runtime keeps between its runs.
        attempts: Failed attempts of this run so far.
        abandoned: Why the batch was abandoned that this run follows (`Behaviour.on_abandoned`); else None.
    """

    def __init__(self, parts: RunParts) -> None:
        """Made by the supervisor."""
        super().__init__(parts)  # pyright: ignore[reportArgumentType] - a cached_property is a property to mypy alone
        entering, begun = parts.entering, parts.begun
        self.runtime_id = entering.runtime_id
        self.run_id: RunId = begun.run_id
        self.fence_token = entering.actor.facts.fence_token
        self.generation = entering.actor.facts.generation
        self.attempts = begun.attempts
        self.session = parts.session
        self.state = parts.state
        self.inputs = parts.batch.inputs
        Speaking.__init__(self, entering, parts.encode)
        Follows.__init__(self, parts)  # pyright: ignore[reportArgumentType] - as above
        self._entering = entering
        self._check_open = entering.check_open
        self._parts = parts

    # Work: see also `Work`

    def move_on_after(self, seconds: float) -> AbstractAsyncContextManager[trio.CancelScope]:
        """``async with run.move_on_after(5):`` cuts off what is asked for inside, and records that it did.

        Like `trio.move_on_after`; that one is recorded with what the run asks for next. Where the run enters again, what was
        cut off is not executed and waits for the same end.
        """
        return move_on_after(self._entering, seconds)

    @awaited
    async def patched(self, name: str) -> bool:
        """Whether this run goes the new way: ``if await run.patched("asks twice"):``.

        True where the run has come past everything that is recorded of it, and so can go a new way. The first answer in a
        run stands for the whole run. A run that no longer asks needs no change.

        Raises:
            InvalidInput: No name; or it is asked for inside a step.
            RunEnded: The run is over.
        """
        return await self._parts.chance.patched(check_step_name(name))

    def now(self) -> datetime:
        """The wall clock, in UTC: the same where the run enters again. Recorded with the next entry."""
        self._check_open()
        return self._parts.chance.now()

    @property
    def random(self) -> Random:
        """Randomness that is the same where the run enters again. Drawn from the run id: not for secrets."""
        self._check_open()
        return self._parts.chance.random

    def uuid(self) -> UUID:
        """A UUID that is the same where the run enters again. Drawn from the run id: not for secrets."""
        self._check_open()
        return UUID(int=self.random.getrandbits(128), version=4)

    @awaited
    async def sleep(self, seconds: float, *, steerable: bool = False) -> None:
        """Sleep until a time that is on disk before the sleep begins: over crashes and restarts it is slept once.

        The time is one of the wall clock. Where that is set while the run sleeps, nothing changes; where it was set back before
        the run enters again, it sleeps at most `seconds` from then on, and where it was set forward, less.

        Args:
            seconds: Not negative, and finite: an endless wait is `wait_steered`.
            steerable: End early where something that was sent to steer has joined, which `steered` and `wait_steered` then
                give, or where the runtime retires.

        Raises:
            StepMismatch: The run slept otherwise before. Holds the runtime.
            InvalidInput: No such number of seconds.
            RunEnded: The run is over.
        """
        seconds = check_seconds(seconds, "seconds")
        if steerable:
            await self._parts.steering.sleep(seconds)
            return
        await self._parts.steps.sleep(seconds)

    # What lands with the next boundary

    def reject(self, rejected: RunInput, error: str) -> None:
        """Abandon one member of the batch with ``rejected``, and spare the rest. Lands with the next boundary.

        What joined to steer the run is a member too. The first rejection of one that has not ended counts.

        Raises:
            InvalidInput: Not a member of this run, or no text; or a step with a call id is in flight.
            RunEnded: The run is over.
        """
        self._check_open()
        text = check_text(error, "error")
        ended = self._parts.batch.check(rejected, "rejected"), text
        self._entering.buffers("a rejection", ended).ended.append(ended)

    def answer(self, answered: RunInput, result: object) -> None:
        """Consume one member of the batch, with this as its result and no other. Lands with the next boundary.

        Its ticket has the result as `Outcome.result`. The other members get what the behaviour returns. What joined to steer
        the run is a member too. The first answer, or rejection, of one that has not ended counts.

        Args:
            answered: The member.
            result: A JSON value, or what the behaviour's classes make one of.

        Raises:
            InvalidInput: Not a member of this run; or no JSON form; or a step with a call id is in flight.
            PayloadTooLarge: The result is over `Limits.payload_bytes`.
            RunEnded: The run is over.
        """
        self._check_open()
        ended = self._parts.batch.check(answered, "answered"), self._parts.steps.encode_result(result)
        self._entering.buffers("an answer", ended).ended.append(ended)

    def again(self, payload: object) -> Again:
        """End this run and go on in a new one: ``return run.again(payload)``, and nothing else.

        For agents that live long: each run has its own record, bounded by `Limits.run_steps`. The commit that ends this
        run begins the next one, over this payload alone, before everything that waits in the inbox, also where the runtime
        was retired meanwhile. It sees the conversation and the state as they stand then, and is of the first version of
        its behaviour. What this run was given is consumed, without a result but for what `answer` gave.

        Args:
            payload: A JSON value, or an instance of the behaviour's payload class.

        Raises:
            InvalidInput: It does not fit the payload class, or has no JSON form; or it is asked for in a branch or a step.
            PayloadTooLarge: It is over `Limits.payload_bytes`.
            RunEnded: The run is over.
        """
        self._check_open()
        return self._parts.going_on.again(payload)

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

    @awaited
    async def checkpoint(self, consume: tuple[RunInput, ...] = ()) -> RunBoundaryReceipt:
        """Commit what was appended, sent and rejected so far, and return the receipt.

        The inputs stay with the run, but for those that are named in `consume`; of these, what has ended stays as it ended.
        What was sent to steer joins the run here; `wait_steered` and `steered` give it.

        Raises:
            StepMismatch: What is replayed differs from what is stored. Holds the runtime.
            RunEnded: The run is over.
        """
        return await self._parts.steering.checkpoint(consume)

    @awaited
    async def wait_steered(
        self, timeout_s: float | None = None, correlation_id: str | None = None
    ) -> tuple[RunInput, ...]:
        """Wait until something is sent to steer this run, let it join at a checkpoint, and return what joined.

        What has joined at a `checkpoint` since the last of these waits is returned at once. The wait survives a restart:
        the run enters again and waits on. What has joined stays with the run, is part of its batch, and joins at the same
        checkpoint again in a replay. What has joined and is never handed out is queued again when the run ends.

        Args:
            timeout_s: Longest wait; the time at which it gives up is on disk before it begins. None waits without end.
            correlation_id: Only what answers this; what else has joined stays for another wait, or `steered`.

        Returns:
            What joined; empty where the time was over and nothing was stored by then, or where the runtime retires and nothing
            can come any more (`retiring`).

        Raises:
            StepMismatch: The run waited otherwise before. Holds the runtime.
            InvalidInput: An argument does not fit.
            RunEnded: The run is over.
        """
        if timeout_s is not None:
            timeout_s = check_seconds(timeout_s, "timeout_s")
        return await self._parts.steering.wait(timeout_s, check_key(correlation_id, "correlation_id"))

    @property
    def retiring(self) -> bool:
        """Whether a wait of this run has ended because its runtime retires: nothing that steers it comes any more."""
        return self._parts.steering.retiring

    def steered(self) -> tuple[RunInput, ...]:
        """What has joined at a checkpoint since this or `wait_steered` was last asked; does not wait, and may be empty.

        Raises:
            RunEnded: The run is over. InvalidInput: This is inside a step.
        """
        self._check_open()
        return self._parts.steering.take()

    # Inside

    def _decide(self, event: LifecycleEvent) -> None:
        self._check_open()
        self._entering.only_main(f"{event} of the runtime")
        branch = self._entering.branch
        if branch.scopes:
            branch = keep(self._entering.record, branch, f"{event} of the runtime", "")
        if branch.stands_for is None:
            self._parts.verbs.ask(event)


def parts_of(run: Run) -> RunParts:
    """What a run hands over to: for fronts of it that stand elsewhere."""
    return run._parts  # noqa: SLF001  # pyright: ignore[reportPrivateUsage] - users see what they may call
