"""What every handle of a runtime can ask for, here or on another host."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping
from typing import TypeVar

from tenure.errors import InvalidInput, RuntimeDestroyed
from tenure.persistence.contracts.erasing import Erasure, Erasures
from tenure.persistence.model.arguments import checked
from tenure.persistence.model.labels import check_relabelling
from tenure.persistence.model.lifecycles.lifecycle import LifecycleEvent
from tenure.persistence.model.values import (
    InputId,
    LogicalRuntimeId,
    RuntimeState,
)
from tenure.supervisor.accepting.tickets import Ticket
from tenure.supervisor.fleet.verbs import (
    Apply,
    Cancel,
    ChangeLabels,
    Drop,
    Resume,
    Retry,
    Settle,
    Verb,
    verdicts,
)
from tenure.supervisor.hosting.holds import Holds, check_note
from tenure.supervisor.output.reader import OutputReader
from tenure.supervisor.runs.recording.verdicts import Verdict

from .follow import Follow

T = TypeVar("T")


def states_of(given: Iterable[RuntimeState | str]) -> set[RuntimeState]:
    """The states to wait for. Raises `InvalidInput` where there is none, which would be to wait for ever."""
    states = {RuntimeState(state) for state in given}
    if not states:
        raise InvalidInput(detail="say for which state to wait", field="states")
    return states


@checked
class Handle(ABC):
    """The verbs of a runtime. Each is durable when it returns, carried out by the host that owns the runtime.

    Cancellation: before its commit, or its request, is taken nothing happened; afterwards it is carried out, and a runtime of
    one's own returns the answer and delivers the cancellation at the next checkpoint.
    """

    def __init__(self, runtime_id: LogicalRuntimeId, holds: Holds, follow: Follow, erasures: Erasures) -> None:
        """Of this runtime."""
        self._of, self._holds, self._follow, self._erasures = runtime_id, holds, follow, erasures

    def follow(
        self,
        after: str | None = None,
        *,
        channel: str | None = None,
        ticket: Ticket | None = None,
        run_id: str | None = None,
        events: bool = False,
    ) -> OutputReader:
        """What the runtime emits: what is there, then what comes; here, or on whichever host its runs execute.

            async for entry in runtime.follow(after=last_position, ticket=ticket):
                if entry.kind is tenure.OutputKind.DATA:
                    print(entry.value, end="")

        Each position is given once and in order, also over crashes of its host. Where an attempt was in vain, an entry
        ``restarted`` follows what it has said: drop what you hold of that run after `OutputEntry.drop_after`, of
        `OutputEntry.place` where that names one. In this process it is late by 20 ms at most where the disk keeps up, in
        another one by a second. A reader that is slow holds nothing up: it reads from the store. It may be dropped at
        any place, and begun again after `OutputReader.position`.

        Args:
            after: The position of the last entry that was seen; None for all that is still there.
            channel: Only ``data`` of this channel; every other kind is given all the same.
            ticket: End when this input of the runtime has ended, and all before that was given.
            run_id: End when this run has ended, likewise.
            events: Also what became of its inputs and runs, as entries ``input`` and ``run`` (`OutputEntry.value`), in one
                order with what it emits, late by `Limits.poll_s`. They are there where `Behaviour.events` asks for them.

        Raises:
            InvalidInput: No such position, channel or ticket. Raised at once.
            PositionGone: When it is read: entries after that position are gone; see `Retention.output_entries`.
            NotFound: When it is read: no such runtime.
            Corrupt: When it is read: an entry is not what its digest says.
            StoreBroken, Closed: The store has stopped, or the supervisor was closed.

        It ends where the runtime is destroyed, once all was given.
        """
        return self._follow.reader(self._of, after, channel, ticket, run_id, events=events)

    async def hold(self, note: str = "") -> bool:
        """Keep it from beginning anything, until `resume(hold=True)`; on disk when this returns. Whether it was not on hold.

        Nothing is abandoned, and accept works as ever; a run that executes goes on. Deadlines of its inputs wait, and are moved
        by as long as the hold lasts. The mark of a runtime that is `held` is another thing, and stays as it is.

        Raises:
            RuntimeDestroyed: It never comes back.
            InvalidInput: The note has more than 1,000 characters.
        """
        return await self._holds.place(self._of, None, check_note(note))

    async def relabel(self, labels: Mapping[str, str] | None = None, *, remove: Iterable[str] = ()) -> dict[str, str]:
        """Set labels and remove others; those that are not named stay. Durable when this returns.

            await runtime.relabel({"tier": "gold"}, remove=["trial"])

        Args:
            labels: Names and values. A name has 1 to 63 characters: ASCII letters, digits and ``. _ - /``, the first a letter
                or a digit. A value is text of at most 200 characters without control characters.
            remove: Names, also of labels that it may not have.

        Returns:
            Its labels then, by name.

        Raises:
            InvalidInput: A name or a value cannot be, a name is to be set and removed, or nothing is given.
            LimitReached: It would have more than 32 labels.
            RuntimeDestroyed: It never comes back.
        """
        return await self._perform(ChangeLabels(changed=check_relabelling(labels or {}, remove)))

    async def retire(self) -> None:
        """Accept nothing new and drain what is there; durable when this returns. Raises `InvalidTransition`."""
        await self._apply(LifecycleEvent.RETIRE)

    async def reset(self, *, clear_session: bool = False) -> None:
        """Abandon every unfinished input and begin a new life with a new token; durable when this returns.

        The conversation stays unless `clear_session` empties it in the same commit; the held mark stays. Raises
        `InvalidTransition` while running, and in stopped and destroyed.
        """
        await self._perform(Apply(event=LifecycleEvent.RESET, clear_session=clear_session))

    async def stop(self) -> None:
        """Abandon every unfinished input and run nothing until it is spawned again; durable when this returns.

        A run is cancelled after its commit in flight. Raises `InvalidTransition` in initializing and destroyed.
        """
        await self._apply(LifecycleEvent.STOP)

    async def recycle(self) -> None:
        """Bring a retired runtime back to work with all that it holds; durable when this returns.

        Raises `InvalidTransition` while running, and in stopped and destroyed.
        """
        await self._apply(LifecycleEvent.RECYCLE)

    async def destroy(self, *, erase: bool = False, peers: bool = False) -> Erasure | None:
        """Abandon every unfinished input and leave a tombstone: the id never comes back. Durable when this returns.

        Args:
            erase: Erase everything that it has held too; it is begun in the same commit, and goes on where the runtime was
                destroyed before: by this call, say, when its host was killed. See `erase`.
            peers: With `erase`, what other runtimes have from it too.

        Returns:
            With `erase`, what is gone and what is not yet; else None.

        Raises:
            InvalidInput: `peers` without `erase`.
            RuntimeDestroyed: It was destroyed before, and `erase` is not asked for.
        """
        if peers and not erase:
            raise InvalidInput(detail="peers goes with erase=True", field="peers")
        try:
            await self._perform(Apply(event=LifecycleEvent.DESTROY, erase=erase, peers=peers))
        except RuntimeDestroyed:
            if not erase:
                raise
            return await self._erasures.erase(self._of, peers=peers)
        return await self._erasures.carry_on(self._of) if erase else None

    async def erase(self, *, peers: bool = False) -> Erasure:
        """Erase everything that it has ever held, once it is destroyed; see `Store.erase`.

        Raises:
            InvalidTransition: It is not destroyed.
        """
        return await self._erasures.erase(self._of, peers=peers)

    async def cancel(self, input_id: str | None = None, *, in_run: bool = False) -> bool:
        """End the current run and abandon its batch with ``cancelled``; or one input alone. Durable when this returns.

        Args:
            input_id: Which input, one that no run has; None for the current run, whichever that is by then.
            in_run: The input also where the current run has it: that run ends, and its batch is abandoned with it. A run that
                has come after it goes on, for where the input is, is asked in the commit that cancels it.

        Returns:
            Whether there was something to cancel.

        Raises:
            InvalidInput: `in_run` without an input.
        """
        if in_run and input_id is None:
            raise InvalidInput(detail="in_run goes with an input_id", field="in_run")
        return await self._perform(Cancel(input_id=None if input_id is None else InputId(input_id), in_run=in_run))

    async def retry(self, input_id: str, *, fresh: bool = False, version: str | None = None) -> tuple[InputId, ...]:
        """Queue a dead letter again, with the batch that was abandoned together; durable when this returns.

        Its run is reopened: the same run id, the recorded steps kept, attempts from 0. A refused send is sent again, under
        its key: its target gets it once, however often it is retried.

        Args:
            input_id: Which dead letter; `Supervisor.dead_letters` lists them.
            fresh: Begin a new run as `resume` does with `restart_run`; nothing to a refused send.
            version: Which version of the behaviour goes on with the run; it may be an older one. None: the one that did.

        Returns:
            What is queued again, in admission order; `Supervisor.ticket` finds the tickets, those of a send with its target.

        Raises:
            NotFound: No such dead letter, or it was dropped; or the target of the send is still not there.
            NotAccepting: The runtime, or the target of the send, is retired or stopped. Nothing is written.
            RuntimeDestroyed: The runtime, or the target of the send, never comes back.
            PayloadTooLarge: The send is over the limit still.
            InvalidTransition: It is not abandoned; or it is a run in doubt, which ended.
        """
        return (await self._perform(Retry(input_id=InputId(input_id), fresh=fresh, version=version))).input_ids

    async def drop(self, input_id: str) -> None:
        """Let a dead letter go: its payload is gone, its key stays known; durable when this returns. A run in doubt goes too.

        Raises:
            NotFound: No such dead letter.
            InvalidTransition: It is not abandoned.
        """
        await self._perform(Drop(input_id=InputId(input_id)))

    async def resume(
        self,
        *,
        restart_run: bool = False,
        take_recorded: bool = False,
        renamed: Mapping[str, str] | None = None,
        forget: Iterable[str] = (),
        repeat_never: bool = False,
        version: str | None = None,
        settle: Mapping[str, Verdict] | None = None,
        hold: bool = False,
    ) -> None:
        """Clear the held mark and forgive what led to it; durable when this returns. Or end the hold of a person.

        One does not end the other: what a person keeps on hold begins nothing until that hold ends, by ``resume(hold=True)`` or
        `Supervisor.resume`, whatever else is said here. `why` says which of the two keeps it, as ``held`` and ``on_hold``.

        Entries are named by their name, or by their place as the error of the hold gives it.

        Args:
            restart_run: Begin a new run over the batch of the current one. Steps that are ``keyed`` or ``never`` go along,
                whatever became of them, and are not done twice; so does what was sent or asked. The rest is repeated. The
                conversation goes back to where the run found it.
            take_recorded: Go on with what is recorded, whatever its arguments are now.
            renamed: Entries by name or place, each with its new name: ``{"charge": "charge_card"}``.
            forget: Entries by name or place that are taken out of the record. Those after them in their branch move up. What
                was sent goes by its target, or as ``send/3``; it is sent again where a restart asks for it.
            repeat_never: Forget also what must not be done twice. It will be.
            version: Which version of the behaviour goes on with the run; it may be an older one. A host that has it takes the
                runtime over.
            settle: Steps in doubt by place, each with its verdict, as `settle_step` takes them: ``{"main/3": Ran("paid")}``.
                `why` lists them. They are settled first, by the places that they have before anything else that is said here.
            hold: End the hold that `hold` has placed on this runtime, and leave the held mark alone. The hold of a kind ends
                with `Supervisor.resume(kind=)`.

        Raises:
            InvalidTransition: While a run executes that is to be changed: it was resumed already.
            NotFound: No such entry, no such step in doubt, or no such version was ever registered.
            InvalidInput: `forget` names what must not be done twice, without `repeat_never`; or something else is asked beside
                `hold`.
        """
        if hold:
            if (
                restart_run
                or take_recorded
                or renamed
                or tuple(forget)
                or repeat_never
                or settle
                or version is not None
            ):
                raise InvalidInput(detail="the end of a hold changes no run: resume twice", field="hold")
            await self._holds.end(self._of, None)
            return
        verb = Resume(
            restart_run=restart_run,
            take_recorded=take_recorded,
            renamed=tuple((renamed or {}).items()),
            forget=(forget,) if isinstance(forget, str) else tuple(forget),
            repeat_never=repeat_never,
            version=version,
            settled=verdicts((settle or {}).items()),
        )
        await self._perform(verb)

    async def settle_step(self, place: str, verdict: Verdict, *more: tuple[str, Verdict]) -> None:
        """Say whether a step in doubt ran, and resume; durable when this returns.

        A hold lists all steps of its run that are in doubt, whatever it is for. One for a `StepMismatch` comes again unless the
        verdict mends that: `resume` takes verdicts beside its other ways.

        Args:
            place: Where the step stands, as `held_detail` gives it: ``main/3``.
            verdict: ``Ran(result)``: the run goes on with the result. ``DidNotRun()``: the step is dispatched again.
            *more: Further steps of the run in doubt, each with its verdict; all or none are settled.

        Raises:
            NotFound: No such step of the current run is in doubt.
            InvalidInput: The result has no JSON form.
            PayloadTooLarge: The result is over `Limits.payload_bytes`.
        """
        await self._perform(Settle(steps=verdicts([(place, verdict), *more])))

    @abstractmethod
    async def _perform(self, verb: Verb[T]) -> T:
        """Have a verb carried out."""

    async def _apply(self, event: LifecycleEvent) -> None:
        await self._perform(Apply(event=event))
