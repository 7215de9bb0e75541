"""Whether a host can do its work now, and what keeps it from that (design §26): one pure judgement of what the host knows.

Two questions of those who run processes: is it *live*, or does only a new process help; and is it *ready*, or should work
go elsewhere for now. Nothing here waits, asks the loop or writes: the answer comes from any thread, also while the loop
stands still, which is the case in which it is needed.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, final

from attrs import frozen

from tenure.persistence.model.numbers import shown
from tenure.persistence.seams.limits import Limits

MIN_FREE_BYTES: Final = 256 * 1024 * 1024
"""So many bytes must be free on the disk of the store, unless another number is given."""

LOOP_BLOCKED_S: Final = 1.0
"""A loop that is late by less is busy, and not blocked."""

NO_THREAD_S: Final = 5.0
"""Steps that wait are a problem where no thread has begun another one for so long."""


class HealthReason(StrEnum):
    """What is wrong with a host."""

    STOPPED = "store stopped"
    """The store has stopped, or the supervisor has failed or is closed."""

    LOOP_BLOCKED = "loop blocked"
    """Code of a behaviour, or of another task, keeps the loop from running."""

    WRITER_STUCK = "writer stuck"
    """The disk has not answered for `Limits.renew_s` seconds."""

    LEASE_LAPSED = "lease lapsed"
    """Nothing was renewed for one lease: another host may have taken what this one owns."""

    DISK_NEARLY_FULL = "disk nearly full"
    """Fewer bytes are free than were asked for."""

    LOG_HELD = "log held"
    """A reader, of this process or another, keeps the log of the store from being begun anew: it grows."""

    THREADS_TAKEN = "threads taken"
    """Sync steps wait and none gets a thread."""


@final
@frozen(kw_only=True, slots=True)
class HealthProblem:
    """One thing that is wrong.

    Attributes:
        reason: What it is; for programs.
        detail: More about it, for people.
    """

    reason: HealthReason
    detail: str


@final
@frozen(kw_only=True, slots=True)
class Health:
    """How a host does.

    *Live* is a host that has not stopped and whose loop has not stood still for a lease. *Ready* is one with which nothing is
    wrong. A full disk, say, is not mended by a new process: the host is live, and not ready.

    Attributes:
        live: Whether it may get well by itself. If not, its process should be ended and another one begun.
        ready: Whether it does its work without delay.
        problems: What is wrong, worst first; empty where it is ready.
    """

    live: bool
    ready: bool
    problems: tuple[HealthProblem, ...]


@final
@frozen(kw_only=True, slots=True)
class Vitals:
    """What a host knows about itself.

    Attributes:
        stopped: Why it has stopped, or None.
        loop_late_s: Seconds by which its loop is late.
        loop_place: Where the loop stands, or empty.
        writing_s: Seconds for which the group on its way has been with the disk; 0 where there is none.
        lease_lapsed: Whether another host may have judged it lapsed.
        free_bytes: What is free on the disk of the store; None where that is not known.
        log_held: Whether a reader keeps the log from being begun anew.
        log_pages: How long the log is.
        waiting_steps: Sync steps that wait for a thread.
        youngest_step_s: For how long the youngest of those has run that hold a thread; None where none does.
        longest_step: The one that has run longest, for people.
        given_up: Steps that were given up and hold a thread.
    """

    stopped: str | None
    loop_late_s: float
    loop_place: str
    writing_s: float
    lease_lapsed: bool
    free_bytes: int | None
    log_held: bool
    log_pages: int
    waiting_steps: int
    youngest_step_s: float | None
    longest_step: str
    given_up: int


def of_a_child() -> Health:
    """That of a process that was forked from one with an open host: it has none of its threads."""
    detail = "this process was forked from the one of the host, and has none of its threads: open one here"
    return Health(live=False, ready=False, problems=(HealthProblem(reason=HealthReason.STOPPED, detail=detail),))


def judge(vitals: Vitals, limits: Limits, min_free_bytes: int) -> Health:
    """What the vitals of a host mean."""
    problems: list[HealthProblem] = []

    def wrong(reason: HealthReason, detail: str) -> None:
        problems.append(HealthProblem(reason=reason, detail=detail))

    if vitals.stopped is not None:
        wrong(HealthReason.STOPPED, vitals.stopped)
    if vitals.loop_late_s >= LOOP_BLOCKED_S:
        place = f" in {vitals.loop_place}" if vitals.loop_place else ""
        wrong(HealthReason.LOOP_BLOCKED, f"the loop has stood still for {vitals.loop_late_s:.1f} s{place}")
    if vitals.writing_s >= limits.renew_s:
        wrong(HealthReason.WRITER_STUCK, f"a group has been with the disk for {vitals.writing_s:.1f} s")
    if vitals.lease_lapsed:
        wrong(HealthReason.LEASE_LAPSED, f"nothing was renewed for {limits.lease_s:g} s")
    if vitals.free_bytes is not None and vitals.free_bytes < min_free_bytes:
        wrong(
            HealthReason.DISK_NEARLY_FULL, f"{vitals.free_bytes} bytes are free, and {shown(min_free_bytes)} should be"
        )
    if vitals.log_held:
        wrong(HealthReason.LOG_HELD, f"a reader holds the log, which has grown to {vitals.log_pages} pages")
    if vitals.given_up >= limits.given_up:
        wrong(HealthReason.THREADS_TAKEN, f"{vitals.given_up} steps that were given up hold threads: no step begins")
    elif vitals.waiting_steps and vitals.youngest_step_s is not None and vitals.youngest_step_s >= NO_THREAD_S:
        wait = f"{vitals.waiting_steps} steps have waited for a thread for {vitals.youngest_step_s:.1f} s or less"
        wrong(HealthReason.THREADS_TAKEN, f"{wait}; longest of all runs {vitals.longest_step}")
    live = vitals.stopped is None and vitals.loop_late_s < limits.lease_s
    return Health(live=live, ready=not problems, problems=tuple(problems))
