"""Numbers about a host."""

from __future__ import annotations

from typing import final

from attrs import frozen

from tenure.persistence.model.values import RuntimeState
from tenure.persistence.seams.step_threads import StepThread, StepThreads
from tenure.persistence.writing.statistics import WriterStatistics

from .hosting.owned import Owned
from .operators.log import HostLog


@final
@frozen(kw_only=True, slots=True)
class SupervisorStatistics:
    """What a host is doing now, and what has happened in it since it was opened.

    Attributes:
        runtimes: Runtimes that it owns.
        active: Those of them that have an actor; the others are passivated.
        running: Those of them that execute a run.
        held: Those of them that are held, or blocked in this host.
        waiting_for_slot: Those of them whose run waits until fewer of its kind execute; see `Behaviour.max_running`.
        backing_off: Those of them whose failed run waits for its next attempt.
        failed_attempts: Attempts that failed since the host was opened.
        dead_letters: Inputs that were abandoned since then although no one had asked for it.
        refused_sends: Sends since then that their target could not take.
        failed_takeovers: Takeovers since then that failed, each time it was tried.
        lost_hosts: Other hosts that this one has judged dead or lapsed since then.
        longest_block_s: Most seconds since then that the loop stood still at one time, from 1 on; of a file.
        commits: Commits that landed since the store was opened.
        groups: Groups they shared.
        waiting: Commits that wait for the writer.
        waiting_for_room: Calls of `accept` and other verbs that wait until fewer commits wait.
        log_pages: How long the log of the store is, in pages. It grows for as long as a reader holds a view.
        step_threads: Sync steps that hold a thread now, longest first: which, of which runtime, for how long.
        given_up: Those of them that were given up: their runs have ended, and they hold no slot.
        waiting_steps: Sync steps that wait for a thread.
    """

    runtimes: int
    active: int
    running: int
    held: int
    waiting_for_slot: int
    backing_off: int
    failed_attempts: int
    dead_letters: int
    refused_sends: int
    failed_takeovers: int
    lost_hosts: int
    longest_block_s: float
    commits: int
    groups: int
    waiting: int
    waiting_for_room: int
    log_pages: int
    step_threads: tuple[StepThread, ...]
    given_up: int
    waiting_steps: int


def statistics_of(
    owned: Owned,
    writer: WriterStatistics,
    log: HostLog,
    threads: StepThreads,
) -> SupervisorStatistics:
    """The numbers, of what a host knows anyway."""
    held, facts_in_use, actors = threads.threads(), owned.in_use, owned.actors
    return SupervisorStatistics(
        runtimes=len(owned),
        active=len(actors),
        running=sum(facts.standing.state is RuntimeState.RUNNING for facts in facts_in_use),
        held=sum(facts.why_held is not None for facts in facts_in_use),
        waiting_for_slot=sum(actor.slot is not None and actor.slot.waits for actor in actors),
        backing_off=sum(facts.not_before is not None for facts in facts_in_use),
        failed_attempts=log.failed_attempts,
        dead_letters=log.dead_letters,
        refused_sends=log.refused_sends,
        failed_takeovers=log.failed_takeovers,
        lost_hosts=log.lost_hosts,
        longest_block_s=log.longest_block_s,
        commits=writer.commits,
        groups=writer.groups,
        waiting=writer.waiting,
        waiting_for_room=writer.waiting_for_room,
        log_pages=writer.log_pages,
        step_threads=held,
        given_up=sum(each.given_up for each in held),
        waiting_steps=threads.waiting,
    )
