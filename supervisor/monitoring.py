"""The verbs of a supervisor by which a host is monitored: numbers, health, metrics, hooks."""

from __future__ import annotations

import os

import trio

from tenure.persistence.model.numbers import check_count
from tenure.persistence.seams.hooks import Carry, Hook
from tenure.persistence.store import Store, ground_of

from .host import Host
from .metrics import Measuring, Metrics
from .operators.health import MIN_FREE_BYTES, Health, judge, of_a_child
from .runs.behaviour import Behaviours
from .serving.verb import QueueVerbs
from .statistics import SupervisorStatistics, statistics_of


class Monitoring(QueueVerbs):
    """A supervisor, as far as it is monitored.

    Attributes:
        store: The store beneath.
    """

    def __init__(self, store: Store, behaviours: Behaviours, nursery: trio.Nursery) -> None:
        """Own nothing yet; tasks will run in `nursery`."""
        self._host = Host(store, behaviours, nursery)
        super().__init__(store, behaviours.all_offers, self._host.log, self._host.shift)
        self._measuring = Measuring(self._host)
        self._pid = os.getpid()

    def statistics(self) -> SupervisorStatistics:
        """What this host is doing now, and what has happened since it was opened."""
        host = self._host
        return statistics_of(host.owned, self.store.statistics(), host.log, host.step_threads)

    def health(self, *, min_free_bytes: int = MIN_FREE_BYTES) -> Health:
        """How this host does; see `Health`. From any thread; it waits for nothing. In a forked child it is not live.

        Args:
            min_free_bytes: Fewer free bytes than this on the disk of the store are a problem. Raises `InvalidInput` below 1.
        """
        check_count(min_free_bytes, "min_free_bytes")
        if os.getpid() != self._pid:
            return of_a_child()  # before anything is looked at: a thread that the child does not have may hold a lock
        return judge(self._host.vitals(), self.store.limits, min_free_bytes)

    def metrics(self) -> Metrics:
        """The metrics of this host, always the same object. From any thread; it waits for nothing.

        The host measures from the first call on: ask for them where it is opened. See docs/metrics.md.

        Raises:
            Closed: The host was closed before the first call.
        """
        return self._measuring.metrics()

    def add_hook(self, hook: Hook, *, carry: Carry | None = None) -> None:
        """Have a function called with each `Happening` of this host from now on, at once, on its loop. From any thread.

        Every accept, run, step and group waits for it: it must be quick, and may not block. What it raises is written to the
        log, once for each text, and changes nothing.

        Args:
            hook: Takes a happening.
            carry: Asked for the ``traceparent`` that each new input of an accept, a send or an ask carries: of the verb, the
                runtime, its kind and the one that the caller gave; for libraries that trace. The last one is asked.

        Raises:
            InvalidInput: The hook cannot be called.
        """
        ground_of(self.store).hooks.add(hook, carry)

    def remove_hook(self, hook: Hook) -> None:
        """Call a function no longer; nothing for one that was not added. From any thread."""
        ground_of(self.store).hooks.remove(hook)
