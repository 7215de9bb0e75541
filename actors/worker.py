"""The worker of a runtime: the one task that executes its runs.

A behaviour that is cancelled may clean up under a shield, as long as it likes. Its worker lives until that has ended, and
no other starts for the runtime before: also where it was lost meanwhile and came back to another actor of this host.

A task whose work has ended well waits on a bench for more of it, so that a runtime that is always at work does not need a new
task for each input: a task and its scope are 120 calls. The bench has an end; who has waited longest leaves it first.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from contextvars import Context
from functools import partial
from typing import Final, final

import trio

from .watched import Watched

Work = Callable[[], Awaitable[None]]
StartSoon = Callable[[Callable[[], Awaitable[None]]], None]

LINGERS: Final = "the last run has not ended"
"""What blocks a runtime whose behaviour is not done with its clean-up."""

LINGERS_S: Final = 30.0
"""Seconds of clean-up after which a line of the log says so."""

MOST_WAITING: Final = 1_024
"""Tasks of one host that may wait for work, at some 3 KB each."""


@final
class Bench:
    """The tasks of one host that wait for work.

    Attributes:
        context: The context variables that each run begins with.
    """

    def __init__(self, context: Context, most: int = MOST_WAITING) -> None:
        """None waits."""
        self.context = context
        self._most = most
        self._waiting: OrderedDict[Worker, trio.lowlevel.Task | None] = OrderedDict()

    async def wait(self, worker: Worker) -> None:
        """Say that the work of this worker has ended, and wait until its task is called, or must leave."""
        self._waiting[worker] = None
        worker.ended()
        if worker not in self._waiting:  # there was more to do at once
            await trio.lowlevel.cancel_shielded_checkpoint()  # from the next step on it has its fresh context
            return

        def abort(_: object) -> trio.lowlevel.Abort:
            self._waiting.pop(worker, None)
            return trio.lowlevel.Abort.SUCCEEDED

        self._waiting[worker] = trio.lowlevel.current_task()
        if len(self._waiting) > self._most:
            next(iter(self._waiting)).let_go()
        await trio.lowlevel.wait_task_rescheduled(abort)

    def call(self, worker: Worker) -> bool:
        """Let the task of a worker go on; whether it waited."""
        if worker not in self._waiting:
            return False
        task = self._waiting[worker]
        del self._waiting[worker]
        if task is not None:
            trio.lowlevel.reschedule(task)
        return True


@final
class Worker:
    """At most one task at a time.

    Attributes:
        busy: Whether its task is at work; a stopped one counts until it has ended.
        ended: Called when the work has ended. Belongs to the actor that owns the runtime now.
        lingers: Called when stopped work has not ended after `LINGERS_S`. Belongs to that actor too.
    """

    __slots__ = (
        "__weakref__",
        "_bench",
        "_ended",
        "_scope",
        "_start_soon",
        "_stopped",
        "_work",
        "busy",
        "ended",
        "lingers",
    )

    def __init__(self, start_soon: StartSoon, bench: Bench) -> None:
        """No task yet; `start_soon` will start it, and it waits on the bench."""
        self.busy = Watched(False)
        self.ended: Callable[[], None] = _nothing
        self.lingers: Callable[[], None] = _nothing
        self._start_soon = start_soon
        self._bench = bench
        self._work: Work | None = None
        self._scope: trio.CancelScope | None = None
        self._stopped = False  # as its scope says, which reads a clock for that each time
        self._ended: trio.Event | None = None

    @property
    def stopped(self) -> bool:
        """Whether the work was stopped."""
        return self._stopped

    def start(self, work: Work) -> None:
        """Begin some work; there is none."""
        self.busy.value = True
        self._work = work
        if not self._bench.call(self):
            self._scope, self._stopped = trio.CancelScope(), False
            self._start_soon(partial(self._run, self._scope, work))

    def stop(self) -> None:
        """Cancel the work, if there is any, and let the task end. Does not wait."""
        if not self.busy.value:
            self.let_go()
        elif self._scope is not None and not self._stopped:
            self._stopped = True
            self._scope.cancel()
            self._ended = trio.Event()
            self._start_soon(partial(self._watch, self._ended))

    def let_go(self) -> None:
        """Let the task end that waits for work, if one does."""
        self._scope = None
        self._bench.call(self)

    def refresh(self) -> None:
        """A run has ended: what it has set in its context is gone from the next step of this task on."""
        trio.lowlevel.current_task().context = self._bench.context.copy()

    async def _run(self, scope: trio.CancelScope, work: Work) -> None:
        try:
            with scope:
                while not self._stopped:  # it may have been stopped before it had its turn
                    await work()
                    if self._stopped:
                        break
                    self.busy.value, self._work = False, None
                    await self._bench.wait(self)
                    if self._scope is not scope or self._work is None:
                        return  # let go of: later work has another task
                    work = self._work
        except BaseException:  # the host ends
            self._over()
            raise
        self._over()
        self.ended()

    def _over(self) -> None:
        self._scope, self._stopped, self.busy.value = None, False, False
        if self._ended is not None:
            self._ended.set()

    async def _watch(self, ended: trio.Event) -> None:
        with trio.move_on_after(LINGERS_S):
            await ended.wait()
        if not ended.is_set():
            self.lingers()


def _nothing() -> None:
    """Nothing listens."""
