"""The metrics of a host: what it has measured, what it is doing, how it does, and what is stored (design §26)."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any, Final, final

import trio

from tenure.errors import Closed, Error, StoreBroken
from tenure.persistence.engines.engine import StoredBytes
from tenure.persistence.reading.patience import NOT_NOW
from tenure.persistence.store import ground_of
from tenure.persistence.upkeep.numbers import StoreNumbers, read_numbers

from .host import Host
from .operators.exposition import exposition
from .operators.health import MIN_FREE_BYTES, HealthReason, judge
from .operators.measures import Family, Labels, Measures

READ_S: Final = 15.0
"""Seconds between two reads of what is stored; longer where a read takes long."""

READ_SHARE: Final = 20
"""A read takes at most one of so many parts of the time: the walk over a million inputs may not occupy a reader."""


@final
class Metrics:
    """What a host can say in numbers. Made by the first `Supervisor.metrics`, from which on the host measures."""

    def __init__(self, host: Host) -> None:
        """Measure from now on."""
        self._host = host
        self._measures = Measures()
        self._numbers: StoreNumbers | None = None
        self._read_at = time.monotonic()
        ground_of(host.store).hooks.add(self._measures)

    def read(self) -> tuple[Family, ...]:
        """All of them, as they are now; waits for nothing, and may be called from any thread.

        What is stored was read up to 15 s ago, in a large store up to twenty times as long ago as that read took. Before the
        first one it is not among them, and the age of that read is the time for which the host has measured.
        """
        return (*self._measures.read(), *_of_writer(self._host), *_of_host(self._host), *self._of_store())

    def text(self) -> str:
        """The same in the exposition format of Prometheus, to be sent as ``text/plain; version=0.0.4; charset=utf-8``."""
        return exposition(self.read())

    async def keep_reading(self) -> None:
        """Read what is stored again and again; a task of the host."""
        while True:
            began = trio.current_time()
            try:
                self._numbers = await self._host.store.read(read_numbers)
            except (StoreBroken, Closed):
                return
            except NOT_NOW:
                pass  # the next one goes on; the age of the last one says since when
            except Error as exc:
                self._host.log.look_failed(exc)
            else:
                self._read_at = time.monotonic()
            await trio.sleep(max(READ_S, READ_SHARE * (trio.current_time() - began)))

    def _of_store(self) -> Iterator[Family]:
        ground = ground_of(self._host.store)
        yield from _of_files(ground.stored_bytes(), ground.free_bytes())
        if self._numbers is not None:
            yield from _of_numbers(self._numbers, self._host.store.seams.wall_clock())
        age = "Time since what is stored was read for these metrics."
        yield _gauge("tenure_store_read_age_seconds", age, time.monotonic() - self._read_at)


def _gauge(name: str, text: str, value: float) -> Family:
    """A number without labels."""
    return Family(name=name, kind="gauge", text=text, values={(): value})


def _counter(name: str, text: str, value: float) -> Family:
    """A number that only rises, without labels."""
    return Family(name=name, kind="counter", text=text, values={(): value})


def _of_files(stored: StoredBytes | None, free_bytes: int | None) -> Iterator[Family]:
    """How large a store is; nothing where that is not known."""
    if stored is not None:
        yield _gauge("tenure_store_bytes", "Size of the database.", stored.database)
        yield _gauge("tenure_log_bytes", "Size of its log.", stored.log)
    if free_bytes is not None:
        yield _gauge("tenure_free_bytes", "Bytes free on the disk of the store.", free_bytes)


def _of_numbers(numbers: StoreNumbers, now: float) -> Iterator[Family]:
    """What waits in a store, for whichever host."""
    yield _gauge("tenure_inbox_inputs", "Unfinished inputs in the whole store.", numbers.inputs)
    age = 0.0 if numbers.oldest_at is None else max(now - numbers.oldest_at, 0.0)
    yield _gauge("tenure_inbox_oldest_age_seconds", "Age of the oldest of them.", age)
    yield _gauge("tenure_hosts", "Hosts that are written as open.", numbers.hosts)
    if numbers.held is not None:
        text = "Runtimes of the whole store that are held."
        yield _by("tenure_store_held_runtimes", text, ("kind", "reason"), numbers.held)


def _of_writer(host: Host) -> Iterator[Family]:
    writer = host.store.statistics()
    yield _counter("tenure_commits_total", "Commits that landed.", writer.commits)
    yield _counter("tenure_groups_total", "Groups they shared.", writer.groups)
    yield _gauge("tenure_waiting_commits", "Commits that wait for the writer.", writer.waiting)
    yield _gauge("tenure_waiting_for_room", "Calls that wait until fewer commits wait.", writer.waiting_for_room)
    yield _gauge("tenure_writing_seconds", "Time the group on its way has been with the disk.", writer.writing_s)
    yield _gauge("tenure_lease_age_seconds", "Time since the lease was renewed.", ground_of(host.store).lease_age_s())


def _of_host(host: Host) -> Iterator[Family]:
    owned, log = host.owned.in_use, host.log
    by_kind = host.owned.by_kind
    yield _by(
        "tenure_runtimes", "Runtimes that this host owns.", ("kind",), {(each,): by_kind[each] for each in by_kind}
    )
    running = Counter(facts.kind for facts in owned if facts.run_id is not None)
    yield _by("tenure_running", "Runs that execute.", ("kind",), {(each,): running[each] for each in by_kind})
    held = Counter((facts.kind, facts.why_held) for facts in owned if facts.why_held is not None)
    reasons = {(kind, str(reason)): count for (kind, reason), count in held.items()}
    yield _by("tenure_held", "Runtimes that are held or blocked now.", ("kind", "reason"), reasons)
    yield _counter("tenure_refused_sends_total", "Sends that their target could not take.", log.refused_sends)
    yield _counter("tenure_failed_takeovers_total", "Takeovers that failed.", log.failed_takeovers)
    yield _counter("tenure_lost_hosts_total", "Other hosts that were judged dead or lapsed.", log.lost_hosts)
    yield _counter("tenure_failed_work_total", "Attempts at queued work that failed.", log.failed_work)
    yield _counter("tenure_defects_total", "Mistakes of the library itself.", log.defects)
    threads = host.step_threads.threads()
    yield _gauge("tenure_step_threads", "Sync steps that hold a thread.", len(threads))
    given_up = sum(each.given_up for each in threads)
    yield _gauge("tenure_given_up_steps", "Those of them that were given up.", given_up)
    yield _gauge("tenure_waiting_steps", "Sync steps that wait for a thread.", host.step_threads.waiting)
    health = judge(host.vitals(), host.store.limits, MIN_FREE_BYTES)
    yield _gauge("tenure_live", "1 where the host is live.", int(health.live))
    yield _gauge("tenure_ready", "1 where it is ready.", int(health.ready))
    wrong = {str(each.reason) for each in health.problems}
    problems = {(str(reason),): float(str(reason) in wrong) for reason in HealthReason}
    yield _by("tenure_health_problem", "1 where this is wrong with the host.", ("reason",), problems)


def _by(name: str, text: str, labels: Labels, values: Mapping[Any, float]) -> Family:
    return Family(name=name, kind="gauge", text=text, labels=labels, values=dict(values))


@final
class Measuring:
    """Makes the metrics of one host when they are first asked for; from any thread."""

    def __init__(self, host: Host) -> None:
        """Nothing is measured."""
        self._host = host
        self._metrics: Metrics | None = None
        self._lock = threading.Lock()

    def metrics(self) -> Metrics:
        """The one object. Raises `Closed` where the host is closed before the first call."""
        with self._lock:
            if self._metrics is None:
                if self._host.tasks.closed:
                    raise Closed(what="supervisor")
                self._metrics = Metrics(self._host)
                try:
                    self._host.flushing.token.run_sync_soon(self._host.tasks.start_soon, self._metrics.keep_reading)
                except trio.RunFinishedError:
                    raise Closed(what="supervisor") from None
            return self._metrics


def families_of_store(
    numbers: StoreNumbers, stored: StoredBytes | None, free_bytes: int | None, now: float
) -> tuple[Family, ...]:
    """The metrics of a store that is looked into from outside."""
    return (*_of_files(stored, free_bytes), *_of_numbers(numbers, now))
