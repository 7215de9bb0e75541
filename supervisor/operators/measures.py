"""Measures: what a host counts of its happenings; a hook (design §26).

A measure has a name in Prometheus' form, with its base unit, and the labels kind, outcome, reason and channel, never the id of
a runtime. Values are added on the loop of the host and read from any thread.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Mapping
from typing import Any, Final, final

from attrs import frozen

from tenure.persistence.model.events.happenings import (
    AcceptEnded,
    GroupLanded,
    Happening,
    InputDead,
    OutputLanded,
    RunEntered,
    RunExited,
    RunOutcome,
    RuntimeHeld,
    StepExited,
)
from tenure.persistence.model.values import AbandonReason

Labels = tuple[str, ...]

SECONDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
"""Upper bounds for what the disk does."""

LONG_SECONDS: Final = (0.001, 0.005, 0.025, 0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0, 7200.0, 86400.0)
"""Upper bounds for what behaviours do, which may wait for a person."""

COMMITS: Final = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 1024.0)

MOST_CHANNELS: Final = 100
"""Channels of output that have a label; behaviours name them, and the others share `OTHER`."""

OTHER: Final = "other"

UNASKED: Final = (AbandonReason.MAX_ATTEMPTS_EXHAUSTED, AbandonReason.REJECTED, AbandonReason.DEADLINE_EXCEEDED)
"""Why inputs are abandoned that no one asked to."""


@final
@frozen(kw_only=True, slots=True)
class Distribution:
    """Values of a histogram.

    Attributes:
        buckets: Each upper bound with how many values are at most that; the last bound is infinite.
        total: The sum of all values.
    """

    buckets: tuple[tuple[float, int], ...]
    total: float


@final
@frozen(kw_only=True, slots=True)
class Family:
    """One metric with all its labels.

    Attributes:
        name: Its name; that of a counter ends in ``_total``.
        kind: ``counter``, ``gauge`` or ``histogram``.
        text: What it is, for people.
        labels: The names of its labels.
        values: By the values of those labels.
    """

    name: str
    kind: str
    text: str
    labels: Labels = ()
    values: Mapping[Labels, float | Distribution]


@final
class _Counter:
    def __init__(self, name: str, text: str, *labels: str) -> None:
        self._shape = (name, text, labels)
        self._values: dict[Labels, float] = {}
        if not labels:
            self.begin()

    def begin(self, *labels: str) -> None:
        """Say 0 of these: what first appears at 1 has not risen, for Prometheus."""
        self._values[labels] = 0

    def add(self, *labels: str) -> None:
        self._values[labels] = self._values.get(labels, 0) + 1

    def read(self) -> Family:
        name, text, labels = self._shape
        return Family(name=name, kind="counter", text=text, labels=labels, values=dict(self._values.copy()))


@final
class _Histogram:
    def __init__(self, name: str, text: str, bounds: tuple[float, ...], *labels: str) -> None:
        self._shape = (name, text, labels)
        self._bounds = bounds
        self._counts: dict[Labels, list[int]] = {}
        self._totals: dict[Labels, float] = {}
        if not labels:
            self._counts[()] = [0] * (len(bounds) + 1)

    def observe(self, value: float, *labels: str) -> None:
        counts = self._counts.get(labels)
        if counts is None:
            counts = self._counts[labels] = [0] * (len(self._bounds) + 1)
        counts[bisect_left(self._bounds, value)] += 1
        self._totals[labels] = self._totals.get(labels, 0.0) + value

    def read(self) -> Family:
        name, text, labels = self._shape
        values: dict[Labels, float | Distribution] = {}
        for key, counts in self._counts.copy().items():
            below, buckets = 0, list[tuple[float, int]]()
            for bound, count in zip((*self._bounds, float("inf")), tuple(counts), strict=True):
                below += count
                buckets.append((bound, below))
            values[key] = Distribution(buckets=tuple(buckets), total=self._totals.get(key, 0.0))
        return Family(name=name, kind="histogram", text=text, labels=labels, values=values)


@final
class Measures:
    """Counts happenings; add it to the hooks of a host."""

    def __init__(self) -> None:
        """Nothing has happened yet."""
        self._group = _Histogram("tenure_group_seconds", "Time a group of commits is with the disk.", SECONDS)
        self._size = _Histogram("tenure_group_commits", "Commits that landed in one group.", COMMITS)
        self._sync = _Histogram("tenure_fsync_seconds", "Time of the COMMIT of a group, with its fsync.", SECONDS)
        self._accept = _Histogram("tenure_accept_seconds", "Time of one accept.", SECONDS, "kind", "outcome")
        self._refused = _Counter("tenure_refused_accepts_total", "Accepts that raised, by error.", "kind", "reason")
        wait = "Time an input waited in its inbox before its first run."
        self._wait = _Histogram("tenure_inbox_wait_seconds", wait, LONG_SECONDS, "kind")
        self._run = _Histogram("tenure_run_seconds", "Time of one execution of a run.", LONG_SECONDS, "kind", "outcome")
        self._again = _Counter("tenure_run_restarts_total", "Failed runs that are tried again.", "kind")
        step = "Time of one attempt of a step."
        self._step = _Histogram("tenure_step_seconds", step, LONG_SECONDS, "kind", "outcome")
        self._held = _Counter("tenure_holds_total", "Times that a runtime was held or blocked.", "kind", "reason")
        self._dead = _Counter("tenure_dead_letters_total", "Inputs abandoned unasked.", "reason")
        for reason in UNASKED:
            self._dead.begin(str(reason))
        self._said = _Counter("tenure_output_entries_total", "Entries of output on disk.", "channel")
        self._lag = _Histogram(
            "tenure_output_lag_seconds", "Time from emit to disk, of the oldest in a write.", SECONDS
        )
        self._channels: set[str] = set()
        self._hear: Mapping[type[Happening], Callable[[Any], None]] = {
            GroupLanded: self._group_landed,
            AcceptEnded: self._accept_ended,
            RunEntered: self._run_entered,
            RunExited: self._run_exited,
            StepExited: lambda each: self._step.observe(each.seconds, each.kind, str(each.outcome)),
            RuntimeHeld: lambda each: self._held.add(each.kind, each.reason),
            InputDead: lambda each: self._dead.add(each.reason),
            OutputLanded: self._output_landed,
        }

    def __call__(self, happening: Happening) -> None:
        """Count one."""
        hear = self._hear.get(type(happening))
        if hear is not None:
            hear(happening)

    def read(self) -> tuple[Family, ...]:
        """Everything that was counted. From any thread."""
        histograms = self._group, self._size, self._sync, self._accept, self._wait, self._run, self._step, self._lag
        counters = self._refused, self._again, self._held, self._dead, self._said
        return (*[each.read() for each in histograms], *[each.read() for each in counters])

    def _group_landed(self, happening: GroupLanded) -> None:
        self._group.observe(happening.seconds)
        self._size.observe(happening.commits)
        self._sync.observe(happening.sync_s)

    def _accept_ended(self, happening: AcceptEnded) -> None:
        self._accept.observe(happening.seconds, happening.kind, str(happening.outcome))
        if happening.reason:
            self._refused.add(happening.kind, happening.reason)

    def _run_entered(self, happening: RunEntered) -> None:
        for seconds in happening.waited_s:
            self._wait.observe(seconds, happening.kind)

    def _run_exited(self, happening: RunExited) -> None:
        self._run.observe(happening.seconds, happening.kind, str(happening.outcome))
        if happening.outcome is RunOutcome.RETRIED:
            self._again.add(happening.kind)

    def _output_landed(self, happening: OutputLanded) -> None:
        self._lag.observe(happening.lag_s)
        for channel in happening.channels:
            if channel not in self._channels and len(self._channels) < MOST_CHANNELS:
                self._channels.add(channel)
            self._said.add(channel if channel in self._channels else OTHER)
