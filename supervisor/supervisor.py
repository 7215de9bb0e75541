"""The supervisor: which runtimes live in this host, and who answers for them.

Each owned runtime is known by its facts, and has an actor while somebody uses it. What its behaviour does is executed by
`execution`; what has landed is published here: to tickets, and to the targets of sends.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping
from contextvars import copy_context
from functools import partial
from typing import Any, Unpack, final
from weakref import WeakValueDictionary

import trio

from tenure.actors.facts import RuntimeFacts
from tenure.actors.runtime_actor import RuntimeActor
from tenure.actors.worker import Worker
from tenure.errors import (
    Closed,
    Error,
    InvalidInput,
    KindMismatch,
    NotFound,
    RuntimeDestroyed,
    RuntimeOwned,
    StoreBroken,
    UnknownKind,
)
from tenure.persistence.commits.commit import Commit, CommitResult
from tenure.persistence.facets.inbox import inputs
from tenure.persistence.facets.inbox.input_records import PersistInputs
from tenure.persistence.facets.inbox.inputs import AcceptedInput, AcceptInput
from tenure.persistence.facets.ownership.lifecycle import PersistState
from tenure.persistence.model.arguments import checked
from tenure.persistence.model.lifecycles.lifecycle import LifecycleEvent
from tenure.persistence.model.texts import as_defect
from tenure.persistence.model.values import (
    InputId,
    InputPhase,
    Lane,
    LogicalRuntimeId,
    RuntimeState,
    check_runtime_id,
)
from tenure.persistence.seams.nursery import is_for_others
from tenure.persistence.seams.step_threads import StepThreads
from tenure.persistence.store import Store

from .accepting.ingress import Ingress
from .accepting.publishing import Publishing
from .accepting.terms import AcceptTerms
from .accepting.tickets import (
    Outcome,
    Ticket,
    Tickets,
    stored_outcome,
)
from .fleet.host_watch import HostWatch
from .fleet.requests import Requests
from .handles.foreign import (
    ForeignRuntime,
    find_foreign,
)
from .handles.runtime import Runtime
from .hosting.mending import Mending
from .hosting.takeovers import Takeovers
from .operators.log import HostLog
from .operators.own_state import own_state_change, write_unowned
from .operators.reads import StoreReads
from .runs.behaviour import Behaviour
from .runs.execution import Execution
from .statistics import (
    SupervisorStatistics,
    statistics_of,
)


@final
class Supervisor(StoreReads):
    """Owns runtimes. Made by `open_supervisor`.

    Attributes:
        store: The store beneath, for reads and for facets of one's own.
        body: Cancelled when the supervisor ends under its body.
        failure: Why it has ended, or None.
        closed: Whether it takes and starts nothing more.
        tickets: Those that somebody here holds.
        ingress: Takes inputs.
        log: Tells operators.
        publishing: Tells tickets what has landed.
        watch: Looks at the other hosts of the store.
        requests: Asks them, and carries out what they ask.
        takeovers: Brings runtimes here.
        mending: Takes a runtime anew that a mistake of ours has left in doubt.
    """

    def __init__(self, store: Store, behaviours: Mapping[str, Behaviour], nursery: trio.Nursery) -> None:
        """Own nothing yet; tasks will run in `nursery`."""
        super().__init__(store)
        self.behaviours = dict(behaviours)
        self.body = trio.CancelScope()
        self.failure: BaseException | None = None
        self.closed = False
        self._nursery = nursery
        self._context = copy_context()
        self._owned: dict[LogicalRuntimeId, RuntimeFacts] = {}
        self._actors: dict[LogicalRuntimeId, RuntimeActor] = {}
        # Of the actors that live, and of those before them whose behaviours still clean up.
        self._workers: WeakValueDictionary[LogicalRuntimeId, Worker] = WeakValueDictionary()
        self.tickets = Tickets(self._read_outcome)
        self.log = HostLog()
        self._step_threads = StepThreads(store.limits)
        self._step_threads.on_given_up = self.log.step_given_up
        self._step_threads.on_full = self.log.steps_wait
        make_executor = store.seams.step_executor
        self._step_executor = make_executor() if make_executor else self._step_threads
        self.mending = Mending(self)
        self.publishing = Publishing(self.tickets, self.wake, self._ended, self.log, self.mending.distrust)
        self.ingress = Ingress(store, self.behaviours, self.publishing.accepted, self._arrived, self.mending.distrust)
        self._execution = Execution(
            store, self.behaviours, self._step_executor, self.publishing, self.log, self.end_with
        )
        self.requests = Requests(self)
        self.watch = HostWatch(self)
        self.takeovers = Takeovers(self)
        store.on_brought(self.hear)

    # What a host asks for

    @checked
    async def spawn(self, runtime_id: str, kind: str, *, wait: bool = False) -> Runtime:
        """Own a runtime and return its handle: a new one, one that was left, or the one that this supervisor owns already.

        A stopped runtime comes to life again. Ownership and token are on disk when this returns; for a runtime of one's own
        nothing is minted. With `wait`, a runtime of another host is waited for until that host lets go of it or is lost.

        Raises:
            UnknownKind: No behaviour is registered for the kind.
            KindMismatch: The runtime is of another kind.
            RuntimeDestroyed: The id never comes back.
            RuntimeOwned: Another living host has it, and `wait` is false.

        Cancellation: before its commit is taken nothing happened; afterwards the handle is returned and the cancellation
        comes at the next checkpoint.
        """
        checked = check_runtime_id(runtime_id)
        if kind not in self.behaviours:
            raise UnknownKind(kind=kind)
        while (facts := self._owned.get(checked)) is None:
            if await self.takeovers.wait(checked):
                continue
            try:
                return Runtime(self, await self.takeovers.take(checked, kind, revive=True))
            except RuntimeOwned as exc:
                if await self.watch.bury(exc.holder):
                    continue
                if not wait:
                    raise
            await self.watch.wait_free(checked)
        if facts.kind != kind:
            raise KindMismatch(runtime_id=checked, stored=facts.kind, given=kind)
        await self._revive(facts)
        return Runtime(self, facts)

    @checked
    def runtime(self, runtime_id: str) -> Runtime:
        """The handle of a runtime that this supervisor owns. Raises `NotFound`."""
        facts = self._owned.get(check_runtime_id(runtime_id))
        if facts is None:
            raise NotFound(what="owned runtime", key=runtime_id)
        return Runtime(self, facts)

    @checked
    async def find(self, runtime_id: str) -> Runtime | ForeignRuntime:
        """The handle of any runtime of the store; verbs of one that another host owns go to it. Raises `NotFound`."""
        checked = check_runtime_id(runtime_id)
        if checked in self._owned:
            return self.runtime(checked)
        return await find_foreign(self, checked)

    async def accept(self, runtime_id: str, payload: object, **terms: Unpack[AcceptTerms]) -> Ticket:
        """Put one input into the inbox of any runtime of the store, whoever owns it; see `Runtime.accept`.

        Raises:
            NotFound: No such runtime.
        """
        return await (await self.find(runtime_id)).accept(payload, **terms)

    @checked
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
            read = partial(inputs.find_by_key, runtime_id=checked, idempotency_key=idempotency_key)
            found = await self.store.read(read)
        if found is None:
            raise NotFound(what="input", key=str(idempotency_key))
        # Issued before it is read: an end that is published in between finds it.
        ticket = self.tickets.issue(checked, found, InputPhase.QUEUED, deduplicated=True)
        stored = await self._find_outcome(checked, found)
        if stored is not None:
            ticket.settle(stored)
        self.watch.stir()
        return ticket

    @checked
    async def set_execution_state(
        self,
        runtime_id: str,
        values: Mapping[str, Any],
        *,
        delete: Iterable[str] = (),
        expected: int | None = None,
    ) -> int:
        """Set and delete values of a runtime's own state, all or nothing, and return its new revision.

        A run that has begun sees none of it: the next one does.

        Raises:
            NotFound, RuntimeDestroyed: There is no such runtime, or it never comes back.
            RuntimeOwned: Another living host has it, and alone writes it.
            StateConflict: The state is not at revision `expected`.
            InvalidInput, PayloadTooLarge, LimitReached: A name, a value or their number does not fit.
        """
        change = own_state_change(self.store.limits, check_runtime_id(runtime_id), values, delete, expected)
        facts = self._owned.get(change.runtime_id)
        commit = self.actor(facts).channel.commit if facts else partial(write_unowned, self.store)
        revision: int = (await commit(change)).values[0]
        return revision

    def statistics(self) -> SupervisorStatistics:
        """What this host is doing now, and what has happened since it was opened."""
        return statistics_of(self.owned, len(self._actors), self.store.statistics(), self.log, self._step_threads)

    # What handles ask for

    def actor(self, facts: RuntimeFacts) -> RuntimeActor:
        """The actor of an owned runtime; a passivated one wakes up.

        Raises:
            Closed: It is owned no longer.
            RuntimeDestroyed: It was destroyed; nothing is kept of it but what its handles have.
            StoreBroken: The store has stopped.
        """
        if self._owned.get(facts.runtime_id) is not facts:
            lost = self._why_lost(facts.runtime_id)
            raise RuntimeDestroyed(runtime_id=facts.runtime_id) if facts.is_destroyed else lost
        actor = self._actors.get(facts.runtime_id)
        if actor is None:
            batch = self.behaviours[facts.kind].batch
            execute = self._execution.execute
            start_soon = partial(self.start_soon, runtime_id=facts.runtime_id)
            worker = self._workers.setdefault(facts.runtime_id, Worker(start_soon))
            actor = RuntimeActor(self.store, facts, batch, execute, self.publishing, start_soon, worker)
            self._actors[facts.runtime_id] = actor
            if facts.has_work:
                start_soon(actor.begin)
        return actor

    # What recovery, passivation and the opening ask for

    @property
    def actors(self) -> list[RuntimeActor]:
        """Those that live now."""
        return list(self._actors.values())

    def start_soon(self, task: Callable[[], Awaitable[None]], runtime_id: LogicalRuntimeId | None = None) -> None:
        """Run a task beside the body. What it raises ends the supervisor, or only the runtime that it is for.

        A supervisor that was closed starts nothing: a commit on its way may still land. The task has the context variables of
        `open_supervisor`'s caller, whoever wakes it: often that is the loop itself, which has none of them.
        """
        if not self.closed:
            self._context.copy().run(self._nursery.start_soon, self.guard, task, runtime_id)

    def wake(self, runtime_id: LogicalRuntimeId, *, steered: bool = False) -> None:
        """Something has come into this inbox: let its actor look, or take the runtime over if nobody owns it."""
        facts = self._owned.get(runtime_id)
        if facts is not None:
            actor = self.actor(facts)
            actor.steered.value += steered
            actor.wake()
        else:
            self.takeovers.begin_for(runtime_id)

    def hear(self, commit: Commit, result: CommitResult) -> None:
        """A store verb of this process has landed: whoever owns or awaits what it wrote hears of it now. Raises nothing."""
        brings = [isinstance(change, PersistInputs) and bool(change.states) for change in commit.changes]
        answered = zip(commit.changes, result.values, strict=False)  # a repeat answers for its first change alone
        states = [value for change, value in answered if isinstance(change, PersistState)]
        if commit.runtime_id is None or self.closed or not (any(brings) or states):
            return
        with self.mending.net(commit.runtime_id):
            self.watch.doubt(commit.runtime_id)
            facts = self._owned.get(commit.runtime_id)
            if facts is None:
                self.takeovers.begin_for(commit.runtime_id)
            else:
                self.actor(facts).hear(states[-1] if states else None)

    def adopt(self, facts: RuntimeFacts) -> None:
        """A runtime has come to this host, in the callback of its commit."""
        self._owned[facts.runtime_id] = facts
        self.watch.doubt(facts.runtime_id)

    @property
    def owned(self) -> list[RuntimeFacts]:
        """The facts of what this host owns."""
        return list(self._owned.values())

    def owns(self, runtime_id: str) -> bool:
        """Whether this host owns a runtime."""
        return runtime_id in self._owned

    def facts(self, runtime_id: LogicalRuntimeId) -> RuntimeFacts:
        """What is known of a runtime of this host. Raises `Closed` where it is none."""
        facts = self._owned.get(runtime_id)
        if facts is None:
            raise self._why_lost(runtime_id)
        return facts

    def lose(self, facts: RuntimeFacts, error: Error) -> None:
        """Another host has the runtime: its run goes no further, and who waits for its actor gets the error."""
        del self._owned[facts.runtime_id]
        actor = self._actors.pop(facts.runtime_id, None)
        if actor is not None:
            actor.lose(error)

    def passivate(self, actor: RuntimeActor) -> None:
        """Drop an actor that nobody uses. Its runtime stays owned under its token, and nothing is written."""
        del self._actors[actor.facts.runtime_id]
        actor.close(Closed(what=f"actor of {actor.facts.runtime_id}"))

    async def guard(self, task: Callable[[], Awaitable[None]], runtime_id: LogicalRuntimeId | None = None) -> None:
        """Run a task of ours; an error that it does not handle ends the supervisor with one typed error.

        Cases: the store has stopped, and the host with it; it was closed, or the runtime went to another host, and the task has
        nothing more to do; a mistake of ours, which ends the runtime that the task is for; or the host, where it is for none.
        """
        try:
            await task()
        except StoreBroken as exc:
            self.end_with(exc)
        except Closed:
            return
        except BaseException as exc:
            # A mistake of ours, or of the user's code where ours forgot to look; it is passed on, as the cause.
            if is_for_others(exc):
                raise
            if runtime_id is None:
                self.end_with(as_defect(exc))
            else:
                self.mending.distrust(runtime_id, exc)

    def end_with(self, error: BaseException) -> None:
        """End under the body: cancel it; the first error is what `open_supervisor` raises."""
        if self.failure is None:
            self.failure = error
            self.body.cancel()
            if isinstance(error, Exception):  # else the program ends, as a behaviour asked for
                self.log.ended(error)

    def close(self) -> None:
        """Answer everybody who still waits."""
        self.closed = True
        error: Error = self.failure if isinstance(self.failure, Error) else Closed(what="supervisor")
        for actor in self.actors:
            actor.close(error)
        self._owned.clear()  # a handle that outlives the host finds nothing
        self.ingress.close(error)
        self.tickets.close(error)
        self._step_executor.close()

    # Inside

    async def _revive(self, facts: RuntimeFacts) -> None:
        """Bring a stopped runtime of this host to life again, as it is stored by now."""
        actor = self._actors.get(facts.runtime_id)
        if actor is not None and actor.unread:
            await actor.reread()
        if facts.is_destroyed:
            raise RuntimeDestroyed(runtime_id=facts.runtime_id)
        if facts.standing.state is RuntimeState.STOPPED:
            await self.actor(facts).apply(LifecycleEvent.ATTACH)

    def _why_lost(self, runtime_id: LogicalRuntimeId) -> Closed:
        # Where the store has stopped, the actors end before the body hears of it: it is told of the store.
        self.store.check_open()
        return Closed(what=f"ownership of runtime {runtime_id}")

    def _ended(self, actor: RuntimeActor) -> None:
        if self._actors.get(actor.facts.runtime_id) is actor:
            # Not passivated: it has lost its runtime, and a spawn may try to get it back; or that was destroyed.
            del self._actors[actor.facts.runtime_id]
            self._owned.pop(actor.facts.runtime_id, None)

    def _arrived(self, change: AcceptInput, accepted: AcceptedInput) -> None:
        if not self.owns(change.runtime_id):
            self.watch.stir()  # its ticket waits for what another host writes
        if accepted.phase is InputPhase.QUEUED and not accepted.deduplicated:
            with self.mending.net(change.runtime_id):
                self.wake(change.runtime_id, steered=change.stored_lane is Lane.STEER)

    async def _read_outcome(self, ticket: Ticket) -> Outcome:
        outcome = await self._find_outcome(ticket.runtime_id, ticket.input_id)
        if outcome is None:
            raise NotFound(what="outcome of input", key=ticket.input_id)
        return outcome

    async def _find_outcome(self, runtime_id: LogicalRuntimeId, input_id: InputId) -> Outcome | None:
        return await self.store.read(partial(stored_outcome, runtime_id=runtime_id, input_id=input_id))
