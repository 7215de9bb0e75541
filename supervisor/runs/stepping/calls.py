"""The call of a step's function: on a lease that is good, in a thread or beside the run, within its bound, with a voice.

A sync function runs in a thread of the host's executor, and may find when it gets one that it is too late to begin. An async
one runs where its run does; one that has a bound in a task apart (`bounded`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from inspect import isawaitable
from typing import Any, final

import trio

from tenure.errors import RunEnded
from tenure.persistence.facets.ownership.ownership import RenewLease
from tenure.persistence.seams.executors import Executor
from tenure.persistence.seams.nursery import contained
from tenure.persistence.seams.step_threads import StepThreads, StepWork
from tenure.persistence.writing.ground import Ground
from tenure.supervisor.output.saying import VOICE, Voice
from tenure.supervisor.runs.recording.entering import Entering
from tenure.supervisor.runs.recording.flight import Flight
from tenure.supervisor.runs.resting.staying import stay

from .bounded import Begins, BoundedCall, is_async, leave_behind, until_over

Function = Callable[..., Awaitable[Any] | Any]


@final
class Calls:
    """Calls the functions of steps, of every run of a host.

    Attributes:
        hooks: Hear of each step that executes.
    """

    def __init__(self, executor: Executor, ground: Ground) -> None:
        """Bind to the threads of sync steps, and to the lease under which a step may begin."""
        self.hooks = ground.hooks
        self._executor = executor
        self._lease_lapsed = ground.lease_lapsed

    async def call(
        self,
        entering: Entering,
        flight: Flight,
        function: Function,
        scope: trio.CancelScope,
        timeout_s: float | None,
        grace_s: float,
    ) -> Any:
        """Call the function of a step, and return or raise what it does.

        Args:
            entering: Of its run.
            flight: Of the step.
            function: Takes no arguments any more; what a sync one returns to be awaited is part of the step.
            scope: Gets the deadline where the function begins.
            timeout_s: How long it may take from then on; None for ever.
            grace_s: How long one that is async and ignores its cancellation is waited for.

        Raises:
            RunEnded: The run was dropped before the function began.
        """
        while True:
            await entering.occupancy.hold()
            await self._hold_lease(entering, flight)
            if not entering.actor.executes(entering.run_id):
                raise RunEnded(run_id=entering.run_id)
            if timeout_s is not None:
                scope.relative_deadline = timeout_s
            entering.executing += 1
            entering.executed += 1
            flight.voice = Voice(entering.saying, flight.place)
            voice = VOICE.set(flight.voice)
            begins: Begins | None = None
            try:
                if is_async(function):
                    return await self._call_async(entering, flight, function, timeout_s, grace_s)
                begins = Begins(flight, function, partial(self._may_begin, entering))
                work = _work(entering, flight, begins)
                if timeout_s is not None:
                    flight.over = partial(until_over, self._executor, work)
                flight.awaits_thread = True
                started, given = await self._executor.run(work)
                if started and isawaitable(given):
                    return await self._wait_for(entering, flight, given, timeout_s, grace_s)
                if started:
                    return given
            finally:
                if begins is not None:
                    begins.left = True
                    flight.awaits_thread = False
                flight.voice.open = False
                if entering.saying.speech is not None:
                    flight.voice.close()
                VOICE.reset(voice)
                entering.executing -= 1

    async def _call_async(
        self, entering: Entering, flight: Flight, function: Function, timeout_s: float | None, grace_s: float
    ) -> Any:
        if timeout_s is None:
            flight.begun = True
            return await contained(function)
        if isinstance(self._executor, StepThreads):
            self._executor.check_room()
        call, work = BoundedCall(function), _work(entering, flight, function)
        flight.begun, flight.over = True, call.over.wait
        return await call.wait(grace_s, partial(leave_behind, self._executor, work))

    async def _wait_for(
        self, entering: Entering, flight: Flight, given: Awaitable[Any], timeout_s: float | None, grace_s: float
    ) -> Any:
        """A sync function has returned what is to be awaited, as ``lambda: fetch(1)`` does: that is part of the step."""
        flight.awaits_thread = False
        return await self._call_async(entering, flight, lambda: given, timeout_s, grace_s)

    def _may_begin(self, entering: Entering) -> bool:
        # In the worker thread: the host may have slept, or the run may have been dropped, while this waited for one.
        return entering.actor.executes(entering.run_id) and not self._lease_lapsed()

    async def _hold_lease(self, entering: Entering, flight: Flight) -> None:
        """No step body starts on a lapsed lease (design §4): the token must be found good again first."""
        if not flight.dispatched:  # else it would be in doubt, and has not begun
            await stay(entering)
        while self._lease_lapsed():
            await entering.actor.channel.commit_in_turn(RenewLease())


def _work(entering: Entering, flight: Flight, function: Callable[[], Any]) -> StepWork[Any]:
    return StepWork(runtime_id=entering.runtime_id, run_id=entering.run_id, name=flight.asked.name, function=function)
