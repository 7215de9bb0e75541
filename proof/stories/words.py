"""The words of a story: each writes one commit of a runtime, as its owner would."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import Any

import trio

from tenure.errors import DiskFull, InvalidTransition
from tenure.persistence.commits.commit import (
    Change,
    Commit,
    CommitResult,
)
from tenure.persistence.facets.conversation import sessions
from tenure.persistence.facets.inbox import (
    inputs,
    receipts,
)
from tenure.persistence.facets.inbox.newcomers import Newcomer
from tenure.persistence.facets.ownership import (
    lifecycle,
    ownership,
)
from tenure.persistence.facets.runs import (
    again,
    entries,
    interrupted,
    results,
    runs,
    sends,
)
from tenure.persistence.facets.runs.addressed import SendTerms
from tenure.persistence.facets.runs.asking import asks
from tenure.persistence.facets.state import own_state
from tenure.persistence.model.inputs.delay import Delay
from tenure.persistence.model.values import (
    HeldReason,
    InputId,
    Lane,
    LogicalRuntimeId,
    RunApplyBoundary,
    RunId,
    SessionId,
)
from tenure.persistence.store import Store
from tenure.testing.history import Witness
from tenure.testing.machine import Machine

KIND = "story"
TRIES_WHEN_FULL = 3


class Words:
    """Commits of runtimes whose tokens are remembered.

    Attributes:
        store: Where they are written.
        witness: Hears what is refused.
        random: The seeded randomness of the scenario.
        tokens: By runtime.
    """

    def __init__(self, store: Store, machine: Machine, witness: Witness) -> None:
        """Write to this store."""
        self.store = store
        self.witness = witness
        self.random = machine.random
        self.tokens: dict[str, int] = {}

    async def write(self, *changes: Change) -> tuple[Any, ...]:
        """Write one commit of a runtime, under its token; the answers."""
        guarded = [change for change in changes if not change.ingress]
        runtime_id: LogicalRuntimeId | None = getattr(guarded[0], "runtime_id", None) if guarded else None
        token = None if runtime_id is None else self.tokens.get(runtime_id)
        commit = Commit(runtime_id=runtime_id, fence_token=token, changes=changes)
        result: CommitResult = await self.retried(self.store.commit, commit)
        return result.values

    async def retried(self, verb: Any, *arguments: Any) -> Any:
        """Call a verb again where the disk was full."""
        # As an actor does: nothing landed, and there may be room again.
        for _ in range(TRIES_WHEN_FULL):
            try:
                return await verb(*arguments)
            except DiskFull:
                await trio.sleep(1)
        return await verb(*arguments)

    async def own(self, name: str, session_id: SessionId | None = None) -> None:
        """Own a runtime, and remember its token."""
        take = ownership.TakeOwnership(
            runtime_id=id_of(name), kind=KIND, epoch=self.new_id(), session_id=session_id or SessionId(self.new_id())
        )
        (owned,) = await self.write(take)
        self.tokens[name] = owned.fence_token

    async def accept(
        self,
        name: str,
        text: str,
        key: str | None = None,
        lane: Lane = Lane.QUEUE,
        kind: str | None = None,
        deadline_s: float | None = None,
        after_s: float | None = None,
        *,
        newcomer: Newcomer | None = None,
    ) -> InputId:
        """Accept an input; its id."""
        payload = text.encode()
        if kind is not None:
            newcomer = Newcomer(kind=kind, session_id=SessionId(self.new_id()))
        change = inputs.AcceptInput(
            runtime_id=id_of(name),
            input_id=InputId(self.new_id()),
            lane=lane,
            idempotency_key=key,
            payload=payload,
            payload_digest=hashlib.sha256(payload).digest(),
            newcomer=newcomer,
            deadline_s=deadline_s,
            delay=None if after_s is None else Delay(after_s=after_s),
        )
        (accepted,) = await self.write(change)
        input_id: InputId = accepted.input_id
        return input_id

    async def refused(self, name: str) -> None:
        """Write a commit that is refused in its middle."""
        # Its first change writes and its second is refused: the savepoint takes the first one back.
        message = b'"must not be there"'
        self.witness.refused("message", (name, hashlib.sha256(message).digest()))
        refused = Commit(
            runtime_id=id_of(name),
            fence_token=self.tokens[name],
            changes=(
                sessions.AppendMessages(runtime_id=id_of(name), messages=(message,)),
                runs.FinishRun(runtime_id=id_of(name), run_id=RunId("no such run")),
            ),
        )
        with suppress(InvalidTransition, DiskFull):
            await self.store.commit(refused)
            raise AssertionError("a commit of a run that is not there landed")

    async def begin(self, name: str, batch: int = 1, *, events: bool = False) -> RunId:
        """Begin a run, or enter one again; its id."""
        change = runs.BeginRun(runtime_id=id_of(name), run_id=RunId(self.new_id()), batch=batch, events=events)
        (begun,) = await self.write(change)
        run_id: RunId = begun.run_id
        return run_id

    async def put_aside(
        self, name: str, run_id: RunId, wake_at: float | None = None, *, steerable: bool = False
    ) -> None:
        """Put a run aside, which nothing keeps from that."""
        change = interrupted.PutAside(runtime_id=id_of(name), run_id=run_id, wake_at=wake_at, steerable=steerable)
        assert await self.write(change) == (True,)

    async def enter_again(self, name: str) -> None:
        """Own a runtime whose run is due, and begin that again."""
        await self.own(name)
        await self.begin(name)

    async def step(self, name: str, run_id: RunId, step: str, place: str, result: bytes | None) -> None:
        """Record a step; one without a result is in doubt."""
        in_doubt = result is None
        await self.write(
            entries.RecordEntry(
                runtime_id=id_of(name),
                run_id=run_id,
                place=place,
                kind=entries.EntryKind.STEP,
                name=step,
                arguments_digest=bytes(32),
                version="1",
                repeat=entries.Repeat.NEVER if in_doubt else entries.Repeat.FREELY,
                status=entries.EntryStatus.DISPATCHED if in_doubt else entries.EntryStatus.SUCCEEDED,
                result=result,
                started_at=0.0,
                ended_at=None if in_doubt else 1.0,
            )
        )

    async def settle(self, name: str, run_id: RunId, place: str, *, ran: bool) -> None:
        """The runtime is held for a step in doubt, until a person says whether it ran."""
        doubt = entries.DoubtEntries(runtime_id=id_of(name), run_id=run_id)
        await self.write(lifecycle.Hold(runtime_id=id_of(name), reason=HeldReason.NEEDS_ATTENTION), doubt)
        settle = entries.SettleEntry(runtime_id=id_of(name), place=place, ran=ran, result=b'"paid"')
        await self.write(settle, lifecycle.Hold(runtime_id=id_of(name), reason=None))

    async def fail(self, name: str, run_id: RunId, retry_at: float | None) -> InputId:
        """Fail a run; the id of the input that is abandoned with it, empty for none."""
        (abandoned,) = await self.write(
            runs.FailRun(runtime_id=id_of(name), run_id=run_id, error="broken", retry_at=retry_at, failures="[]")
        )
        return abandoned[0] if abandoned else InputId("")

    async def finish(self, name: str, run_id: RunId, *goes_on: Change, in_doubt: bool = False) -> None:
        """Finish a run, with its state, receipt and result."""
        await self.write(
            own_state.SettleOwnState(runtime_id=id_of(name), run_id=run_id),
            self.receipt(name, run_id, RunApplyBoundary.RUN_START),
            results.StoreResult(runtime_id=id_of(name), run_id=run_id, result=f'"of {run_id}"'.encode()),
            runs.FinishRun(runtime_id=id_of(name), run_id=run_id, in_doubt=in_doubt),
            *goes_on,
        )

    def again(self, name: str, run_id: RunId) -> Change:
        """A run that goes on after another one."""
        payload = f'"after {run_id}"'.encode()
        return again.RunAgain(
            runtime_id=id_of(name),
            run_id=run_id,
            next_run_id=RunId(self.new_id()),
            input_id=InputId(self.new_id()),
            payload=payload,
            payload_digest=hashlib.sha256(payload).digest(),
        )

    def receipt(self, name: str, run_id: RunId, boundary: RunApplyBoundary) -> Change:
        """A receipt of a run."""
        return receipts.MintReceipt(runtime_id=id_of(name), run_id=run_id, boundary=boundary, contributing_input_ids=())

    def keep(self, name: str, run_id: RunId | None, **values: bytes | None) -> Change:
        """A write of a runtime's own state."""
        return own_state.WriteOwnState(runtime_id=id_of(name), run_id=run_id, values=tuple(values.items()))

    def send(self, name: str, run_id: RunId, index: int, target: str) -> sends.Send:
        """A message of a run to another runtime."""
        payload = f'"from {name}"'.encode()
        return sends.Send(
            runtime_id=id_of(name),
            run_id=run_id,
            index=index,
            target=id_of(target),
            input_id=InputId(self.new_id()),
            payload=payload,
            payload_digest=hashlib.sha256(payload).digest(),
            terms=SendTerms(lane=Lane.QUEUE if index % 2 else Lane.STEER, correlation_id="of the story"),
        )

    def question(self, name: str, run_id: RunId, place: str, target: str) -> asks.Ask:
        """An ask of a run."""
        payload = f'"from {name}"'.encode()
        return asks.Ask(
            runtime_id=id_of(name),
            run_id=run_id,
            target=id_of(target),
            input_id=InputId(self.new_id()),
            response_id=InputId(self.new_id()),
            payload=payload,
            payload_digest=hashlib.sha256(payload).digest(),
            terms=SendTerms(correlation_id="of the story"),
            entry=self.waiting(name, run_id, place, target),
        )

    def waiting(self, name: str, run_id: RunId, place: str, target: str) -> entries.RecordEntry:
        """The entry of an ask that waits."""
        return entries.RecordEntry(
            runtime_id=id_of(name),
            run_id=run_id,
            place=place,
            kind=entries.EntryKind.ASK,
            name=target,
            arguments_digest=bytes(32),
            version="1",
            status=entries.EntryStatus.DISPATCHED,
            started_at=0.0,
        )

    def new_id(self) -> str:
        """A fresh id."""
        return self.store.seams.new_id()


def id_of(name: str) -> LogicalRuntimeId:
    """The id of a runtime."""
    return LogicalRuntimeId(name)
