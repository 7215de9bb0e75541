"""A lone commit of a task on the loop: to the thread that writes at once, and answered in that very task.

Theory of operation. On its usual way such a commit waits for the writer's task to take it, a turn of the loop later; the thread
wakes a task of trio's, which answers; and the caller goes on a turn after that. Where the last group was of one commit, and
nothing else is on its way or waits, none is likely to come along in that turn. So such a commit takes the turn and goes to the
thread in the step of its caller, which the thread then wakes by itself (`executors.Bell`): one turn of the loop in place of
two and a half. What comes meanwhile waits for the writer's task as ever, which hears when the turn is given back.

Its caller is the one that gives the turn back. Where it cannot wait to the end, since it is cancelled or a signal strikes, a
task of the system does that in its place.
"""

from __future__ import annotations

from functools import partial
from typing import final

import trio

from tenure.persistence.commits.commit import CommitResult
from tenure.persistence.engines.housekeeping import Housekeeping
from tenure.persistence.seams.executors import Belled, Call, Executor
from tenure.persistence.writing.pending import CarriedOut, Pending, come_of

from .lone import Serving, answer, claimed
from .progress import Progress
from .turn import Turn


@final
class AtOnce:
    """Lets commits go by themselves, from their own tasks.

    Attributes:
        is_possible: Whether the executor has a bell. Without one none goes so.
    """

    def __init__(
        self,
        writer: Serving,
        executor: Executor,
        progress: Progress,
        turn: Turn,
        housekeeping: Housekeeping | None,
    ) -> None:
        """Bind it to the executor that the writer's groups go to."""
        self._writer = writer
        self._executor = executor if isinstance(executor, Belled) else None
        self._progress = progress
        self._turn = turn
        self._housekeeping = housekeeping
        self.is_possible = self._executor is not None

    async def commit(self, pending: Pending) -> CommitResult | None:
        """Carry a commit out as a group by itself. None, and nothing has happened, where it cannot go so.

        The caller has seen that nothing waits for the writer's task. Raises, and is cancelled, as `Pending.wait`.
        """
        executor, group = self._executor, 0
        claim = [pending]  # of who sees to its end: the thread that writes, or this task
        call = None if executor is None else executor.prepare(partial(self._carry_out, claim))
        if call is None:
            return None
        try:
            if not self._turn.take(pending):
                return None
            group = self._progress.group + 1
            pending.take()
            self._progress.begin([pending])
            call.go()
            self._arrived(group, pending, await call.wait())
        except BaseException as exc:  # of a signal too, which may strike anywhere here
            if self._let_go(group, pending, claim, call):
                raise
            if isinstance(exc, (trio.Cancelled, KeyboardInterrupt)):
                await pending.see_out(exc)
            elif not isinstance(exc, trio.ClosedResourceError):  # with which the wait ends where the store has stopped
                raise
        return pending.come()

    def interrupt(self) -> None:
        """The store has stopped, and each waiter has its answer: let the task that waits for the thread go on."""
        if self._executor is not None:
            self._executor.interrupt()

    def _carry_out(self, claim: list[Pending]) -> CarriedOut:
        pending = claimed(claim)
        return [] if pending is None else come_of(self._writer.carry_out, self._progress.group + 1, [pending.commit])

    def _let_go(self, group: int, pending: Pending, claim: list[Pending], call: Call[CarriedOut]) -> bool:
        """Its task does not wait any longer. Whether nothing has happened, and nothing will, and it has no answer."""
        if not self._turn.is_of(pending):  # it had none yet, or gave it back
            return pending.outcome is None
        never_begun = claimed(claim) is not None
        if never_begun:
            self._progress.end()
            self._give_back(pending)
        if call.is_sent and self._writer.broken is None:
            trio.lowlevel.spawn_system_task(self._wait_in_its_place, group, pending, call)
        return never_begun and pending.outcome is None  # else the store has stopped meanwhile

    async def _wait_in_its_place(self, group: int, pending: Pending, call: Call[CarriedOut]) -> None:
        with trio.CancelScope(shield=True):  # a task of the system may still wait for its store as the loop ends
            try:
                found = await call.wait()
            except trio.ClosedResourceError:
                return  # the store has stopped
            if self._turn.is_of(pending):
                self._arrived(group, pending, found)

    def _arrived(self, group: int, pending: Pending, found: CarriedOut) -> None:
        answer(self._writer, self._progress, group, pending, found)
        self._give_back(pending)

    def _give_back(self, pending: Pending) -> None:
        is_asked_for = self._turn.give_back(pending)
        housekeeping = self._housekeeping
        if is_asked_for or (housekeeping is not None and housekeeping.is_due):
            self._writer.wake()
