"""The other hosts of a shared file: who died, who froze, what they wrote, and what is left for this one (design §4).

Theory of operation. One task looks at the other hosts every `Limits.poll_s` seconds, and where one of them hints that it wrote
(`next_look`). A host whose proof of life can be seized, or whose counter stood still for one lease, is marked lost. Where any
of them wrote since the last look, the news are read: inputs for runtimes of this host, requests for it to carry out, outcomes
that tickets here wait for; and those who wait for anything stored look again. A second task takes over what has work and no
living owner, at every renewal at which others wrote, and at once where a host was marked lost.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from functools import partial
from typing import Final, final

import trio
from attrs import frozen

from tenure.errors import Closed
from tenure.persistence.commits.commit import Commit
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.inbox import arrivals
from tenure.persistence.facets.ownership import (
    requests,
)
from tenure.persistence.facets.ownership.draining import Drain, find_drain
from tenure.persistence.facets.ownership.ownership import MarkLost
from tenure.persistence.facets.ownership.requests import StoredRequest
from tenure.persistence.facets.records import asides
from tenure.persistence.facets.records.holds import OnHold, on_hold
from tenure.persistence.facets.schedules import reads as schedules
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.store import Store, erasures_of, ground_of
from tenure.persistence.writing.host_row import (
    OtherHost,
    OtherHosts,
    Rejoined,
    Sightings,
    lapsed,
    other_hosts,
    sight,
)
from tenure.supervisor.accepting.doubts import (
    Doubts,
    Ended,
    TicketKey,
    ended,
)
from tenure.supervisor.hosting.handover import Handover
from tenure.supervisor.hosting.holds import Holds
from tenure.supervisor.hosting.mending import Mending
from tenure.supervisor.hosting.owned import Owned
from tenure.supervisor.hosting.takeovers import Takeovers
from tenure.supervisor.hosting.tasks import Tasks
from tenure.supervisor.operators.log import HostLog
from tenure.supervisor.timing.looking import safely
from tenure.supervisor.timing.timers import Timers

from .loop_watch import LoopWatch
from .news import News
from .next_look import NextLook
from .requests import Requests

LATE_S: Final = 1.0
"""Seconds that the loop may stand still before a line of the log says so, and a thread shows other hosts that this lives."""

SLACK_S: Final = 2.0
"""Seconds for which what has fallen due is looked at again: another host writes it with its own clock."""


@final
@frozen(kw_only=True, slots=True)
class Written:
    """What other hosts wrote since the last look, as far as it matters here.

    Attributes:
        mark: After every input that was there.
        arrived: Runtimes of this host, or of no living host, with newer inputs; and whether one of these steers.
        on_hold: What people keep from beginning.
        requests: What this host has to carry out.
        outcomes: Of inputs that tickets wait for, or why they cannot be read.
        coming: When the first instant of all schedules comes, or None.
        due: Whether a run that is put aside has fallen due.
        drain: What the row of this host says of its drain.
    """

    mark: arrivals.Mark
    arrived: tuple[arrivals.Arrival, ...]
    on_hold: OnHold
    requests: tuple[StoredRequest, ...]
    outcomes: tuple[Ended, ...]
    coming: float | None
    due: bool
    drain: Drain | None


@final
class HostWatch:
    """Looks at the other hosts for as long as the supervisor lives."""

    def __init__(  # noqa: PLR0913 - one for each part of the host that hears of what it sees
        self,
        *,
        store: Store,
        owned: Owned,
        takeovers: Takeovers,
        requests: Requests,
        news: News,
        doubts: Doubts,
        mending: Mending,
        timers: Timers,
        holds: Holds,
        handover: Handover,
        tasks: Tasks,
        log: HostLog,
    ) -> None:
        """Look at nothing yet."""
        self._store = store
        self._ground = ground_of(store)
        self._owned = owned
        self._takeovers = takeovers
        self._requests = requests
        self._news = news
        self._doubts = doubts
        self._mending = mending
        self._timers = timers
        self._holds = holds
        self._handover = handover
        self._tasks = tasks
        self._log = log
        self._seen: OtherHosts | None = None
        self._sightings: Sightings = {}
        self._looked_at = 0.0
        self._mark = arrivals.NOTHING_YET
        self._coming = math.inf
        self._due_since = 0.0
        self._loop_watch = LoopWatch(LATE_S, self._stands, self._ground.proofs.breathe)
        self._stood_in: list[LogicalRuntimeId] = []
        self._ground.on_rejoined(self._rejoined)

    async def start(self) -> None:
        """Take over what is there to be taken, and begin to watch."""
        self._looked_at = self._store.seams.boot_clock()
        # Read before anything is taken over: whatever is accepted elsewhere later is newer.
        self._mark = await self._store.read(arrivals.mark)
        if self._store.shared:
            self._tasks.start_soon(self._watch)
        await self._takeovers.recover()
        self._timers.hear()
        self._tasks.start_soon(self._take_over_what_is_left)

    @property
    def sees_others(self) -> bool:
        """Whether another host had the store open at the last look."""
        return self._seen is not None and bool(self._seen.living)

    def loop_late(self) -> tuple[float, str]:
        """Seconds by which the loop is late, and where it was seen to stand; from any thread."""
        watch = self._loop_watch
        late_s = watch.late_s()
        return late_s, watch.found if late_s else ""

    async def bury(self, incarnation: str) -> bool:
        """Whether a host that holds something here is dead, or has gone meanwhile; marks it lost where it is."""

        def probe(statements: Statements) -> OtherHost | bool | None:
            row = statements.one("ownership.host_of", incarnation=incarnation)
            if row is None or row[2] is not None or row[3] is not None:
                return True
            if not self._ground.proofs.seize(incarnation, row[4]):
                return False
            return OtherHost(host=row[0], incarnation=incarnation, counter=row[1], files=row[4])

        found = await self._store.read(probe)
        if isinstance(found, OtherHost):
            await self._mark_lost([(found, None)])
            return True
        return bool(found)

    # The two tasks

    async def _watch(self) -> None:
        self._loop_watch = loop_watch = LoopWatch(LATE_S, self._stands, self._ground.proofs.breathe)
        if self._store.seams.step_executor is None:  # else this host has no threads, and its clock is not a real one
            loop_watch.start()
        next_look = NextLook(self._ground.hinting, self._store.limits, self._news, self._nap, self._lapse_in)
        took_s = 0.0
        try:
            while True:
                await next_look.wait(took_s)
                began = trio.current_time()
                if not await safely(self._look, self._log):
                    self._news.stir()  # the next look tries again, and reads what this one did not
                took_s = trio.current_time() - began
        finally:
            loop_watch.close()

    async def _nap(self, seconds: float, woken: trio.Event | None) -> None:
        """Sleep, and say so where the loop came back late: then code of a behaviour has blocked it, or the process stood still.

        Judged by both clocks: a virtual one jumps, and beside a virtual one the real one goes on.
        """
        began, real_began = trio.current_time(), time.perf_counter()
        self._stood_in = []
        self._loop_watch.beat(seconds)
        if woken is None:
            await trio.sleep(seconds)
        else:
            with trio.move_on_after(seconds):
                await woken.wait()
        late_s = min(trio.current_time() - began, time.perf_counter() - real_began) - seconds
        if late_s >= LATE_S:
            # Not asked before each nap, which costs; and the run that blocked may have ended by now.
            running = self._stood_in or self._owned.running()
            self._log.loop_blocked(late_s, running, self._loop_watch.found)

    def _stands(self, seconds: float, place: str) -> None:
        """The loop stands still: in one of these runs. Called while it does, by the thread that watches it."""
        self._stood_in = self._owned.running()
        self._log.loop_blocks(seconds, place)

    def _lapse_in(self) -> float:
        """Seconds until a host can be judged lapsed, as far as it has been seen."""
        lease_s = self._store.limits.lease_s
        ends = [each.first_seen + each.lease(lease_s) for each in self._sightings.values()]
        return min(ends, default=math.inf) - self._looked_at

    async def _take_over_what_is_left(self) -> None:
        while True:
            with trio.move_on_after(self._store.limits.renew_s):
                await self._takeovers.wait_hurry()
            if self._takeovers.begin_left():
                if not await safely(self._takeovers.recover, self._log):
                    self._takeovers.leave_over()  # the next renewal tries again
                self._timers.hear()
                self._news.stir()  # requests for what is ours from now on

    # A look

    async def _look(self) -> None:
        limits = self._store.limits
        before = self._store.seams.boot_clock()
        seen, dead, breaths = await self._store.read(self._read_hosts)
        # A counter is first seen after it was read, and judged by the clock before: both on the frozen host's side.
        after = self._store.seams.boot_clock()
        slept = after - self._looked_at > limits.renew_s
        self._looked_at = after
        self._sightings = sight(self._sightings, seen.living, now=after, slept=slept, breaths=breaths)
        frozen_hosts = lapsed(self._sightings, now=before, lease_s=limits.lease_s)
        judged = [(host, None if host in dead else host.counter) for host in seen.living]
        if frozen_hosts:
            lapsed_hosts = [host for host in seen.living if host.host in frozen_hosts]
            await self._store.read(partial(_end_sessions, lapsed_hosts=lapsed_hosts))
        await self._mark_lost([each for each in judged if each[0] in dead or each[0].host in frozen_hosts])
        if seen != self._seen or self._news.stirred:
            gone = self._seen is not None and not {each.host for each in self._seen.living} <= {
                each.host for each in seen.living
            }
            known = () if self._seen is None else self._seen.living
            self._news.settle()
            self._seen = seen
            # Closed, or marked lost by another one: what it owned is there to be taken; so is what one that drains gives back.
            drains = _give_back(known, seen.living)
            self._takeovers.leave_over(hurry=gone or drains)
            await self._read_news()

    def _read_hosts(self, statements: Statements) -> tuple[OtherHosts, list[OtherHost], dict[int, object | None]]:
        seen, proofs = other_hosts(statements, self._ground.host), self._ground.proofs
        dead = [host for host in seen.living if proofs.seize(host.incarnation, host.files)]
        return seen, dead, {host.host: proofs.breath(host.incarnation) for host in seen.living}

    async def _mark_lost(self, judged: list[tuple[OtherHost, int | None]]) -> None:
        if not judged:
            return
        changes = tuple(MarkLost(host=host.host, counter=counter) for host, counter in judged)
        marked = (await self._store.commit(Commit(changes=changes))).values
        for (host, counter), now in zip(judged, marked, strict=True):
            if now:
                self._log.host_lost(host.incarnation, seized=counter is None)
            if counter is None:
                self._ground.proofs.let_go(host.incarnation)
        self._takeovers.leave_over(hurry=True)
        erasures_of(self._store).stir()  # what a dead host has begun to erase goes on here

    async def _read_news(self) -> None:
        waiting = [key for key in self._doubts.waiting() if not self._owned.owns(key[0])]
        now = self._store.seams.wall_clock()
        due = partial(
            asides.any_due, kinds=self._timers.kinds, host=self._ground.host, now=now, since=self._due_since - SLACK_S
        )
        written = await self._store.read(partial(_read_news, self._ground.host, self._mark, waiting, due))
        self._due_since = now
        self._mark = written.mark
        coming = math.inf if written.coming is None else written.coming
        if written.arrived or coming < self._coming:
            self._timers.hear()
        self._coming = coming
        if written.due:
            self._timers.hear_wake()
        self._holds.hear(written.on_hold)
        self._handover.hear(written.drain)
        for arrival in written.arrived:
            with self._mending.net(arrival.runtime_id):
                self._doubts.doubt(
                    arrival.runtime_id
                )  # what came in elsewhere may have taken the place of what waits here
                if arrival.waits:  # else its actor has it already, and would begin a run for nothing
                    self._takeovers.wake(arrival.runtime_id, steered=arrival.steers)
        self._doubts.publish(written.outcomes)
        for request in written.requests:
            with self._mending.net(request.runtime_id):
                self._requests.carry_out(request)
        self._news.arrive()

    def _rejoined(self, rejoined: Rejoined) -> None:
        # This host was judged dead. What another one took since is lost here; all else goes on under its old token.
        lost = [
            facts
            for facts in self._owned.all
            if not facts.is_destroyed  # no host owns it
            and rejoined.owned.get(facts.runtime_id) != facts.fence_token
        ]
        for facts in lost:
            self._owned.lose(facts, Closed(what=f"ownership of runtime {facts.runtime_id}"))
        self._log.rejoined(rejoined.host.incarnation, kept=len(self._owned), lost=len(lost))
        self._news.stir()
        self._tasks.start_soon(self._handover.rejoined)


def _end_sessions(statements: Statements, lapsed_hosts: list[OtherHost]) -> None:
    """End what hosts that have lapsed still have of a server: what they hold there would hold up the one that judges them."""
    for host in lapsed_hosts:
        statements.all("ownership.end_sessions", sessions=host.files)


def _give_back(known: tuple[OtherHost, ...], living: tuple[OtherHost, ...]) -> bool:
    """Whether a host drains, did at the look before, or has drained since: that may begin and end between two looks."""
    if any(each.drain == Drain.DRAINS for each in (*known, *living)):
        return True
    drained = {each.host for each in known if each.drain == Drain.DRAINED}
    return any(each.drain == Drain.DRAINED and each.host not in drained for each in living)


def _read_news(
    host: int, since: arrivals.Mark, waiting: list[TicketKey], due: Callable[[Statements], bool], statements: Statements
) -> Written:
    return Written(
        mark=arrivals.mark(statements),
        arrived=arrivals.arrived(statements, host, since),
        on_hold=on_hold(statements),
        requests=tuple(requests.waiting_for(statements, host)),
        outcomes=tuple(ended(statements, waiting)),
        coming=schedules.next_of_all(statements),
        due=due(statements),
        drain=find_drain(statements, host),
    )
