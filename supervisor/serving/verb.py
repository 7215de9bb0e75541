"""The verb of a supervisor that serves queued work."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

import trio

from tenure.persistence.model.values import SessionId
from tenure.persistence.store import Store
from tenure.supervisor.operators.log import HostLog
from tenure.supervisor.operators.reads import StoreReads
from tenure.supervisor.operators.unowned import Offers
from tenure.supervisor.runs.recording.restart import RestartPolicy

from .service import QueueService
from .shift import Shift
from .terms import QueuedWork, checked_terms


class QueueVerbs(StoreReads):
    """What a supervisor does for queued work."""

    def __init__(self, store: Store, offers: Offers, log: HostLog, shift: Shift) -> None:
        """Serve from this store, and log there."""
        super().__init__(store, offers)
        self._log = log
        self._shift = shift

    async def serve_queue(
        self,
        sessions: str | Sequence[SessionId | str],
        handler: Callable[[QueuedWork], Awaitable[object]],
        *,
        concurrency: int = 8,
        rate: tuple[int, float] | None = None,
        per_session: int = 1,
        max_batches: int = 64,
        restart: RestartPolicy | None = None,
        drain_s: float = 0.0,
        task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED,
    ) -> None:
        """Carry out queued work, until cancelled: start it in a nursery of the body, on as many hosts as you like.

            async def handle(work: tenure.QueuedWork) -> None:
                for batch in work.batches: ...

            async with trio.open_nursery() as nursery:
                nursery.start_soon(supervisor.serve_queue, "mail/", handle)

        The session whose first batch has waited longest goes first. Within a session the order is that of the queue, over all
        hosts: with ``per_session=1`` nothing of it begins before what stands ahead is done, or dead. The claim renews itself
        while the handler runs, and what a host held that has died is claimed again at once. So a handler may be called again
        for work that it has begun, and for none that was completed.

        A handler that returns has done its batches. One that commits a turn with ``work.claim.completion()`` in it has done
        them with that turn, all or nothing. One that raises has failed an attempt: its batches keep their place and are tried
        again as `restart` says, each alone, and after the last attempt they are dead. Dead work holds up no other; it is
        listed by `store.queue.list_failed_queued_work` and by ``tenure queue``, goes on by
        `store.queue.retry_queued_work_batch`, and goes away by `store.queue.cancel_queued_work_batch`. A batch over which
        workers died `RestartPolicy.max_crashes` times is dead too.

        Args:
            sessions: A text that the ids of the sessions begin with, ``""`` for all; or a list of ids.
            handler: An async function, called with one `QueuedWork` at a time, often at once.
            concurrency: Most calls of the handler at once in this host.
            rate: Most calls that begin in a time, over all hosts and across restarts: ``(100, 60.0)`` for a hundred a minute,
                failed attempts included. It is stored for this very text, or list, and who began last has set it; at most
                10,000 in at most 366 days. It goes by the wall clock.
            per_session: Most claims of one session at once, over all hosts that serve it.
            max_batches: Most batches that join in one call; 512 at the most.
            restart: What follows a failure; None for the defaults. ``budget`` and ``period_s`` are for runtimes, and not asked.
            drain_s: Seconds that a cancelled call lets handlers run on that have begun, before they are cancelled.
            task_status: For ``nursery.start``.

        Raises:
            InvalidInput: An argument that makes no sense; nothing was served.
            StoreBroken: The store has stopped; what was in work is claimed by the next host.
            Closed: The store was shut down.
            SystemExit, KeyboardInterrupt: The handler raised it; the former counts as a failed attempt.

        Cancellation: nothing more is claimed. After `drain_s` the handlers are cancelled; what they had is given back, and the
        attempt does not count. A handler whose claim was taken over, since this host stood still for a lease, is cancelled.
        While the host drains nothing is claimed either; see `drain`.
        """
        terms = checked_terms(
            sessions=sessions,
            handler=handler,
            concurrency=concurrency,
            rate=rate,
            per_session=per_session,
            max_batches=max_batches,
            restart=RestartPolicy() if restart is None else restart,
            drain_s=drain_s,
        )
        await QueueService(self.store, terms, self._log, self._shift).run(task_status)
