"""The begin of a run, in company: it lands in one commit with the accept of the input that it is for (design §7).

An accept is a commit by itself, which needs no owner. Where its runtime is idle in this host when the writer takes that commit,
the begin of a run goes along, so that an input is two commits and not three. It holds the turn of the runtime until it has
settled: a verb is decided on what came of it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import final

from tenure.errors import StaleFence
from tenure.persistence.commits.commit import Change, Commit, CommitResult
from tenure.persistence.facets.inbox.inputs import AcceptInput
from tenure.persistence.facets.records.versions import RunLeft
from tenure.persistence.facets.runs.runs import NothingBegun, RunBegun
from tenure.persistence.model.values import InputId
from tenure.persistence.writing.group import Outcome

from .commit_channel import CommitChannel
from .published import Published

Begun = RunBegun | NothingBegun | RunLeft


@final
class Company:
    """The rider of one runtime's accepts; see `Rider`.

    Attributes:
        on_its_way: Whether a begin is with the writer now.
        begun: The run that has begun so, until its worker takes it up.
    """

    __slots__ = ("_actor", "_change", "_channel", "_look", "begun", "on_its_way")

    def __init__(
        self,
        actor: Published,
        channel: CommitChannel,
        change: Callable[[InputId | None], Change],
        look: Callable[[], None],
    ) -> None:
        """No begin is on its way. `change` begins a run, with `BeginRun.accepted`; `look` lets the worker look for work."""
        self._actor = actor
        self._channel = channel
        self._change = change
        self._look = look
        self.on_its_way = False
        self.begun: RunBegun | None = None

    def join(self, commit: Commit) -> Commit:
        """The accept and the begin; the turn is free, and is taken until that has settled."""
        last = commit.changes[-1]
        accepted = last.input_id if isinstance(last, AcceptInput) else None
        joined = self._channel.of(*commit.changes, self._change(accepted))
        self._channel.turn.take()
        self.on_its_way = True
        return joined

    def settled(self, outcome: Outcome, /) -> None:
        """Publish in its turn how the run began, where it did; a token that is another's ends the actor."""
        self.on_its_way = False
        try:
            self._channel.guarded(self._publish, outcome)
        finally:
            self._channel.turn.leave()

    def take(self) -> RunBegun | None:
        """The run that has begun, for its worker; None where there is none, or a verb has dropped it."""
        begun, self.begun = self.begun, None
        return begun if begun is not None and self._actor.facts.run_id == begun.run_id else None

    def _publish(self, outcome: Outcome) -> None:
        actor = self._actor
        if isinstance(outcome, StaleFence):
            actor.close(outcome)
        elif type(outcome) is CommitResult and outcome.written:  # a known key writes nothing, and begins nothing
            actor.facts.has_work = False  # what was heard of before this was there when it began
            begun: Begun = outcome.values[-1]
            actor.publish_begun(begun)
            self.begun = begun if type(begun) is RunBegun else None
        self._look()
