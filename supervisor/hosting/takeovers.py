"""Taking runtimes over: by a spawn, by recovery, or because something has come for one that nobody owns (design §4).

However it comes, one commit mints a token, queues what was staged and charges the crash; what it tells is the facts under which
the runtime lives here. Only a spawn creates a runtime, hears of a refusal, and brings a stopped one back to life.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, final

import trio

from tenure.actors.facts import RuntimeFacts, facts_of
from tenure.errors import Closed, Error, ReadFailed, RuntimeDestroyed, RuntimeOwned, StoreBroken
from tenure.persistence.commits.commit import (
    Commit,
    CommitResult,
)
from tenure.persistence.facets.ownership.ownership import (
    Ownership,
    TakeOwnership,
    find_holding,
)
from tenure.persistence.model.texts import as_defect
from tenure.persistence.model.values import (
    LogicalRuntimeId,
    SessionId,
)
from tenure.persistence.seams.nursery import is_for_others
from tenure.persistence.writing.group import Outcome as CommitOutcome
from tenure.supervisor.fleet.host_watch import NOT_NOW
from tenure.supervisor.runs.restart import wait_left

from .trials import Trials

if TYPE_CHECKING:
    from tenure.supervisor.supervisor import Supervisor


@final
class Takeovers:
    """Those of one host, on their way."""

    def __init__(self, supervisor: Supervisor) -> None:
        """Nothing is on its way yet."""
        self._supervisor = supervisor
        self._store = supervisor.store
        self._trials = Trials(supervisor)
        self._starting: dict[LogicalRuntimeId, trio.Event] = {}

    async def wait(self, runtime_id: LogicalRuntimeId) -> bool:
        """Wait for a takeover that is on its way. Whether there was one."""
        starting = self._starting.get(runtime_id)
        if starting is not None:
            await starting.wait()
        return starting is not None

    async def take(self, runtime_id: LogicalRuntimeId, kind: str, *, revive: bool) -> RuntimeFacts:
        """Own a runtime. Raises what `TakeOwnership` is refused with; cancelled, see `Store.commit`."""
        self._starting[runtime_id] = trio.Event()
        try:
            seams = self._store.seams
            change = TakeOwnership(
                runtime_id=runtime_id,
                kind=kind,
                epoch=seams.new_id(),
                session_id=SessionId(seams.new_id()),
                max_crashes=self._supervisor.behaviours[kind].restart.max_crashes,
                revive=revive,
            )
            await self._store.publish(Commit(changes=(change,)), self._landed)
            return self._supervisor.facts(runtime_id)
        finally:
            self._starting.pop(runtime_id).set()

    async def take_quietly(self, runtime_id: LogicalRuntimeId, kind: str) -> None:
        """Own a runtime and set it to work, unless somebody else has it or it is gone.

        A stopped one stays stopped: only `spawn` revives.
        """
        if self._supervisor.owns(runtime_id) or runtime_id in self._starting:
            return
        try:
            await self.take(runtime_id, kind, revive=False)
        except (StoreBroken, Closed):
            raise
        except NOT_NOW as exc:
            self._supervisor.watch.leave_over()
            self._supervisor.log.takeover_failed(runtime_id, exc, again=True)
        except (RuntimeOwned, RuntimeDestroyed):
            return  # somebody was faster
        except Error as exc:  # damaged, say: then its work is not ours, and blocks nobody else's
            self._supervisor.log.takeover_failed(runtime_id, exc, again=False)
        except BaseException as exc:
            if is_for_others(exc):
                raise
            # And so with a mistake of ours.
            self._supervisor.log.takeover_failed(runtime_id, as_defect(exc), again=False)

    def begin_for(self, runtime_id: LogicalRuntimeId) -> None:
        """Something has come for a runtime that is not ours: take it over if nobody owns it and its kind is known here."""
        if runtime_id not in self._starting:
            self._supervisor.start_soon(partial(self._take_unowned, runtime_id), runtime_id)

    async def _take_unowned(self, runtime_id: LogicalRuntimeId) -> None:
        try:
            found = await self._store.read(partial(find_holding, runtime_id=runtime_id))
        except NOT_NOW:
            self._supervisor.watch.leave_over()
            return
        except ReadFailed as exc:
            self._supervisor.log.takeover_failed(runtime_id, exc, again=False)
            return
        # Ours, and not known to be: a mistake of ours has lost it, and whoever needs it now takes it anew.
        if found is not None and found.owner in (None, self._store.host) and found.kind in self._supervisor.behaviours:
            await self.take_quietly(runtime_id, found.kind)

    def _landed(self, outcome: CommitOutcome) -> None:
        # In the callback of the commit: a send that lands right behind it finds the owner.
        if not isinstance(outcome, CommitResult) or self._supervisor.closed:
            return  # closed meanwhile: it is let go of with all else
        taken: Ownership = outcome.values[0]
        with self._supervisor.mending.net(taken.runtime_id):
            self._publish(taken)

    def _publish(self, taken: Ownership) -> None:
        facts = facts_of(taken)
        self._supervisor.adopt(facts)
        if facts.held is not None:
            self._supervisor.log.held(facts)
        if facts.on_trial:
            self._trials.add(facts, taken.crashes)
        if taken.retry_at is not None:
            policy = self._supervisor.behaviours[facts.kind].restart
            wait_s = wait_left(policy, taken.retry_at, self._store.seams.wall_clock())
            self._supervisor.actor(facts).wake_after(wait_s)
        elif facts.has_work:
            self._supervisor.actor(facts)
