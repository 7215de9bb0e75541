"""The execution of runs: from a staged batch to the commit that ends it, well or not.

Cases at the end of a behaviour: it returned, and its batch is consumed; it was cancelled from outside, and the verb that did it
has committed why; it asked the process to end; all else that it raised is an end that is not good (`bad_ends`).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Final, final

import trio

from tenure.actors.runtime_actor import RuntimeActor
from tenure.errors import Error, Internal, Unreadable
from tenure.persistence.commits.commit import CommitResult
from tenure.persistence.facets.inbox.receipts import MintReceipt
from tenure.persistence.facets.runs.following.followed import Followed
from tenure.persistence.facets.runs.runs import FinishRun, RunBegun
from tenure.persistence.model.lifecycles.lifecycle import LifecycleEvent
from tenure.persistence.model.texts import as_defect
from tenure.persistence.model.values import InputId, RunBoundaryReceipt
from tenure.persistence.reading.patience import patiently
from tenure.persistence.seams.executors import Executor
from tenure.persistence.seams.interrupts import came_by_signal
from tenure.persistence.seams.nursery import contained, is_for_others
from tenure.persistence.store import Store, ground_of
from tenure.persistence.writing.group import Outcome
from tenure.supervisor.accepting.payloads import Kinds, PayloadType
from tenure.supervisor.operators.instrumented_runs import InstrumentedRun
from tenure.supervisor.operators.log import HostLog
from tenure.supervisor.output.saying import Saying
from tenure.supervisor.output.speech import Flushes

from .asking import Publisher
from .at_work import at_work
from .bad_ends import BadEnds
from .behaviour import Behaviour, BehaviourFunction, Behaviours
from .keeping.following import load_followed
from .keeping.journal import NOTHING_RECORDED, Journal, load_journal
from .keeping.said import begin_speech, drop_said
from .parts import RunParts
from .recording.attention import NeedsAttention, Unstorable, find_leaf
from .recording.entering import Entering
from .recording.matching import Record
from .recording.step_terms import is_cut
from .resting.sleepers import Sleepers
from .run import Run
from .stepping.calls import Calls

_TYPED: Final = (Error, Unstorable, NeedsAttention)
"""What may end a run where no code of the user runs; `NeedsAttention` was raised before, and the behaviour has swallowed it.
All else there is a mistake of ours."""


@final
class Execution:
    """Executes the runs of every actor of a host."""

    def __init__(
        self,
        store: Store,
        behaviours: Behaviours,
        steps: Executor,
        publisher: Publisher,
        log: HostLog,
        end_with: Callable[[BaseException], None],
        flushes: Flushes,
        *,
        sleepers: Sleepers,
    ) -> None:
        """Bind to the store, the user's code, and the threads its sync steps run in; `end_with` ends the host.

        `flushes` brings what runs emit to disk where no commit of theirs takes it along; `sleepers` puts aside what rests.
        """
        self._store = store
        self._behaviours = behaviours
        self._payload_types = {kind: behaviour.payload_type for kind, behaviour in behaviours.items()}
        self._kinds: dict[PayloadType, Kinds] = {}
        self._calls = Calls(steps, ground_of(store))
        self._publisher = publisher
        self._ends = BadEnds(store, publisher, log)
        self._end_with = end_with
        self._on_half = log.record_half_full
        self._flushes = flushes
        self._sleepers = sleepers
        self._hooks = self._calls.hooks
        self._deadline = trio.current_effective_deadline()

    async def execute(self, actor: RuntimeActor, begun: RunBegun, *, instrumented: bool = False) -> None:
        """Execute one run and commit its end. Cancelled where the runtime is stopped; then nothing more is committed.

        A behaviour that raises KeyboardInterrupt or SystemExit ends the host with it.
        """
        if self._hooks.call is not None and not instrumented:
            with InstrumentedRun(self._hooks, actor, begun):
                return await self.execute(actor, begun, instrumented=True)
        behaviour = self._behaviours.of(actor.facts.kind, begun.version)
        try:
            await self._execute(actor, begun, behaviour)
        except Exception as exc:  # noqa: BLE001 - a defect of ours, on the way from the run to its record
            await self._ends.charge_defect(actor, begun, behaviour, exc)

    async def _execute(self, actor: RuntimeActor, begun: RunBegun, behaviour: Behaviour) -> None:
        saying: Saying | None = None
        entering: Entering | None = None
        try:
            journal = await self._load_journal(begun) if begun.again else NOTHING_RECORDED
            taken, replay_s = begun.take_recorded, behaviour.replay_s
            record = Record(journal.entries, behaviour.version, take_recorded=taken, replay_s=replay_s)
            saying = Saying(partial(begin_speech, self._store, actor, begun, self._flushes), self._flushes.lock)
            if begun.said is not None:
                await drop_said(saying, self._store, begun, journal.entries)
            of_run = self._store, actor, begun.run_id, record, behaviour.version, behaviour.replay_s, saying
            landed, on_rest = self._publisher.landed, self._sleepers.hears(behaviour.aside_after_s)
            entering = Entering(*of_run, landed=landed, deadline=self._deadline, on_half=self._on_half, on_rest=on_rest)
            followed = await load_followed(self._store, begun) if begun.follows else None
            await self._run(actor, begun, behaviour, journal, entering, followed)
        except BaseException as exc:
            if is_cut(exc) and trio.current_effective_deadline() == -math.inf:
                # From outside, out of a nursery in a group; a Cancelled without a cancelled scope around us is the
                # behaviour's own mistake.
                raise
            ends_process = find_leaf(exc, (KeyboardInterrupt, SystemExit))
            if ends_process is not None:
                if not (isinstance(ends_process, KeyboardInterrupt) and came_by_signal(ends_process)):
                    await self._ends.charge(actor, behaviour)  # and not of who pressed Ctrl-C while it computed
                self._end_with(ends_process)
            elif (defect := find_leaf(exc, (Internal,))) is not None and actor.executes(begun.run_id):
                await self._ends.charge_defect(actor, begun, behaviour, defect)
            else:
                await self._ends.end(actor, begun, behaviour, exc, entering, saying)
        finally:
            if saying is not None:
                saying.close()

    async def _run(
        self,
        actor: RuntimeActor,
        begun: RunBegun,
        behaviour: Behaviour,
        journal: Journal,
        entering: Entering,
        followed: Followed | None,
    ) -> None:
        kinds = self._kinds.get(behaviour.payload_type)
        if kinds is None:
            kinds = Kinds(own=behaviour.payload_type, all=self._payload_types)
            self._kinds[behaviour.payload_type] = kinds
        try:
            parts = RunParts(
                entering, begun, journal, behaviour, self._calls, kinds, self._publisher, followed=followed
            )
            run = Run(parts)
        except _TYPED:
            raise
        except Exception as exc:
            raise as_defect(exc) from exc
        actor.at_work = partial(at_work, entering)
        returned: object = None
        try:
            if run.inputs:  # else none of them fits the behaviour, and all are rejected; or nothing is left to follow
                function = self._function(actor, behaviour, begun)
                returned = await contained(function, run)
        except BaseException as exc:
            if entering.fault is None or entering.fault is exc or is_for_others(exc):
                raise
            raise entering.fault from exc  # whatever the behaviour has made of it
        finally:
            actor.at_work = None
            entering.ended = True
        try:
            await parts.finish(returned, partial(self._finished, actor, parts))
        except _TYPED:
            raise
        except Exception as exc:
            raise as_defect(exc) from exc

    def _function(self, actor: RuntimeActor, behaviour: Behaviour, begun: RunBegun) -> BehaviourFunction:
        if not begun.follows:
            return behaviour.function
        # A version that began it may have none, and goes on with it all the same: that of the kind is what is wanted.
        found = behaviour.on_abandoned or self._behaviours[actor.facts.kind].on_abandoned
        if found is None:
            message = "a host without on_abandoned has begun what follows an abandoned batch"
            raise RuntimeError(message)
        return found

    async def _load_journal(self, begun: RunBegun) -> Journal:
        try:
            return await patiently(lambda: self._store.read(lambda statements: load_journal(statements, begun.run)))
        except Unreadable as exc:
            # No fault of the behaviour, and what it did may not be done again: a person must look (design §5).
            message = f"what the run recorded cannot be read: {exc}"
            raise NeedsAttention(message) from exc

    def _finished(self, actor: RuntimeActor, run: RunParts, outcome: Outcome) -> None:
        if type(outcome) is not CommitResult:
            return
        receipt: RunBoundaryReceipt = outcome.only(MintReceipt)
        consumed: tuple[InputId, ...] = outcome.only(FinishRun)
        actor.publish_run(LifecycleEvent.FINISH_RUN)
        if run.goes_on or run.unseen:
            actor.facts.has_work = True  # queued by this commit
        self._publisher.landed(outcome)
        self._publisher.inputs_consumed(actor, consumed, receipt, run.result)
        for decision in run.decisions:
            actor.publish_event(decision, outcome.answers(decision.changes))
