"""Asks of one run: an input of another runtime, and the wait for its result (design §20)."""

from __future__ import annotations

import math
from functools import partial
from typing import Any, Final, Protocol, final

import msgspec
import trio

from tenure.actors.runtime_actor import RuntimeActor
from tenure.errors import AskCycle, AskFailed, Corrupt
from tenure.persistence.commits.commit import CommitResult
from tenure.persistence.facets.runs.addressed import SendTerms
from tenure.persistence.facets.runs.asking import (
    asked as asked_rows,
    asks,
)
from tenure.persistence.facets.runs.entries import RecordedEntry
from tenure.persistence.facets.runs.interrupted import AcquitRun
from tenure.persistence.model.codec import decode, digest
from tenure.persistence.model.entries import EntryKind, EntryStatus
from tenure.persistence.model.values import (
    AbandonReason,
    InputId,
    InputPhase,
    LogicalRuntimeId,
    RunBoundaryReceipt,
    SessionId,
)
from tenure.persistence.reading.patience import patiently
from tenure.persistence.store import ground_of
from tenure.supervisor.accepting.tickets import Outcome

from .boundaries import Boundaries
from .recording.asked import Asked, has_ended
from .recording.entering import Entering
from .recording.flight import Flight
from .resting.holding import is_on_hold, wait_out_hold
from .resting.waits import Wait

LOOK_S: Final = 1.0
"""Seconds between two looks for an answer that should be there."""


class Peers(Protocol):
    """The way of a run to those that it asks."""

    def landed(self, result: CommitResult, /) -> None:
        """A commit of a run has landed: whom it sends or asks something wakes up, and inputs that it ended have ended."""
        ...

    def abandoned(self, runtime_id: LogicalRuntimeId, input_ids: tuple[InputId, ...], reason: AbandonReason, /) -> None:
        """What was asked was abandoned, because its time was over."""
        ...

    async def wait_ended(self, runtime_id: LogicalRuntimeId, input_id: InputId, /) -> None:
        """Wait until an input has ended, here or on another host, or may have."""
        ...


class Publisher(Peers, Protocol):
    """Hears how a run ended, when its commit has landed."""

    def inputs_consumed(
        self,
        actor: RuntimeActor,
        input_ids: tuple[InputId, ...],
        receipt: RunBoundaryReceipt,
        result: bytes | None,
        /,
    ) -> None:
        """Inputs are consumed, with this result for each of them."""
        ...

    def inputs_exhausted(self, actor: RuntimeActor, input_ids: tuple[InputId, ...], error: str, /) -> None:
        """The last attempt over these has failed."""
        ...


@final
class Asking:
    """Asks for one run."""

    def __init__(self, entering: Entering, boundaries: Boundaries, run: int, peers: Peers) -> None:
        """Nothing is asked yet; `run` is the row of the run."""
        self._entering = entering
        self._boundaries = boundaries
        self._run = run
        self._peers = peers
        self._clock = entering.store.seams.wall_clock

    async def ask(self, target: LogicalRuntimeId, payload: bytes, terms: SendTerms, timeout_s: float | None) -> Any:
        """See `Run.ask`."""
        entering = self._entering
        arguments = digest(payload + (terms.stored() or "").encode())
        asked = Asked(kind=EntryKind.ASK, name=target, arguments=arguments)
        branch, found = entering.ask(asked)
        with entering.in_flight(branch, asked, found) as flight:
            entry = found.entry
            if entry is None:
                if entering.record.messages_left():
                    flight.waits = True
                    await entering.admit_messages(found.place, lambda: str(asked))
                    flight.waits = False
                until = None if timeout_s is None else self._clock() + timeout_s
                return await self._begin(flight, target, payload, terms, until)
            self._boundaries.pass_by(flight)
            if entry.status is EntryStatus.CANCELLED:
                await entering.wait_for_scope(asked, found)
            if has_ended(entry):
                await trio.lowlevel.checkpoint()
                return self._given(entry, target)
            entering.asks += 1
            await entering.commit(lambda: (self._acquit,))
            return await self._wait(flight, target, entry.next_at)

    @property
    def _acquit(self) -> AcquitRun:
        return AcquitRun(runtime_id=self._entering.runtime_id, run_id=self._entering.run_id)

    async def _begin(
        self,
        flight: Flight,
        target: LogicalRuntimeId,
        payload: bytes,
        terms: SendTerms,
        until: float | None,
    ) -> Any:
        entering, seams = self._entering, self._entering.store.seams
        carry = ground_of(entering.store).hooks.carry
        change = asks.Ask(
            runtime_id=entering.runtime_id,
            run_id=entering.run_id,
            target=target,
            input_id=InputId(seams.new_id()),
            response_id=InputId(seams.new_id()),
            payload=payload,
            payload_digest=digest(payload),
            fits=self._boundaries.fits(payload),
            terms=terms,
            session_id=None if terms.kind is None else SessionId(seams.new_id()),
            traceparent=None if carry is None else carry("ask", target, terms.kind or "", None),
            entry=flight.record(EntryStatus.DISPATCHED, ended=False, next_at=until),
        )
        entering.asks += 1
        result = await self._boundaries.land(flight, change, self._acquit)
        flight.begun = True
        answer: asked_rows.Answer | None = result.answer(change)
        if answer is not None:
            return _value(answer, target)
        return await self._wait(flight, target, until)

    async def _wait(self, flight: Flight, target: LogicalRuntimeId, until: float | None) -> Any:
        entering = self._entering
        found = await patiently(
            partial(entering.store.read, partial(asked_rows.find_input, run=self._run, place=flight.place))
        )
        while True:
            if found is not None:
                left = math.inf if until is None else max(until - self._clock(), 0.0)
                async with entering.rest(left, Wait(until=until)):
                    await self._until(*found, until)
            change = asks.EndAsk(
                runtime_id=entering.runtime_id,
                run_id=entering.run_id,
                entry=flight.record(EntryStatus.SUCCEEDED),
                late=until is not None and self._clock() >= until and not await is_on_hold(entering),
            )
            answer: asked_rows.Answer | None = (await flight.write(change)).answer(change)
            if answer is not None:
                if answer.status == asked_rows.LATE and answer.phase is not None and found is not None:
                    self._peers.abandoned(*found[:1], found[1:], AbandonReason.DEADLINE_EXCEEDED)
                return _value(answer, target)
            await trio.sleep(LOOK_S)  # its end was published, and its answer cannot be read

    async def _until(self, target: LogicalRuntimeId, input_id: InputId, until: float | None) -> None:
        seams = self._entering.store.seams
        async with trio.open_nursery() as nursery:  # owned by this wait
            if until is not None:

                async def sleep() -> None:
                    await seams.sleep_until(until, at_most_s=max(until - self._clock(), 0.0))
                    await wait_out_hold(self._entering)
                    nursery.cancel_scope.cancel()

                nursery.start_soon(sleep)
            await self._peers.wait_ended(target, input_id)
            nursery.cancel_scope.cancel()

    def _given(self, entry: RecordedEntry, target: LogicalRuntimeId) -> Any:
        key = f"{self._entering.run_id}/{entry.place}"
        if entry.status is EntryStatus.SUCCEEDED:
            return decode(entry.result or b"null", "ask", key)
        try:
            return _value(asked_rows.read_failure(entry.error, key), target)
        except (AskFailed, AskCycle) as exc:
            self._entering.read += ((exc, entry.place),)
            raise


def _value(answer: asked_rows.Answer, target: LogicalRuntimeId) -> Any:
    if answer.status == asked_rows.ANSWERED:
        return decode(answer.result or b"null", "ask", target)
    if answer.status == asked_rows.CYCLE:
        raise AskCycle(target=target, chain=_chain(answer.error))
    outcome = None
    if answer.phase is not None:
        outcome = Outcome(phase=InputPhase(answer.phase), reason=answer.reason, error=answer.error)
    detail = answer.error or answer.reason or ("a run has taken it" if answer.begun else "no run has taken it")
    raise AskFailed(
        target=target, reason=answer.status, outcome=outcome, begun=answer.begun, detail=detail.partition("\n")[0]
    )


def _chain(stored: str | None) -> tuple[str, ...]:
    try:
        return msgspec.json.decode(stored or "[]", type=tuple[str, ...])
    except msgspec.MsgspecError as exc:
        raise Corrupt(record="entry", key="ask", detail="its circle cannot be read") from exc
