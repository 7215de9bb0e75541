"""The machinery of a host, put together: each part takes what it needs in its constructor.

The order in which they are made here is the order in which they build on one another; what must ring upward takes the bell
(`hosting/bell.py`). Users hold a `Supervisor`, whose verbs hand over to these parts.
"""

from __future__ import annotations

from typing import final

import trio

from tenure.actors.listener import Ended
from tenure.errors import Closed, Error
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.inbox.inputs import AcceptedInput, AcceptInput
from tenure.persistence.model.texts import named
from tenure.persistence.model.values import InputPhase, Lane, LogicalRuntimeId
from tenure.persistence.seams.step_threads import StepThreads
from tenure.persistence.store import Store, ground_of
from tenure.persistence.writing.pending import Rider

from .accepting.doubts import Doubts
from .accepting.ingress import Ingress
from .accepting.publishing import Publishing
from .accepting.tickets import Tickets
from .fleet.host_watch import HostWatch
from .fleet.news import News
from .fleet.requests import Requests
from .handles.follow import Follow
from .hosting.actors import Actors
from .hosting.bell import Bell
from .hosting.handover import Handover
from .hosting.hearing import Hearing
from .hosting.holds import Holds
from .hosting.mending import Mending
from .hosting.owned import Owned
from .hosting.releases import Releases
from .hosting.room import Room
from .hosting.takeovers import Takeovers
from .hosting.tasks import Tasks
from .operators.health import Vitals
from .operators.log import HostLog
from .output.flushing import Flushing
from .output.following import Followers
from .runs.behaviour import Behaviours
from .runs.execution import Execution
from .runs.resting.sleepers import Sleepers
from .serving.shift import Shift
from .timing.ageing import Ageing
from .timing.timers import Timers


@final
class Host:
    """The parts of one host.

    Attributes:
        store: The store beneath.
        behaviours: By kind.
        log: Writes lines for operators.
        tasks: Run beside the body, and may end the host.
        owned: The runtimes of this host.
        tickets: Those that are held here.
        mending: Takes a runtime anew that a mistake of ours has left in doubt.
        step_threads: Where sync steps run.
        followers: Those who follow outputs here.
        follow: Makes their readers.
        flushing: Brings what runs emit to disk.
        ageing: Takes it away when it is too old.
        actors: Made for the runtimes that are in use.
        takeovers: Bring runtimes here.
        shift: Whether queued work is claimed here.
        handover: Gives runtimes back, and what was claimed.
        news: Wait for what is stored.
        requests: Ask other hosts, and carry out what they ask.
        sleepers: Runs that rest, until they are put aside.
        timers: Act on what is stored for a time.
        watch: Looks at the other hosts of the store.
        ingress: Takes inputs.
    """

    def __init__(self, store: Store, behaviours: Behaviours, nursery: trio.Nursery) -> None:
        """Own nothing yet; tasks will run in `nursery`."""
        self.store = store
        self.behaviours = behaviours
        hooks = ground_of(store).hooks
        self.log = HostLog(hooks)
        hooks.failed = self.log.hook_failed
        self.tasks = Tasks(nursery, self.log)
        self.owned = Owned(store)
        self.tickets = Tickets(store)
        self._doubts = Doubts(store, self.tickets, self.tasks.start_soon)
        bell = Bell()
        self.mending = Mending(store, self.behaviours, self.owned, self.tasks, self.log, bell)
        publishing = Publishing(
            self.tickets,
            bell.wake,
            self.owned.ended,
            self._kept,
            self.log,
            self.mending.distrust,
            self._stir,
            delayed=self._delayed,
            woken=self._woken,
            put_aside=self._put_aside,
        )
        self._execute_runs(publishing, bell)
        self._watch_the_store(publishing)
        self.ingress = Ingress(
            store, self.behaviours, publishing.accepted, self._arrived, self.mending.distrust, self._join
        )
        hearing = Hearing(
            self.owned, self.actors, self.takeovers, self._doubts, self.mending, self.tasks, self.timers.hear_wake
        )
        ground_of(store).on_brought(hearing.hear)
        ground_of(store).on_past(hearing.hear_past)

    def _execute_runs(self, publishing: Publishing, bell: Bell) -> None:
        """Make what runs need here: threads for steps, output, actors, and what brings runtimes to this host."""
        store = self.store
        self.sleepers = Sleepers(publishing.put_aside, self.mending.distrust)
        self.step_threads = StepThreads(store.limits)
        self.step_threads.on_given_up = self.log.step_given_up
        self.step_threads.on_full = self.log.steps_wait
        make_executor = store.seams.step_executor
        self._step_executor = make_executor() if make_executor else self.step_threads
        self.followers = Followers(store, self._is_written_elsewhere)
        self.follow = Follow(store, self.followers)
        self.flushing = Flushing(self.followers, ground_of(store).hooks, shared=store.shared)
        self.ageing = Ageing(store, self.log)
        execution = Execution(
            store,
            self.behaviours,
            self._step_executor,
            publishing,
            self.log,
            self.tasks.end_with,
            self.flushing,
            sleepers=self.sleepers,
        )
        self.actors = Actors(
            store, self.behaviours, self.owned, execution.execute, publishing, self.tasks, self.mending
        )
        room, releases = Room(self.behaviours, self.owned), Releases(store, self.owned, self.actors, self.log)
        self.takeovers = Takeovers(
            store=store,
            behaviours=self.behaviours,
            owned=self.owned,
            room=room,
            releases=releases,
            actors=self.actors,
            doubts=self._doubts,
            mending=self.mending,
            tasks=self.tasks,
            log=self.log,
            bell=bell,
        )
        self.shift = Shift()
        self.handover = Handover(
            store=store,
            owned=self.owned,
            actors=self.actors,
            takeovers=self.takeovers,
            releases=releases,
            room=room,
            shift=self.shift,
            sleepers=self.sleepers,
            tasks=self.tasks,
        )

    def _watch_the_store(self, publishing: Publishing) -> None:
        """Make what acts on what is stored: by other hosts, for a time, by a person."""
        store = self.store
        self.news = News(store)
        self.requests = Requests(
            store=store,
            behaviours=self.behaviours,
            owned=self.owned,
            actors=self.actors,
            takeovers=self.takeovers,
            news=self.news,
            doubts=self._doubts,
            mending=self.mending,
            tasks=self.tasks,
        )
        self.timers = Timers(
            store,
            self.owned,
            self.actors,
            self.takeovers,
            publishing,
            self.mending,
            self.log,
            behaviours=self.behaviours,
        )
        self.holds = Holds(store, self.owned, self.actors, self.timers.hear, self.mending)
        self.watch = HostWatch(
            store=store,
            owned=self.owned,
            takeovers=self.takeovers,
            requests=self.requests,
            news=self.news,
            doubts=self._doubts,
            mending=self.mending,
            timers=self.timers,
            holds=self.holds,
            handover=self.handover,
            tasks=self.tasks,
            log=self.log,
        )

    def vitals(self) -> Vitals:
        """What this host knows about itself; from any thread."""
        failure = self.store.broken or self.tasks.failure
        if failure is None and self.tasks.closed:
            failure = Closed(what="supervisor")
        late_s, place = self.watch.loop_late()
        ground, writer, threads = ground_of(self.store), self.store.statistics(), self.step_threads.threads()
        holders = [each for each in threads if not (each.given_up or each.lent)]  # the others are in no one's way
        return Vitals(
            stopped=None if failure is None else named(failure),
            loop_late_s=late_s,
            loop_place=place,
            writing_s=writer.writing_s,
            lease_lapsed=ground.lease_lapsed(),
            free_bytes=ground.free_bytes(),
            log_held=writer.log_held,
            log_pages=writer.log_pages,
            waiting_steps=self.step_threads.waiting,
            youngest_step_s=holders[-1].seconds if holders else None,
            longest_step=f"{holders[0].name!r} of runtime {holders[0].runtime_id!r}" if holders else "",
            given_up=sum(each.given_up for each in threads),
        )

    def close(self) -> None:
        """Answer everyone who still waits."""
        self.tasks.closed = True
        failure = self.tasks.failure
        error: Error = failure if isinstance(failure, Error) else Closed(what="supervisor")
        self.owned.close(error)
        self.ingress.close(error)
        ground_of(self.store).queue_bell.ring()
        self.tickets.close(error)
        self._step_executor.close()

    def _kept(self, runtime_id: LogicalRuntimeId) -> None:
        self.holds.keep(runtime_id)
        self.news.stir()  # the hold may have ended elsewhere since: the next look reads what is on hold now

    def _stir(self) -> None:
        self.news.stir(is_hinted=True)  # the host that was asked gives a hint

    def _is_written_elsewhere(self, runtime_id: LogicalRuntimeId | None) -> bool:
        return self.watch.sees_others and (runtime_id is None or not self.owned.owns(runtime_id))

    def _woken(self, _: LogicalRuntimeId) -> None:
        self.timers.hear()  # it may be late, and its host ends it; and another may be woken

    def _put_aside(self, actor: Ended) -> None:
        self.owned.put_aside(actor)
        self.timers.hear_wake()  # it may be due, or at a time before all others

    def _delayed(self, runtime_id: LogicalRuntimeId) -> None:
        self.timers.hear()
        self.takeovers.wake(runtime_id)  # it may be due by now, and in the inbox already

    def _join(self, runtime_id: LogicalRuntimeId, commit: Commit) -> tuple[Commit, Rider] | None:
        actor = self.owned.actor(runtime_id)
        facts = self.owned.find(runtime_id) if actor is None else actor.facts
        if facts is None or facts.aside:
            return None
        return (actor or self.actors.of(facts)).join(commit)

    def _arrived(self, change: AcceptInput, accepted: AcceptedInput, has_begun: bool) -> None:  # noqa: FBT001 - a callback
        if change.deadline_s is not None or accepted.phase is InputPhase.ACCEPTED:
            self.timers.hear()
        if has_begun:
            return  # it is at work
        if not self.owned.owns(change.runtime_id):
            self.news.stir(is_hinted=True)  # its ticket waits for what another host writes
        if accepted.phase is InputPhase.QUEUED and not accepted.deduplicated:
            with self.mending.net(change.runtime_id):
                self.takeovers.wake(change.runtime_id, steered=change.stored_lane is Lane.STEER)
