"""What an actor publishes: the facts of its runtime, as commits that have settled leave them.

Nothing here is true before it is on disk: these methods are called when a commit has settled, and by nothing else. Those
who wait for a standing or a held mark hear of it here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, Final

from tenure.errors import Closed, Error, KeyMissing, RuntimeDestroyed, WrongKey
from tenure.persistence.facets.records.versions import RunLeft
from tenure.persistence.facets.runs.interrupted import CancelledInputs
from tenure.persistence.facets.runs.runs import NothingBegun, RunBegun
from tenure.persistence.model.lifecycles.lifecycle import LifecycleEvent, Standing, durable, transition
from tenure.persistence.model.values import (
    AbandonReason,
    HeldReason,
    InputId,
    RunId,
    RuntimeState,
)

from .decisions import (
    Decision,
    publish,
)
from .facts import RuntimeFacts
from .listener import Listener
from .watched import Watched
from .worker import LINGERS, Worker

DEFECT_S: Final = 1.0
"""Seconds after which a run that met a defect of ours begins again; doubles with each in a row, up to `DEFECT_LIMIT_S`."""

DEFECT_LIMIT_S: Final = 60.0

UNREADABLE: Final = "cannot begin a run"
"""Why a runtime is blocked whose rows cannot be read or written."""

KEY_LIMIT_S: Final = 30.0
"""Most seconds between two tries to begin a run whose key is not here; the first comes after `DEFECT_S`, and each doubles."""


class Published(ABC):
    """One owned runtime, as it is published.

    Attributes:
        facts: What was last committed.
        standing: The same standing, to wait on.
        held: The same held mark, or what blocks the runtime here, to wait on.
        left_by: What has ended its last run; None while one executes, and where it was let go of.
        listener: Hears which inputs have ended, and that no run may start.
        worker: Executes its runs; that of the runtime, which may still be busy for an actor before this one.
    """

    def __init__(self, facts: RuntimeFacts, listener: Listener, worker: Worker) -> None:
        """Publish what was committed before."""
        self.facts = facts
        self.standing = Watched(facts.standing)
        self.held = Watched(facts.why_held)
        self.left_by: LifecycleEvent | None = None
        self.listener = listener
        self.worker = worker
        self._without_key = 0

    @abstractmethod
    def close(self, error: Error) -> None:
        """End the actor: no run goes on, and everyone who waits for it gets the error."""

    def lose(self, error: Error) -> None:
        """End the actor of a runtime that is another host's: its run goes no further, whatever its behaviour still does."""
        self.facts.run_id = None
        self.close(error)

    @abstractmethod
    def wake_after(self, wait_s: float) -> None:
        """Begin no run for so long, and look again then."""

    def executes(self, run_id: RunId) -> bool:
        """Whether a run is the one that was begun and has not ended."""
        return self.facts.run_id == run_id

    def publish_run(self, event: LifecycleEvent) -> None:
        """A commit that begins or ends a run has settled."""
        self.facts.standing = transition(self.facts.standing, event, runtime_id=self.facts.runtime_id)
        if event is not LifecycleEvent.BEGIN_RUN:
            self.facts.run_id, self.left_by = None, event
        elif self.facts.aside:
            self.facts.aside = False
            self.listener.woken(self.facts.runtime_id)
        self.standing.value = self.facts.standing

    def publish_begun(self, begun: RunBegun | NothingBegun | RunLeft) -> None:
        """A commit that was to begin a run has settled, and says what came of it."""
        if type(begun) is RunLeft:
            self.lose(Closed(what=f"ownership of runtime {self.facts.runtime_id}"))  # a younger version has its run
            return
        self._without_key = 0
        if type(begun) is RunBegun:
            self.facts.run_id, self.facts.has_begun = begun.run_id, False
            self.facts.has_work = self.facts.has_work or begun.more
            self.publish_run(LifecycleEvent.BEGIN_RUN)
        elif begun.on_hold:
            self.publish_kept()
        if begun.abandoned:
            self.listener.unstageable(self.facts.runtime_id, begun.abandoned)

    def publish_dropped(self, abandoned: tuple[InputId, ...], reason: AbandonReason) -> None:
        """The current run has ended without its behaviour, with its batch."""
        if self.facts.standing.state is RuntimeState.RUNNING:
            self.publish_run(LifecycleEvent.CANCEL_RUN)
        self.facts.not_before, self.facts.aside = None, False
        self.worker.stop()
        self.listener.abandoned(self.facts.runtime_id, abandoned, reason)

    def publish_cancelled(self, cancelled: CancelledInputs) -> None:
        """An input was cancelled, with the current run or alone; or there was none to cancel."""
        if cancelled.ended_run:
            self.publish_dropped(cancelled.input_ids, AbandonReason.CANCELLED)
        elif cancelled.input_ids:
            self.listener.abandoned(self.facts.runtime_id, cancelled.input_ids, AbandonReason.CANCELLED)

    def publish_aside(self) -> None:
        """The run is put aside, and no host owns the runtime: its `Run` does nothing more."""
        state = durable(self.facts.standing)
        self.facts.standing, self.facts.run_id = Standing(state=state), None
        self.facts.aside, self.facts.has_work = True, False
        self.standing.value = self.facts.standing

    def publish_held(self, reason: str | None, detail: str | None) -> None:
        """The stored mark is there, or gone, and with it what blocked the runtime here."""
        self.facts.held, self.facts.held_detail = reason, detail
        self.publish_blocked(None, None)

    def publish_blocked(self, reason: str | None, detail: str | None) -> None:
        """No run may start, or one may again; nothing of it is stored."""
        self.facts.blocked, self.facts.blocked_detail = reason, detail
        before, self.held.value = self.held.value, self.facts.why_held
        if self.held.value not in (None, before):
            self.listener.held(self.facts)

    def publish_kept(self) -> None:
        """A run would have begun, and a person's hold keeps it from that until it ends."""
        self.facts.on_hold = True
        self.listener.kept(self.facts.runtime_id)

    def worker_ended(self) -> None:
        """The last work has ended: what it was in the way of goes on."""
        self.unblock(LINGERS)
        self._look()

    def worker_lingers(self) -> None:
        """Stopped work does not end."""
        if self.facts.why_held is None:
            self.publish_blocked(LINGERS, "its behaviour was cancelled, and cleans up under a shield")

    @abstractmethod
    def _look(self) -> None:
        """Work the inbox off, where there is something to do and nothing against it."""

    def publish_charged(self, crashes: int, most: int, detail: str) -> None:
        """A defect of ours is charged to the run as a crash: it begins again after a while, or the runtime is held."""
        self.publish_run(LifecycleEvent.FAIL_RUN)
        self.facts.has_work = True
        if crashes >= most:
            self.publish_held(HeldReason.CRASH_LOOP, detail)
        else:
            self.wake_after(min(DEFECT_S * 2.0 ** min(crashes - 1, 10), DEFECT_LIMIT_S))

    def publish_unreadable(self, error: Error) -> None:
        """What a run would begin with cannot be read or written: this runtime is blocked, and no other (design §5).

        While keys rotate, a host may meet what another has sealed before it has the key: it tries again after a while.
        """
        self.publish_blocked(UNREADABLE, str(error))
        if isinstance(error, (KeyMissing, WrongKey)):
            self.wake_after(min(DEFECT_S * 2.0**self._without_key, KEY_LIMIT_S))
            self._without_key = min(self._without_key + 1, 10)

    def unblock(self, reason: str) -> None:
        """What blocked the runtime here may be over, where it was this."""
        if self.facts.blocked == reason:
            self.publish_blocked(None, None)

    def publish_unended(self, detail: str) -> None:
        """How a run ended cannot be written: this runtime is blocked until the next open, and no other (design §5)."""
        self.publish_blocked("cannot end a run", detail)
        if self.facts.standing.state is RuntimeState.RUNNING:
            self.publish_run(LifecycleEvent.FAIL_RUN)

    def publish_event(self, decision: Decision, answers: tuple[Any, ...]) -> None:
        """The commit of a lifecycle event has settled."""
        publish(self.facts, decision, answers)
        self.standing.value = self.facts.standing
        if decision.ends_run:
            self.left_by = decision.event
            self.worker.stop()
        if decision.reason is not None:
            self.listener.abandoned(self.facts.runtime_id, answers[0].abandoned, decision.reason)
        if decision.event is LifecycleEvent.DESTROY:
            self.close(RuntimeDestroyed(runtime_id=self.facts.runtime_id))  # nothing comes for it any more
