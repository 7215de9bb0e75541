"""The parts of one run, put together: its `Run` hands over to them, and its execution ends it through them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import cached_property
from typing import final

from tenure.actors.decisions import Decision
from tenure.errors import InvalidInput, PayloadTooLarge
from tenure.persistence.commits.commit import Change, CommitResult
from tenure.persistence.facets.runs.again import RunAgain
from tenure.persistence.facets.runs.following.followed import Followed
from tenure.persistence.facets.runs.results import StoreResult
from tenure.persistence.facets.runs.runs import (
    FinishRun,
    RunBegun,
)
from tenure.persistence.model.values import InputId
from tenure.persistence.writing.group import Outcome
from tenure.supervisor.accepting.payloads import Kinds

from .again import Again, GoingOn
from .asking import Asking, Peers
from .boundaries import Boundaries
from .children.spawning import Spawning
from .inputs.batch import Batch
from .keeping.following import Following
from .keeping.journal import Journal
from .keeping.own_messages import OwnMessages
from .keeping.own_values import OwnValues
from .keeping.own_verbs import OwnVerbs
from .keeping.session import RunSession
from .keeping.state import RunState
from .recording.attention import Unstorable
from .recording.chance import Chance
from .recording.entering import Entering
from .recording.parallel import Parallel
from .recording.step_terms import StepRules
from .steering import Steering
from .stepping.calls import Calls
from .stepping.results import Results
from .stepping.steps import Steps


@final
class RunParts:
    """What a run consists of.

    Attributes:
        begun: How it began.
        entering: This entering of it: its record, its branches, and what has gone wrong.
        messages: What it makes of its conversation.
        session: The same, as its behaviour sees it.
        state: What its runtime keeps.
        batch: Its inputs.
        followed: The abandoned batch that it follows, or None.
        unseen: What had joined and was not handed out, as decided in its final commit.
        goes_on: Whether its end begins the next run.
        result: What the behaviour returned, encoded, once that is known; None where it returned nothing.
    """

    def __init__(
        self,
        entering: Entering,
        begun: RunBegun,
        journal: Journal,
        rules: StepRules,
        calls: Calls,
        kinds: Kinds,
        peers: Peers,
        *,
        followed: Followed | None = None,
    ) -> None:
        """Begin; `peers` hear of each commit that has landed, but of the last. `calls` carry out the functions of its steps."""
        self.begun = begun
        self.entering = entering
        self.followed = followed
        self._rules = rules
        self._calls = calls
        self._journal = journal
        self._kinds = kinds
        self.messages = OwnMessages(begun.base_count, entering.record.main)
        self.session = RunSession(entering.store, begun, entering, self.messages)
        self._own_values = OwnValues(entering.record.main)
        self.state = RunState(entering, begun.run, self._own_values)
        self.batch = Batch(begun, kinds.own, followed)
        self._peers = peers
        self._boundaries = Boundaries(entering, journal, self.batch, self.messages, kinds, self._own_values, peers)
        self.unseen: tuple[InputId, ...] = ()
        self.goes_on = False
        self.result: bytes | None = None
        self._came_to: tuple[Change, ...] = ()

    def encode(self, value: object, field: str) -> bytes:
        """A value as it is stored. Raises `InvalidInput`, `PayloadTooLarge`."""
        return self.steps.encode_result(value, field)

    # Most runs use few of these, or none: they are made for those that do.

    @cached_property
    def steps(self) -> Steps:
        """Its steps and sleeps."""
        results = Results(self.entering.store, self.begun.run, self._journal.entries)
        return Steps(self.entering, self._calls, self._rules, results)

    @cached_property
    def parallel(self) -> Parallel:
        """Its maps and branches."""
        return Parallel(self.entering, self._boundaries)

    @cached_property
    def steering(self) -> Steering:
        """What joins it, at its checkpoints."""
        return Steering(self.entering, self._boundaries, self.batch)

    @cached_property
    def verbs(self) -> OwnVerbs:
        """The lifecycle events that it asks for."""
        return OwnVerbs(self.entering)

    @cached_property
    def going_on(self) -> GoingOn:
        """Whether it goes on in a new run, and with what."""
        return GoingOn(self.entering, self._kinds)

    @cached_property
    def following(self) -> Following:
        """The abandoned batch that it follows, where it does."""
        return Following(self.entering.store, self.followed)

    @cached_property
    def chance(self) -> Chance:
        """Its clock and its randomness."""
        return Chance(self.entering)

    @cached_property
    def asking(self) -> Asking:
        """What it asks of others."""
        return Asking(self.entering, self._boundaries, self.begun.run, self._peers)

    @cached_property
    def spawning(self) -> Spawning:
        """The children that it spawns."""
        return Spawning(self.entering, self._boundaries, self._journal.entries)

    def finish(self, returned: object, on_settled: Callable[[Outcome], None]) -> Awaitable[CommitResult]:
        """Commit the end of the run: what was appended, sent, rejected and answered, the receipt, the batch, own verbs.

        To be awaited at once; no coroutine itself, which is a frame less whenever the task goes on.

        Raises:
            Unstorable: What the behaviour returned cannot be stored, or says that it both goes on and does not.
        """
        self._boundaries.check_end()
        again: RunAgain | None = None
        if type(returned) is Again or "going_on" in self.__dict__:
            again = self.going_on.change(returned, ends_runtime=self.verbs.ends_run)
        if again is not None:
            self.goes_on, self._came_to = True, (again,)
        elif returned is not None:
            self._store_result(returned)
        return self._boundaries.finish(self._last, on_settled)

    @property
    def decisions(self) -> tuple[Decision, ...]:
        """The lifecycle events that the run asks for, as decided in its final commit; they are written last in it."""
        return self.verbs.decisions if "verbs" in self.__dict__ else ()

    def _last(self) -> list[Change]:
        # Called in the turn of the final commit: no verb from outside lands in between.
        if "steering" in self.__dict__:  # else nothing has joined
            self.unseen = self.steering.unseen
        finish = FinishRun(
            runtime_id=self.entering.runtime_id,
            run_id=self.begun.run_id,
            unseen=self.unseen,
            in_doubt=self.entering.record.leaves_doubt,
        )
        before, after = ((), self._came_to) if self.goes_on else (self._came_to, ())
        return [*before, finish, *after, *(self.verbs.changes() if "verbs" in self.__dict__ else ())]

    def _store_result(self, returned: object) -> None:
        try:
            self.result = result = self.steps.encode_result(returned)
        except (InvalidInput, PayloadTooLarge) as exc:
            message = f"what the behaviour returned cannot be stored: {exc}"
            raise Unstorable(message) from exc
        change = StoreResult(runtime_id=self.entering.runtime_id, run_id=self.begun.run_id, result=result)
        self._came_to = (change,)
