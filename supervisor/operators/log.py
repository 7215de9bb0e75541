"""What operators hear of a host: lines of the standard library's loggers ``tenure.*``, and counts since it was opened.

A line comes beside an error and never in place of one: a caller hears of an error by its exception or its outcome. The
lines are for those who asked for nothing: an agent that fails while no one waits for it. Names, levels and extra fields are
promised in docs/logging.md; texts are not. No payload and no message of a session is in any line; an exception's own text is.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence
from typing import Final, final

from tenure.actors.facts import RuntimeFacts
from tenure.errors import Error, StoreBroken
from tenure.persistence.model.events.happenings import InputDead, RuntimeHeld
from tenure.persistence.model.texts import named
from tenure.persistence.model.values import (
    InputId,
    LogicalRuntimeId,
    RunId,
)
from tenure.persistence.seams.hooks import Hooks
from tenure.persistence.seams.lines import STORE, write_line
from tenure.persistence.seams.step_threads import StepThread

from .health import HealthProblem, HealthReason

ROOT: Final = "tenure"
RUNS: Final = "tenure.runs"
HOSTS: Final = "tenure.hosts"
QUEUE: Final = "tenure.queue"

NAMED: Final = 5
"""Most runtimes that one line names."""

MOST_SCHEDULES: Final = 1_000
"""Failures of schedules that are remembered, so that each is written once."""

MOST_TEXTS: Final = 100
"""Likewise of looks, of hooks, and of runtimes that are given back."""


@final
class _Texts:
    """Texts that were written, each once; where they are too many, all are forgotten."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._written: set[str] = set()

    def is_new(self, text: str) -> bool:
        if text in self._written:
            return False
        if len(self._written) >= self._most:
            self._written.clear()
        self._written.add(text)
        return True


@final
class HostLog:
    """Writes the lines and counts.

    Attributes:
        failed_attempts: Attempts that were counted.
        dead_letters: Inputs that were abandoned although no one had asked for it.
        refused_sends: Sends that their target could not take.
        failed_takeovers: Runtimes that could not be taken over, each time it was tried.
        lost_hosts: Other hosts that this one judged dead or lapsed.
        longest_block_s: Most seconds that the loop stood still at one time.
        failed_work: Attempts at queued work that failed.
        defects: Mistakes of ours that ended a run or a task of one runtime.
    """

    def __init__(self, hooks: Hooks | None = None) -> None:
        """Nothing has happened yet. The hooks are called with what is held and what is dead."""
        self._hooks = Hooks() if hooks is None else hooks
        self._failed_hooks = _Texts(MOST_TEXTS)
        self.failed_attempts = 0
        self.dead_letters = 0
        self.refused_sends = 0
        self.failed_takeovers = 0
        self.lost_hosts = 0
        self.longest_block_s = 0.0
        self.failed_work = 0
        self.defects = 0
        self._failed_looks = _Texts(MOST_TEXTS)
        self._failed_releases = _Texts(MOST_TEXTS)
        self._failed_schedules = _Texts(MOST_SCHEDULES)
        root = logging.getLogger(ROOT)
        if not root.handlers:  # a library leaves it to the program who hears it
            root.addHandler(logging.NullHandler())

    # Of runtimes

    def attempt_failed(
        self, runtime_id: LogicalRuntimeId, run_id: RunId, attempt: int, error: BaseException, wait_s: float | None
    ) -> None:
        """A failed attempt was counted; `wait_s` until the next one, None where it was the last."""
        self.failed_attempts += 1
        what_next = "it was the last" if wait_s is None else f"the next one comes in {wait_s:.1f} s"
        write_line(
            RUNS,
            logging.WARNING if wait_s is not None else logging.ERROR,
            f"runtime {runtime_id!r}: attempt {attempt} failed, {what_next}",
            error,
            runtime_id=runtime_id,
            run_id=run_id,
        )

    def dead(self, runtime_id: LogicalRuntimeId, input_ids: Iterable[InputId], reason: str, error: str | None) -> None:
        """Inputs are dead letters: abandoned, although no one asked for it."""
        for input_id in input_ids:
            self.dead_letters += 1
            if self._hooks.call is not None:
                self._hooks.call(InputDead(runtime_id=runtime_id, input_id=input_id, reason=str(reason)))
            why = reason if error is None else f"{reason}: {_first_line(error)}"
            text = f"runtime {runtime_id!r}: input {input_id} is a dead letter, {why}"
            write_line(RUNS, logging.ERROR, text, runtime_id=runtime_id, input_id=input_id)

    def send_refused(self, runtime_id: LogicalRuntimeId, target: LogicalRuntimeId, why: str) -> None:
        """What a runtime sent could not be taken, and is a dead letter of the sender."""
        self.refused_sends += 1
        text = f"runtime {runtime_id!r}: what it sent to {target!r} was refused: {_first_line(why)}"
        write_line(RUNS, logging.WARNING, text, runtime_id=runtime_id)

    def held(self, facts: RuntimeFacts) -> None:
        """A runtime is held, or blocked in this host."""
        if self._hooks.call is not None:
            reason = str(facts.why_held)
            self._hooks.call(RuntimeHeld(runtime_id=facts.runtime_id, kind=facts.kind, reason=reason))
        detail = facts.held_detail if facts.held is not None else facts.blocked_detail
        text = f"runtime {facts.runtime_id!r} is held, {facts.why_held}: {_first_line(detail)}"
        write_line(RUNS, logging.ERROR, text, runtime_id=facts.runtime_id)

    def defect(self, runtime_id: LogicalRuntimeId, error: BaseException) -> None:
        """A defect of ours ended a run, a task or a look for one runtime; the others have nothing of it."""
        self.defects += 1
        text = f"runtime {runtime_id!r}: a defect in tenure, {_first_line(named(error))}; please report it"
        write_line(RUNS, logging.ERROR, text, error, runtime_id=runtime_id)

    def record_half_full(self, runtime_id: LogicalRuntimeId, run_id: RunId, limit: int) -> None:
        """The record of a run has reached half of `Limits.run_steps`, beyond which it can ask for nothing more."""
        text = f"runtime {runtime_id!r}: a run has recorded half of the {limit} entries that one run may have"
        write_line(RUNS, logging.WARNING, text, runtime_id=runtime_id, run_id=run_id)

    # Of queued work

    def work_failed(
        self, session_id: str, batch_ids: Sequence[str], attempt: int, error: BaseException, wait_s: float | None
    ) -> None:
        """Queued work failed; `wait_s` until its next attempt, None where it is dead now."""
        self.failed_work += 1
        what_next = "it is dead" if wait_s is None else f"the next attempt comes in {wait_s:.1f} s"
        write_line(
            QUEUE,
            logging.WARNING if wait_s is not None else logging.ERROR,
            f"session {session_id!r}: attempt {attempt} at {', '.join(batch_ids)} failed, {what_next}",
            error,
            session_id=session_id,
        )

    def work_lost(self, session_id: str, batch_ids: Sequence[str]) -> None:
        """A claim was taken over while its work went on here."""
        text = (
            f"session {session_id!r}: the claim on {', '.join(batch_ids)} was taken over, and its work is stopped here"
        )
        write_line(QUEUE, logging.WARNING, text, session_id=session_id)

    def session_unreadable(self, session_id: str, error: BaseException) -> None:
        """A session with queued work is damaged, and is passed over."""
        text = f"session {session_id!r}: its queued work cannot be read and is passed over: {named(error)}"
        write_line(QUEUE, logging.ERROR, text, session_id=session_id)

    def step_given_up(self, step: StepThread) -> None:
        """A sync step was given up: its run has ended, and its thread runs on."""
        text = f"{_whose(step)} was given up after {step.seconds:.1f} s: its run has ended and its thread has not"
        write_line(RUNS, logging.WARNING, text, runtime_id=step.runtime_id, run_id=step.run_id, step=step.name)

    def steps_wait(self, longest: StepThread) -> None:
        """Every thread for sync steps is taken, and steps wait."""
        text = f"steps wait for a thread: {_whose(longest)} has held one for {longest.seconds:.1f} s, longest of all"
        write_line(RUNS, logging.WARNING, text, runtime_id=longest.runtime_id, run_id=longest.run_id, step=longest.name)

    def loop_blocks(self, seconds: float, place: str, loop: str = "the loop") -> None:
        """The loop stands still, at this line. Called while it does, by another thread."""
        text = f"{loop} has not run for {seconds:.1f} s: it stands in {place or 'code that cannot be seen'}"
        write_line(HOSTS, logging.WARNING, text, place=place)

    def loop_blocked(
        self, seconds: float, running: Sequence[LogicalRuntimeId], place: str, loop: str = "the loop"
    ) -> None:
        """The loop stood still, while these had a run; and where."""
        self.longest_block_s = max(self.longest_block_s, seconds)
        named = ", ".join(map(repr, running[:NAMED]))
        more = f" and {len(running) - NAMED} more" if len(running) > NAMED else ""
        text = f"{loop} stood still for {seconds:.1f} s; runs were executing of {named or 'no runtime'}{more}"
        text += f"; it stood in {place}" if place else ""
        write_line(HOSTS, logging.WARNING, text, place=place)

    def takeover_failed(self, runtime_id: LogicalRuntimeId, error: Error, *, again: bool) -> None:
        """A runtime with work could not be taken over; `again`: it is tried again at the next renewal."""
        self.failed_takeovers += 1
        what_next = "tried again later" if again else "left where it is"
        text = f"runtime {runtime_id!r} could not be taken over and is {what_next}: {named(error)}"
        write_line(HOSTS, logging.WARNING if again else logging.ERROR, text, runtime_id=runtime_id)

    def release_failed(self, runtime_id: LogicalRuntimeId, error: Error) -> None:
        """A runtime could not be given back to other hosts; it stays this host's until that ends, or is judged lost."""
        text = f"runtime {runtime_id!r} could not be given back: {_first_line(named(error))}"
        if self._failed_releases.is_new(text):
            write_line(HOSTS, logging.ERROR, text, error, runtime_id=runtime_id)

    def schedule_failed(self, error: BaseException, schedule_id: str = "") -> None:
        """What has come of a schedule cannot be decided here: it is damaged, or its zone is not known. Tried at each look."""
        text = f"schedule {schedule_id!r} cannot be decided here: {named(error)}"
        if self._failed_schedules.is_new(text):
            write_line(HOSTS, logging.ERROR, text, error)

    # Of hosts

    def host_lost(self, incarnation: str, *, seized: bool) -> None:
        """This host has judged another one dead, or lapsed."""
        self.lost_hosts += 1
        why = "it is dead" if seized else "it renewed nothing for one lease"
        write_line(HOSTS, logging.WARNING, f"host {incarnation} is lost, {why}: its runtimes can be taken over")

    def trouble(self, problem: HealthProblem) -> None:
        """Something began to be wrong with this host, and no caller may hear of it."""
        text = f"this host is not ready, {problem.reason}: {problem.detail}; it goes on by itself when that is over"
        write_line(HOSTS, logging.WARNING, text, reason=str(problem.reason))

    def trouble_over(self, reason: HealthReason) -> None:
        """That is over."""
        write_line(HOSTS, logging.INFO, f"this host has no trouble of this sort any more: {reason}", reason=str(reason))

    def look_failed(self, error: BaseException) -> None:
        """A look at what other hosts wrote met a mistake of ours; it is repeated, and written down where it is another one."""
        text = named(error)
        if self._failed_looks.is_new(text):
            self.defects += 1
            write_line(
                HOSTS, logging.ERROR, f"a look at the store failed, {_first_line(text)}; please report it", error
            )

    def rejoined(self, incarnation: str, *, kept: int, lost: int) -> None:
        """This host was judged dead and has a new row."""
        text = f"this host was judged dead; it goes on as {incarnation} with {kept} runtimes and has lost {lost}"
        write_line(HOSTS, logging.WARNING, text)

    def hook_failed(self, error: BaseException) -> None:
        """A hook of the program raised. It is called again, and what it raises is written where it is another text."""
        text = named(error)
        if self._failed_hooks.is_new(text):
            write_line(HOSTS, logging.ERROR, f"a hook raised {_first_line(text)}", error)

    def waits_for(self, runtimes: Sequence[LogicalRuntimeId], seconds: float) -> None:
        """This host ends, and code of these runtimes that it has cancelled has not ended for so long."""
        names = ", ".join(map(repr, runtimes[:NAMED]))
        more = f" and {len(runtimes) - NAMED} more" if len(runtimes) > NAMED else ""
        text = f"this host ends, and has waited for {seconds:.0f} s for code that was cancelled and goes on, of {names}{more}"
        write_line(
            HOSTS, logging.WARNING, f"{text}; it swallows or shields that: kill the process, which loses nothing"
        )

    def not_notified(self, error: BaseException) -> None:
        """The service manager does not hear how this host does."""
        write_line(HOSTS, logging.WARNING, f"the service manager does not hear how this host does: {named(error)}")

    def ended(self, error: BaseException) -> None:
        """The supervisor ends under its body."""
        logger, what = (STORE, "the store") if isinstance(error, StoreBroken) else (HOSTS, "the supervisor")
        write_line(logger, logging.CRITICAL, f"{what} has stopped: {named(error)}", error)


def _whose(step: StepThread) -> str:
    return f"runtime {step.runtime_id!r}: step {step.name!r}"


def _first_line(text: str | None) -> str:
    return "" if text is None else text.partition("\n")[0]
