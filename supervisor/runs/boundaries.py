"""The boundaries of one run: what was appended, sent, rejected and answered lands, with a receipt (design §7, §8)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Final, Protocol, final

from tenure.errors import Corrupt
from tenure.persistence.commits.commit import (
    Change,
    CommitResult,
)
from tenure.persistence.facets.inbox.batches import BatchMember
from tenure.persistence.facets.inbox.receipts import MintReceipt
from tenure.persistence.facets.runs.deadlines import ExpireMembers
from tenure.persistence.facets.runs.entries import RecordedEntry
from tenure.persistence.facets.runs.results import AnswerInput
from tenure.persistence.facets.runs.runs import (
    RejectInput,
    StageSteered,
)
from tenure.persistence.facets.runs.sends import Send
from tenure.persistence.facets.state import own_state
from tenure.persistence.model.codec import digest
from tenure.persistence.model.entries import (
    CARRIED,
    EntryKind,
    EntryStatus,
)
from tenure.persistence.model.values import (
    InputId,
    RunApplyBoundary,
    RunBoundaryReceipt,
    SessionId,
)
from tenure.persistence.store import ground_of
from tenure.persistence.writing.group import Outcome
from tenure.supervisor.accepting.payloads import Kinds

from .inputs.batch import Batch
from .keeping.journal import Journal
from .keeping.own_messages import OwnMessages
from .keeping.own_values import OwnValues
from .recording.asked import Asked, Differs, asked_by, was_cut_before_it_began
from .recording.branch import NOTHING as NOTHING_BEFORE, Branch, Message
from .recording.entering import Entering
from .recording.flight import Flight, check_ends

NOTHING: Final = digest(b"[]")
"""The digest of no arguments."""


class HearsLanded(Protocol):
    """Hears of the commits of a run; see `Peers`."""

    def landed(self, result: CommitResult, /) -> None:
        """A commit of a run has landed."""
        ...


@final
class Boundaries:
    """Commits the boundaries of one run, or replays them."""

    def __init__(
        self,
        entering: Entering,
        journal: Journal,
        batch: Batch,
        session: OwnMessages,
        kinds: Kinds,
        state: OwnValues,
        peers: HearsLanded,
    ) -> None:
        """Bind to the run; `peers` hear of each commit that has landed, but of the last."""
        self._entering = entering
        self._main = entering.record.main
        self._journal = journal
        self._batch = batch
        self._session = session
        self._kinds = kinds
        self._state = state
        self._peers = peers
        self._boundaries = 0
        self._sent = 0  # how many sends are on disk

    async def land(self, flight: Flight, *last: Change) -> CommitResult:
        """Land what stands buffered with another entry than a checkpoint, which `last` records; in a branch what it sent."""
        if flight.branch is not self._main:
            return await self._land_in_branch(flight, last)
        boundary = RunApplyBoundary.RUN_CHECKPOINT
        return await self._commit(flight, boundary, self._batch.newcomers(), lambda: [*last], self._settled)

    def pass_by(self, flight: Flight) -> None:
        """Replay the boundary of another entry than a checkpoint, where it had one. Raises `StepMismatch`."""
        entry = flight.found.entry
        if entry is None or flight.place.startswith(CARRIED) or was_cut_before_it_began(entry):
            return
        flight.begun = True
        if flight.branch is self._main:
            self._replay(entry)
        else:
            self._replay_in_branch(flight.branch, entry)

    def take_over(self) -> None:
        """Hand out what branches have taken that have ended, where they were branches of the behaviour itself."""
        if self._main.taken:
            self._batch.hand_out(self._main.taken)
            self._main.taken = ()

    def fits(self, payload: bytes) -> tuple[tuple[str, str], ...]:
        """The kinds that take an encoded payload, each with the version of its behaviour."""
        return self._kinds.fits(payload)

    async def checkpoint(
        self, flight: Flight, *more: Change, result: bytes | None = None
    ) -> tuple[RunBoundaryReceipt, tuple[BatchMember, ...]]:
        """Commit a checkpoint that is asked for, or replay it: its receipt, and what joined at it.

        Its entry keeps `result`.

        Raises:
            StepMismatch: What is replayed differs from what is stored.
        """
        entering, entry = self._entering, flight.found.entry
        if entry is not None:
            return self._replay(entry)
        stage = StageSteered(runtime_id=entering.runtime_id, run_id=entering.run_id)
        last: list[Change] = [flight.record(EntryStatus.SUCCEEDED, result=result), *more, *self._late(), stage]
        landed = await self._commit(
            flight, RunApplyBoundary.RUN_CHECKPOINT, self._batch.newcomers(), lambda: last, self._settled
        )
        flight.begun = True
        receipt: RunBoundaryReceipt = landed.only(MintReceipt)
        joined: tuple[BatchMember, ...] = landed.answer(stage)
        return receipt, joined

    def check_end(self) -> None:
        """Raises what keeps the run from ending: `StepMismatch` where something that is recorded of it is not reached."""
        entering = self._entering
        if entering.fault is not None:
            raise entering.fault
        if not entering.record.unreached:
            check_ends(self._main, entering.flights.values())
            return
        try:
            entering.record.end(self._main)
        except Differs as exc:
            self._main.sent[self._sent :] = entering.record.unsent(self._main.sent[self._sent :])
            exc.given = "; ".join([each for each in (self._new(), exc.given) if each])
            raise entering.mismatch(exc) from exc

    def finish(
        self, last: Callable[[], list[Change]], on_settled: Callable[[Outcome], None]
    ) -> Awaitable[CommitResult]:
        """Commit the end of the run."""
        boundary = RunApplyBoundary.RUN_START
        return self._commit(None, boundary, self._batch.contributing, last, on_settled)

    def _replay(self, entry: RecordedEntry) -> tuple[RunBoundaryReceipt, tuple[BatchMember, ...]]:
        if self._boundaries >= len(self._journal.boundaries):
            raise Corrupt(record="entry", key=entry.place, detail="the receipt of its boundary is missing")
        recorded, session, main = self._journal.boundaries[self._boundaries], self._session, self._main
        main.sent[self._sent :] = self._entering.record.unsent(main.sent[self._sent :])
        if self._entering.record.compares(entry):
            appended = tuple(session.appended[session.landed :])
            sent = tuple((each.target, digest(each.payload), each.terms) for each in main.sent[self._sent :])
            written = self._state.buffered()
            compared = (
                ("appended", recorded.appended, appended),
                ("moved in the session", recorded.moved, tuple(session.moves[session.moves_landed :])),
                ("sent", recorded.sent, sent),
                ("written to the state", recorded.written, written),
            )
            for what, stored, given in compared:
                if stored != given:
                    counts = f"{len(stored)} {what}", f"{len(given)} {what}, not the same"
                    raise self._entering.mismatch(Differs(entry.place, *counts))
            self._state.landed(written)
        else:
            # Of another version, or where a person has said so: what stands is taken.
            session.appended[session.landed :] = recorded.appended
            session.moves[session.moves_landed :] = recorded.moved
            main.sent[self._sent :] = [Message(target, b"null", terms) for target, _, terms in recorded.sent]
            main.written.clear()
            self._state.landed(recorded.written)
        self._flush_ended()
        self._landed(len(session.appended), len(session.moves), len(main.sent))
        return recorded.receipt, self._batch.joined_at(recorded.receipt.sequence)

    async def _commit(
        self,
        flight: Flight | None,
        boundary: RunApplyBoundary,
        contributing: Iterable[InputId],
        last: Callable[[], list[Change]],
        on_settled: Callable[[Outcome], None],
    ) -> CommitResult:
        entering = self._entering
        if len(self._main.sent) > self._sent:
            await self._settle_sent(flight)
        receipt = MintReceipt(
            runtime_id=entering.runtime_id,
            run_id=entering.run_id,
            boundary=boundary,
            contributing_input_ids=tuple(contributing),
        )
        standing = entering.standing_on(self._main) if flight is None else flight.standing
        if self._main.ended:
            self._flush_ended()
        written = self._state.buffered()
        changes = self._buffered(written)
        changes.append(receipt)
        if standing is not NOTHING_BEFORE:
            changes[:0] = standing.changes(entering.runtime_id, entering.run_id)
        if flight is None and self._state.has_written:
            changes.insert(-1, own_state.SettleOwnState(runtime_id=entering.runtime_id, run_id=entering.run_id))
        # Counted now: what another task of the behaviour adds while this is on its way lands with the next boundary.
        session, sent = self._session, len(self._main.sent)
        buffered = len(session.appended), len(session.moves), sent, tuple(self._batch.ended)
        attached = len(self._main.attached)
        changes += self._answered()
        if flight is None and self._batch.deadlines:
            changes += self._late(
                ends=True
            )  # before the end of the run consumes them, and after what was answered in time
        result = await entering.commit(lambda: [*changes, *last()], on_settled)
        self._landed(*buffered)
        if self._batch.deadlines:
            for _, late in result.of_kind(ExpireMembers):
                self._batch.over(late)
        if written:
            self._state.landed(written)
        self._main.attached = self._main.attached[attached:]
        if standing is not NOTHING_BEFORE:
            standing.landed()
        return result

    async def _settle_sent(self, flight: Flight | None) -> None:
        """Leave out what a restart took over; what is new waits until all of that is reached."""
        sent, seen = self._main.sent, self._sent
        while seen < len(sent):  # more may be sent meanwhile, by another task of the behaviour
            sent[seen:] = self._entering.record.unsent(sent[seen:])
            seen = len(sent)
            if seen > self._sent and flight is not None and self._entering.record.messages_left():
                flight.waits = True
                await self._entering.admit_messages(flight.place, self._new)
                flight.waits = False

    def _new(self) -> str:
        return _list(self._main.sent[self._sent :])

    def _settled(self, outcome: Outcome) -> None:
        if isinstance(outcome, CommitResult):
            self._peers.landed(outcome)

    # In a branch: what it appends, rejects, answers and writes has an order beside the others, and lands when all have ended.

    async def _land_in_branch(self, flight: Flight, last: Sequence[Change]) -> CommitResult:
        entering, sent = self._entering, flight.branch.sent
        sent[:] = entering.record.unsent(sent)
        if sent and entering.record.messages_left():
            flight.waits = True
            await entering.admit_messages(flight.place, lambda: _list(sent))
            flight.waits = False
        sends = self._sends(sent, 0, flight.place)
        beside = flight.standing.changes(entering.runtime_id, entering.run_id)
        result = await entering.commit(lambda: (*beside, *sends, *last), self._settled)
        del sent[: len(sends)]
        flight.standing.landed()
        return result

    def _replay_in_branch(self, branch: Branch, entry: RecordedEntry) -> None:
        recorded = self._journal.sent_in.get(entry.place, ())
        given = [(each.target, digest(each.payload), each.terms) for each in self._entering.record.unsent(branch.sent)]
        if self._entering.record.compares(entry) and given != [*recorded]:
            counts = f"{len(recorded)} sent", f"{len(given)} sent, not the same"
            raise self._entering.mismatch(Differs(entry.place, *counts))
        branch.sent.clear()

    def _late(self, *, ends: bool = False) -> list[Change]:
        entering = self._entering
        if not self._batch.may_be_late(entering.store.seams.wall_clock):
            return []
        return [ExpireMembers(runtime_id=entering.runtime_id, run_id=entering.run_id, ends=ends)]

    def _flush_ended(self) -> None:
        for input_id, how in self._main.ended:
            self._batch.end(input_id, how)
        self._main.ended.clear()

    def _answered(self) -> list[Change]:
        """Stand after the receipt of the boundary at which they are consumed."""
        if not self._batch.ended:
            return []
        runtime_id, run_id = self._entering.runtime_id, self._entering.run_id
        return [
            AnswerInput(runtime_id=runtime_id, run_id=run_id, input_id=input_id, result=how)
            for input_id, how in self._batch.ended.items()
            if isinstance(how, bytes)
        ]

    def _buffered(self, written: own_state.Written) -> list[Change]:
        runtime_id, run_id = self._entering.runtime_id, self._entering.run_id
        changes = self._session.changes(runtime_id, run_id)
        if sent := self._main.sent[self._sent :]:
            changes += self._sends(sent, self._sent + self._journal.sends_forgotten, None)
        if self._main.attached:
            changes.append(self._session.stamps(self._main.attached))
        for input_id, how in self._batch.ended.items():
            if isinstance(how, str):
                changes.append(RejectInput(runtime_id=runtime_id, run_id=run_id, input_id=input_id, error=how))
        if written:
            values = tuple(written.items())
            changes.append(own_state.WriteOwnState(runtime_id=runtime_id, run_id=run_id, values=values))
        return changes

    def _sends(self, messages: Sequence[Message], before: int, place: str | None) -> list[Send]:
        entering, carry = self._entering, ground_of(self._entering.store).hooks.carry
        return [
            Send(
                runtime_id=entering.runtime_id,
                run_id=entering.run_id,
                index=index,
                place=place,
                target=each.target,
                input_id=InputId(entering.store.seams.new_id()),
                payload=each.payload,
                payload_digest=digest(each.payload),
                fits=self._kinds.fits(each.payload),
                terms=each.terms,
                session_id=None if each.terms.kind is None else SessionId(entering.store.seams.new_id()),
                traceparent=None if carry is None else carry("send", each.target, each.terms.kind or "", None),
            )
            for index, each in enumerate(messages, before + 1)
        ]

    def _landed(self, appended: int, moves: int, sent: int, ended: tuple[InputId, ...] = ()) -> None:
        self._boundaries += 1
        self._session.landed = appended
        self._session.moves_landed = moves
        self._sent = sent
        self._batch.landed(ended)


def _list(messages: Sequence[Message]) -> str:
    return "; ".join([str(asked_by(each)) for each in messages])


def asks(kind: EntryKind) -> Asked:
    """A boundary of this kind, as it is asked for."""
    return Asked(kind=kind, name=str(kind), arguments=NOTHING)
