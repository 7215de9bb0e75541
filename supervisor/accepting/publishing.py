"""Lets tickets, send targets and operators know what a landed commit changed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol, final

import trio

from tenure.actors.facts import RuntimeFacts
from tenure.actors.listener import Ended
from tenure.actors.runtime_actor import RuntimeActor
from tenure.errors import Closed, Error, StoreBroken
from tenure.persistence.commits.commit import Change, CommitResult
from tenure.persistence.facets.inbox.batches import InputEnded
from tenure.persistence.facets.inbox.inputs import AcceptedInput
from tenure.persistence.facets.inbox.receipts import MintReceipt
from tenure.persistence.facets.runs.asking.asked import Answer
from tenure.persistence.facets.runs.asking.asks import Ask, GiveUpAsks
from tenure.persistence.facets.runs.deadlines import LATE, ExpireMembers
from tenure.persistence.facets.runs.results import AnswerInput
from tenure.persistence.facets.runs.runs import ConsumeInput, RejectInput
from tenure.persistence.facets.runs.sends import Send, Sent
from tenure.persistence.model.values import (
    AbandonReason,
    InputId,
    InputPhase,
    Lane,
    LogicalRuntimeId,
    RunBoundaryReceipt,
)
from tenure.supervisor.operators.log import HostLog

from .tickets import (
    Outcome,
    Ticket,
    Tickets,
    decoded,
)

ASK_AGAIN_S: Final = 1.0
"""Seconds after which an ask looks again whose asked input cannot be read."""


class Wake(Protocol):
    """Lets a runtime look into its inbox."""

    def __call__(self, runtime_id: LogicalRuntimeId, /, *, steered: bool = False) -> None:
        """Something has come; `steered` where it was sent to steer."""
        ...


@final
class Publishing:
    """See `Publisher` and `Listener`."""

    def __init__(  # noqa: PLR0913 - one for each part of the host that hears of something
        self,
        tickets: Tickets,
        wake: Wake,
        ended: Callable[[Ended], None],
        kept: Callable[[LogicalRuntimeId], None],
        log: HostLog,
        distrust: Callable[[LogicalRuntimeId, BaseException], None],
        stir: Callable[[], None],
        *,
        delayed: Callable[[LogicalRuntimeId], None],
        woken: Callable[[LogicalRuntimeId], None],
        put_aside: Callable[[Ended], None],
    ) -> None:
        """Bind to the tickets, and to who hears the rest.

        `wake` lets a runtime look into its inbox; `ended` hears of actors that have ended; `kept` of runtimes that a hold keeps
        from beginning; `distrust` of mistakes of ours in publishing one;
        `stir` has the news read, where something is waited for that another host writes; `delayed` hears of messages that are
        due later; `woken` of runs that were put aside and have begun, and `put_aside` of those that are let go of.
        """
        self._stir = stir
        self._delayed = delayed
        self._tickets = tickets
        self._wake = wake
        self._log = log
        self.defect = distrust  # see `Listener.defect`
        self.closed = ended  # see `Listener.closed`
        self.kept = kept  # see `Listener.kept`
        self.woken = woken  # see `Listener.woken`
        self.put_aside = put_aside  # see `Listener.put_aside`
        self._of_change: Mapping[type[Change], Callable[[Any, Any, CommitResult], None]] = {
            ExpireMembers: self._expired,
            ConsumeInput: self._ended,
            AnswerInput: self._ended,
            RejectInput: self._ended,
            Send: self._sent,
            Ask: self._asked,
            GiveUpAsks: self._given_up,
        }

    def held(self, facts: RuntimeFacts, /) -> None:
        """See `Listener.held`."""
        self._log.held(facts)

    def accepted(self, runtime_id: LogicalRuntimeId, accepted: AcceptedInput) -> Ticket:
        """The ticket of an accept that has landed; the tickets of what it replaced are settled."""
        if accepted.replaced:
            self.replaced(runtime_id, accepted.replaced, accepted.replaced_phase)
        return self._tickets.issue(runtime_id, accepted.input_id, accepted.phase, deduplicated=accepted.deduplicated)

    def replaced(self, runtime_id: LogicalRuntimeId, input_ids: tuple[InputId, ...], phase: InputPhase) -> None:
        """Another input has taken the place of these."""
        for input_id in input_ids:
            self._tickets.settle(runtime_id, input_id, Outcome(phase=phase))

    def abandoned(self, runtime_id: LogicalRuntimeId, input_ids: tuple[InputId, ...], reason: AbandonReason, /) -> None:
        """See `Listener.abandoned`."""
        for input_id in input_ids:
            self._tickets.settle(runtime_id, input_id, Outcome(phase=InputPhase.ABANDONED, reason=reason))

    def unstageable(self, runtime_id: LogicalRuntimeId, abandoned: tuple[InputEnded, ...], /) -> None:
        """See `Listener.unstageable`."""
        reason = AbandonReason.MAX_ATTEMPTS_EXHAUSTED
        for each in abandoned:
            outcome = Outcome(phase=each.phase, reason=reason, error=each.error)
            self._tickets.settle(runtime_id, each.input_id, outcome)
            self._log.dead(runtime_id, [each.input_id], reason, each.error)

    def landed(self, result: CommitResult, /) -> None:
        """See `Peers.landed`."""
        of_change = self._of_change
        for change, answer in zip(result.changes, result.values, strict=True):
            if type(change) in of_change:
                of_change[type(change)](change, answer, result)

    def _expired(self, change: ExpireMembers, late: tuple[InputId, ...], _: CommitResult) -> None:
        self.abandoned(change.runtime_id, late, LATE)
        self._log.dead(change.runtime_id, late, LATE, None)

    def _ended(self, change: ConsumeInput | AnswerInput | RejectInput, ended: InputEnded, result: CommitResult) -> None:
        rejected = ended.phase is InputPhase.ABANDONED
        outcome = Outcome(
            phase=ended.phase,
            reason=AbandonReason.REJECTED if rejected else None,
            error=ended.error,
            receipt=None if rejected else result.only(MintReceipt),
            result=decoded(ended.result, ended.input_id),
        )
        self._tickets.settle(change.runtime_id, ended.input_id, outcome)
        if rejected:
            self._log.dead(change.runtime_id, [ended.input_id], AbandonReason.REJECTED, ended.error)

    def _sent(self, message: Send, sent: Sent, _: CommitResult) -> None:
        if sent.refused is not None:
            self._log.send_refused(message.runtime_id, sent.target, sent.refused)
        elif message.terms.delay is None:
            self._wake(sent.target, steered=message.terms.lane is Lane.STEER)
        else:
            self._delayed(sent.target)

    def _asked(self, change: Ask, answer: Answer | None, _: CommitResult) -> None:
        if answer is None:
            self._wake(change.target, steered=change.terms.lane is Lane.STEER)

    def _given_up(
        self, _: GiveUpAsks, gone: tuple[tuple[LogicalRuntimeId, InputId], ...], _result: CommitResult
    ) -> None:
        for runtime_id, input_id in gone:
            self.abandoned(runtime_id, (input_id,), AbandonReason.DEADLINE_EXCEEDED)

    async def wait_ended(self, runtime_id: LogicalRuntimeId, input_id: InputId, /) -> None:
        """See `Peers.wait_ended`."""
        # Issued before it is read: an end that is published in between finds it.
        ticket = self._tickets.issue(runtime_id, input_id, InputPhase.QUEUED, deduplicated=True)
        try:
            if await self._tickets.find_outcome(runtime_id, input_id) is None:
                self._stir()
                await ticket.wait_outcome()
        except (StoreBroken, Closed):
            raise
        except Error:
            await trio.sleep(ASK_AGAIN_S)  # gone, or damaged: the commit that asks for the answer says what

    def inputs_consumed(
        self,
        actor: RuntimeActor,
        input_ids: tuple[InputId, ...],
        receipt: RunBoundaryReceipt,
        result: bytes | None,
        /,
    ) -> None:
        """See `Publisher.inputs_consumed`."""
        for input_id in input_ids:
            outcome = Outcome(phase=InputPhase.CONSUMED, receipt=receipt, result=decoded(result, input_id))
            self._tickets.settle(actor.facts.runtime_id, input_id, outcome)

    def inputs_exhausted(self, actor: RuntimeActor, input_ids: tuple[InputId, ...], error: str, /) -> None:
        """See `Publisher.inputs_exhausted`."""
        reason = AbandonReason.MAX_ATTEMPTS_EXHAUSTED
        for input_id in input_ids:
            outcome = Outcome(phase=InputPhase.ABANDONED, reason=reason, error=error)
            self._tickets.settle(actor.facts.runtime_id, input_id, outcome)
        self._log.dead(actor.facts.runtime_id, input_ids, reason, error)
