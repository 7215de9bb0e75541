"""Tasks of a host beside the body, and the end of the host that one of them may bring."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextvars import copy_context
from typing import final

import trio

from tenure.errors import Closed, StoreBroken
from tenure.persistence.model.texts import as_defect
from tenure.persistence.seams.nursery import is_for_others
from tenure.supervisor.operators.log import HostLog

Task = Callable[[], Awaitable[None]]
Heard = Callable[[BaseException], None]


@final
class Tasks:
    """Runs them in the nursery of the host.

    Attributes:
        body: Cancelled when the host ends under its body.
        drain: Of a normal exit; cancelled when the host ends meanwhile: what asked for that does not wait for other runs.
        failure: Why it has ended, or None.
        context: The context variables of `open_supervisor`'s caller.
        closed: Whether it takes and starts nothing more.
    """

    def __init__(self, nursery: trio.Nursery, log: HostLog) -> None:
        """No task yet."""
        self._nursery = nursery
        self._log = log
        self.context = copy_context()
        self.body = trio.CancelScope()
        self.drain = trio.CancelScope()
        self.failure: BaseException | None = None
        self.closed = False

    def start_soon(self, task: Task, defect: Heard | None = None) -> None:
        """Run a task beside the body. What it raises ends the host, or is heard by `defect`, where the task has one.

        A host that was closed starts nothing: a commit on its way may still land. The task has the context variables of
        `open_supervisor`'s caller, also where the loop itself starts it, which has none of them.
        """
        if not self.closed:
            self.context.run(self._nursery.start_soon, self.guard, task, defect)

    async def guard(self, task: Task, defect: Heard | None = None) -> None:
        """Run a task of ours; an error that it does not handle ends the host with one typed error.

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
            if defect is None:
                self.end_with(as_defect(exc))
            else:
                defect(exc)

    def end_with(self, error: BaseException) -> None:
        """End under the body, or while it drains: cancel that; the first error is what `open_supervisor` raises."""
        if self.failure is None:
            self.failure = error
            self.body.cancel()
            self.drain.cancel()
            if isinstance(error, Exception):  # else the program ends, as a behaviour asked for
                self._log.ended(error)
