"""The supervisor: which runtimes live in this host, and what recovery does.

`open_supervisor` opens the store, takes over what was left unfinished, and gives out handles. Each owned runtime has one
actor; what its behaviour does is executed by `execution`; what has landed is published here: to tickets, and to the targets
of sends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final, final

import trio
from attrs import frozen

from tenure.actors.runtime_actor import RuntimeActor
from tenure.errors import (
    Closed,
    Error,
    Internal,
    InvalidInput,
    KindMismatch,
    NotFound,
    RuntimeDestroyed,
    RuntimeOwned,
    StoreBroken,
    UnknownKind,
)
from tenure.persistence.codec import decode
from tenure.persistence.commits import Commit, CommitResult
from tenure.persistence.facets import inputs, runtimes, sessions
from tenure.persistence.facets.inputs import AcceptedInput
from tenure.persistence.facets.ownership import Ownership, TakeOwnership
from tenure.persistence.facets.runs import RunBegun
from tenure.persistence.facets.sends import Sent
from tenure.persistence.group import Outcome as CommitOutcome
from tenure.persistence.lifecycle import LifecycleEvent
from tenure.persistence.store import Store
from tenure.persistence.values import (
    AbandonReason,
    InputId,
    InputPhase,
    LogicalRuntimeId,
    RunBoundaryReceipt,
    RuntimeState,
    SessionId,
    check_runtime_id,
)

from . import recovery
from .behaviour import Behaviour
from .execution import Execution
from .ingress import accept_change
from .runtime import Runtime
from .tickets import Outcome, Ticket, Tickets, stored_outcome

DRAIN_S: Final = 10.0
"""Seconds that a normal exit lets runs come to their end."""

TRIAL_S: Final = 10.0
"""Seconds that a run on trial has for itself before the next one starts."""


@final
@frozen(kw_only=True, slots=True)
class SupervisorStatistics:
    """What a host is doing.

    Attributes:
        runtimes: Runtimes that it owns.
        running: Those of them that execute a run.
        held: Those of them that are held.
        commits: Commits that landed since the store was opened.
        groups: Groups they shared.
        waiting: Commits that wait for the writer.
    """

    runtimes: int
    running: int
    held: int
    commits: int
    groups: int
    waiting: int


@final
class Supervisor:
    """Owns runtimes. Made by `open_supervisor`.

    Attributes:
        store: The store beneath, for reads and for facets of one's own.
    """

    def __init__(self, store: Store, behaviours: Mapping[str, Behaviour], nursery: trio.Nursery) -> None:
        """Own nothing yet; tasks will run in `nursery`."""
        self.store = store
        self._behaviours = dict(behaviours)
        self._nursery = nursery
        self._actors: dict[LogicalRuntimeId, RuntimeActor] = {}
        self._starting: dict[LogicalRuntimeId, trio.Event] = {}
        self._tickets = Tickets(self._read_outcome)
        self._step_executor = store.seams.step_executor()
        self._execution = Execution(store, self._behaviours, self._step_executor, self)
        self.body = trio.CancelScope()
        self.failure: Error | None = None

    # What a host asks for

    async def spawn(self, runtime_id: str, kind: str) -> Runtime:
        """Own a runtime and return its handle: a new one, one that was left, or the one that this supervisor owns already.

        A stopped runtime comes to life again. Ownership and token are on disk when this returns; for a runtime of one's own
        nothing is minted.

        Raises:
            UnknownKind: No behaviour is registered for the kind.
            KindMismatch: The runtime is of another kind.
            RuntimeDestroyed: The id never comes back.
            RuntimeOwned: Another living host has it.

        Cancellation: before its commit is taken nothing happened; afterwards the handle is returned and the cancellation
        comes at the next checkpoint.
        """
        checked = check_runtime_id(runtime_id)
        if kind not in self._behaviours:
            raise UnknownKind(kind=kind)
        while (starting := self._starting.get(checked)) is not None:
            await starting.wait()
        actor = self._actors.get(checked)
        if actor is None:
            actor = await self._take_over(checked, kind)
        elif actor.kind != kind:
            raise KindMismatch(runtime_id=checked, stored=actor.kind, given=kind)
        elif actor.standing.value.state is RuntimeState.DESTROYED:
            raise RuntimeDestroyed(runtime_id=checked)
        elif actor.standing.value.state is RuntimeState.STOPPED:
            await actor.apply(LifecycleEvent.ATTACH)
        return Runtime(self, actor)

    def runtime(self, runtime_id: str) -> Runtime:
        """The handle of a runtime that this supervisor owns. Raises `NotFound`."""
        actor = self._actors.get(check_runtime_id(runtime_id))
        if actor is None:
            raise NotFound(what="owned runtime", key=runtime_id)
        return Runtime(self, actor)

    async def ticket(
        self, runtime_id: str, *, input_id: str | None = None, idempotency_key: str | None = None
    ) -> Ticket:
        """Find a ticket again, by exactly one of input id and key; also after a restart.

        Raises:
            NotFound: The runtime has no such input.
            InvalidInput: Neither or both are given.
        """
        checked = check_runtime_id(runtime_id)
        if (input_id is None) is (idempotency_key is None):
            raise InvalidInput(detail="give either an input id or an idempotency key")
        found = None if input_id is None else InputId(input_id)
        if found is None and idempotency_key is not None:
            key = idempotency_key
            found = await self.store.read(lambda statements: inputs.find_by_key(statements, checked, key))
        if found is None:
            raise NotFound(what="input", key=str(idempotency_key))
        # Issued before it is read: an end that is published in between finds it.
        ticket = self._tickets.issue(checked, found, InputPhase.QUEUED, deduplicated=True)
        stored = await self._find_outcome(checked, found)
        if stored is not None:
            ticket.settle(stored)
        return ticket

    async def read_session(self, runtime_id: str) -> list[Any]:
        """The whole conversation of a runtime, decoded, first message to last.

        Raises:
            NotFound: No such runtime.
            Corrupt: A message is no JSON.
        """
        checked = check_runtime_id(runtime_id)
        path = await self.store.read(lambda statements: sessions.path_of_runtime(statements, checked))
        if path is None:
            raise NotFound(what="runtime", key=runtime_id)
        return [decode(message, "message", f"{runtime_id}/{at}") for at, message in enumerate(path, 1)]

    async def dead_letters(self, runtime_id: str) -> list[inputs.DeadLetter]:
        """The abandoned inputs of a runtime, oldest first."""
        checked = check_runtime_id(runtime_id)
        found: list[inputs.DeadLetter] = []
        while True:
            after = found[-1].input_id if found else InputId("")
            read = partial(inputs.dead_letters, runtime_id=checked, after=after, count=recovery.PAGE)
            page = await self.store.read(read)
            found.extend(page)
            if len(page) < recovery.PAGE:
                return found

    def statistics(self) -> SupervisorStatistics:
        """What this host is doing now."""
        writer = self.store.statistics()
        actors = self._actors.values()
        return SupervisorStatistics(
            runtimes=len(actors),
            running=sum(actor.standing.value.state is RuntimeState.RUNNING for actor in actors),
            held=sum(actor.held is not None for actor in actors),
            commits=writer.commits,
            groups=writer.groups,
            waiting=writer.waiting,
        )

    # What handles ask for

    async def accept(self, actor: RuntimeActor, payload: object, idempotency_key: str | None) -> Ticket:
        """See `Runtime.accept`."""
        change = accept_change(self.store.seams, actor.runtime_id, payload, idempotency_key)
        return await actor.accept(change, partial(self._issue, actor.runtime_id))

    def _issue(self, runtime_id: LogicalRuntimeId, accepted: AcceptedInput) -> Ticket:
        return self._tickets.issue(runtime_id, accepted.input_id, accepted.phase, deduplicated=accepted.deduplicated)

    # What actors ask for

    async def execute(self, actor: RuntimeActor, begun: RunBegun, /) -> None:
        """See `Owner.execute`."""
        await self._execution.execute(actor, begun)

    def abandoned(self, runtime_id: LogicalRuntimeId, input_ids: tuple[InputId, ...], reason: AbandonReason, /) -> None:
        """See `Owner.abandoned`."""
        for input_id in input_ids:
            self._tickets.settle(runtime_id, input_id, Outcome(phase=InputPhase.ABANDONED, reason=reason))

    def run_committed(self, _actor: RuntimeActor, result: CommitResult, /) -> None:
        """See `Publisher.run_committed`."""
        for value in result.values:
            if isinstance(value, Sent) and value.refused is None:
                self._wake(value.target)

    def run_finished(self, actor: RuntimeActor, result: CommitResult, /) -> None:
        """See `Publisher.run_finished`."""
        receipt: RunBoundaryReceipt = result.values[-2]
        consumed: tuple[InputId, ...] = result.values[-1]
        for input_id in consumed:
            self._tickets.settle(actor.runtime_id, input_id, Outcome(phase=InputPhase.CONSUMED, receipt=receipt))

    def run_exhausted(self, actor: RuntimeActor, result: CommitResult, error: str, /) -> None:
        """See `Publisher.run_exhausted`."""
        reason = AbandonReason.MAX_ATTEMPTS_EXHAUSTED
        abandoned: tuple[InputId, ...] = result.values[0]
        for input_id in abandoned:
            outcome = Outcome(phase=InputPhase.ABANDONED, reason=reason, error=error)
            self._tickets.settle(actor.runtime_id, input_id, outcome)

    # Recovery and the end

    async def recover(self) -> None:
        """Take over every runtime of a known kind that was left with work; those on trial start behind, one by one."""
        trials: list[recovery.Unfinished] = []
        after = ""
        while page := await self.store.read(partial(recovery.unfinished, after=after)):
            after = page[-1].runtime_id
            known = [found for found in page if found.kind in self._behaviours]
            trials += [found for found in known if recovery.must_go_alone(found)]
            async with trio.open_nursery() as nursery:  # owned by this page
                for found in known:
                    if not recovery.must_go_alone(found):
                        nursery.start_soon(self._take_over_quietly, found.runtime_id, found.kind)
        if trials:
            self._nursery.start_soon(self._guard, partial(self._try_one_by_one, trials))

    async def watch_store(self) -> None:
        """End with the store: cancel the body when the store has stopped."""
        self._end_with(await self.store.wait_broken())

    async def drain(self) -> None:
        """Begin no further run and wait for those that are executing, at most `DRAIN_S`."""
        with trio.move_on_after(DRAIN_S):
            async with trio.open_nursery() as nursery:  # owned by this wait
                for actor in self._actors.values():
                    nursery.start_soon(actor.drain)

    def close(self) -> None:
        """Answer everybody who still waits."""
        error: Error = self.failure or Closed(what="supervisor")
        for actor in self._actors.values():
            actor.close(error)
        self._tickets.close(error)
        self._step_executor.close()

    # Inside

    async def _take_over(self, runtime_id: LogicalRuntimeId, kind: str) -> RuntimeActor:
        self._starting[runtime_id] = trio.Event()
        try:
            seams = self.store.seams
            change = TakeOwnership(
                runtime_id=runtime_id,
                kind=kind,
                epoch=seams.new_id(),
                session_id=SessionId(seams.new_id()),
                max_crashes=self._behaviours[kind].restart.max_crashes,
            )
            await self.store.submit(Commit(changes=(change,)), on_settled=self._own).wait()
            return self._actors[runtime_id]
        finally:
            self._starting.pop(runtime_id).set()

    def _own(self, outcome: CommitOutcome) -> None:
        # In the callback of the commit: a send that lands right behind it finds the actor.
        if isinstance(outcome, CommitResult):
            ownership: Ownership = outcome.values[0]
            batch = self._behaviours[ownership.kind].batch
            actor = RuntimeActor(self.store, self, ownership, batch, self._nursery)
            self._actors[ownership.runtime_id] = actor
            self._nursery.start_soon(self._guard, partial(self._serve, actor))

    async def _serve(self, actor: RuntimeActor) -> None:
        await actor.serve()
        if self._actors.get(actor.runtime_id) is actor:
            del self._actors[actor.runtime_id]  # it lost its runtime; a spawn may try to get it back

    async def _take_over_quietly(self, runtime_id: LogicalRuntimeId, kind: str) -> None:
        if runtime_id in self._actors or runtime_id in self._starting:
            return
        try:
            await self._take_over(runtime_id, kind)
        except (RuntimeOwned, RuntimeDestroyed, KindMismatch):
            return  # somebody else has it now, or it is gone: then its work is not ours

    async def _try_one_by_one(self, trials: list[recovery.Unfinished]) -> None:
        for found in trials:
            await self._take_over_quietly(found.runtime_id, found.kind)
            actor = self._actors.get(found.runtime_id)
            if actor is not None and actor.held is None:
                with trio.move_on_after(TRIAL_S):
                    await actor.standing.wait_value(lambda standing: standing.state is RuntimeState.RUNNING)
                    await actor.standing.wait_value(lambda standing: standing.state is not RuntimeState.RUNNING)

    def _wake(self, runtime_id: LogicalRuntimeId) -> None:
        actor = self._actors.get(runtime_id)
        if actor is not None:
            actor.wake()
        elif runtime_id not in self._starting:
            self._nursery.start_soon(self._guard, partial(self._wake_unowned, runtime_id))

    async def _wake_unowned(self, runtime_id: LogicalRuntimeId) -> None:
        record = await self.store.read(lambda statements: runtimes.find(statements, runtime_id))
        if record is not None and record.kind in self._behaviours:
            await self._take_over_quietly(runtime_id, record.kind)

    async def _guard(self, task: Callable[[], Awaitable[None]]) -> None:
        try:
            await task()
        except StoreBroken as exc:
            self._end_with(exc)
        except Exception as exc:  # noqa: BLE001 - a mistake of ours ends the supervisor with one typed error
            failure = Internal(detail=repr(exc))
            failure.__cause__ = exc
            self._end_with(failure)

    def _end_with(self, error: Error) -> None:
        if self.failure is None:
            self.failure = error
            self.body.cancel()

    async def _read_outcome(self, ticket: Ticket) -> Outcome:
        outcome = await self._find_outcome(ticket.runtime_id, ticket.input_id)
        if outcome is None:
            raise NotFound(what="outcome of input", key=ticket.input_id)
        return outcome

    async def _find_outcome(self, runtime_id: LogicalRuntimeId, input_id: InputId) -> Outcome | None:
        return await self.store.read(partial(stored_outcome, runtime_id=runtime_id, input_id=input_id))
