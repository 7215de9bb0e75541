"""Delayed inputs: what is due comes into its inbox, and its runtime hears of it (design §21)."""

from __future__ import annotations

from functools import partial
from typing import final

from tenure.persistence.commits.commit import Commit
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.inbox.delays import PAGE, DueQueued, QueueDue, find_due, find_next
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.store import Store, ground_of
from tenure.supervisor.accepting.publishing import Publishing
from tenure.supervisor.hosting.mending import Mending
from tenure.supervisor.hosting.takeovers import Takeovers

from .looking import wait_until


@final
class Delays:
    """Queues what is due, of the runtimes of this host and of those that none owns."""

    def __init__(self, store: Store, takeovers: Takeovers, publishing: Publishing, mending: Mending) -> None:
        """Nothing is due yet."""
        self._store = store
        self._takeovers = takeovers
        self._publishing = publishing
        self._mending = mending

    async def look(self) -> float:
        """Queue what is due now; seconds until the next look."""
        now = self._store.seams.wall_clock()
        left, after = False, ""
        while True:
            read = partial(_read, ground_of(self._store).host, now, after)
            due, coming = await self._store.read(read)
            for runtime_id in due:
                left = True
                with self._mending.net(runtime_id):  # gone, another host's, or damaged: those of others go on
                    await self._queue(runtime_id)
            if len(due) < PAGE:
                return wait_until(coming, now, left=left)
            after = due[-1]

    async def _queue(self, runtime_id: LogicalRuntimeId) -> None:
        change, full = QueueDue(runtime_id=runtime_id), True
        while full:
            queued: DueQueued = (await self._store.commit(Commit(changes=(change,)))).values[0]
            full = len(queued.input_ids) >= PAGE
            for replaced in queued.replaced:
                self._publishing.replaced(runtime_id, replaced.input_ids, replaced.phase)
            if queued.input_ids:
                self._takeovers.wake(runtime_id, steered=queued.steers)


def _read(host: int, now: float, after: str, statements: Statements) -> tuple[list[LogicalRuntimeId], float | None]:
    return find_due(statements, host, now, after), find_next(statements, now)
