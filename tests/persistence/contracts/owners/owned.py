"""A runtime that a host owns, written by its owner's changes: something in every table that the owner writes."""

from __future__ import annotations

from typing import Any, final

from tenure import InputId, LogicalRuntimeId, RunApplyBoundary, RunId, SessionId, Store
from tenure.persistence.commits.commit import (
    Change,
    Commit,
)
from tenure.persistence.facets.conversation import moves, sessions
from tenure.persistence.facets.inbox import (
    inputs,
    receipts,
)
from tenure.persistence.facets.output import output
from tenure.persistence.facets.ownership import (
    lifecycle,
    ownership,
    requests,
)
from tenure.persistence.facets.ownership.spawning import Spawn
from tenure.persistence.facets.runs import (
    again,
    dead_letters,
    entries,
    results,
    runs,
    sends,
)
from tenure.persistence.facets.runs.addressed import SendTerms
from tenure.persistence.facets.runs.asking import asks
from tenure.persistence.facets.runs.children import OnEnd, Scope
from tenure.persistence.facets.state import own_state
from tenure.persistence.model.codec import digest
from tenure.persistence.model.conversation.paths import RunPath
from tenure.persistence.model.entries import EntryKind
from tenure.persistence.model.output import OutputKind, Said
from tenure.persistence.model.values import (
    AbandonReason,
    InputKind,
    Lane,
    RuntimeState,
)

KIND = "reader"


@final
class Owner:
    """Writes one runtime under its token, as an actor would; knows the runs it began by their ids."""

    def __init__(self, store: Store, name: str) -> None:
        self.store = store
        self.runtime_id = LogicalRuntimeId(name)
        self.token: int | None = None

    def named(self, text: str) -> str:
        return f"{self.runtime_id} {text}"

    async def write(self, *changes: Change) -> tuple[Any, ...]:
        guarded = any(not change.ingress for change in changes)
        commit = Commit(
            runtime_id=self.runtime_id if guarded else None,
            fence_token=self.token if guarded else None,
            changes=changes,
        )
        return (await self.store.commit(commit)).values

    async def own(self, kind: str = KIND) -> ownership.Ownership:
        session = SessionId(f"talk-{self.runtime_id}")
        take = ownership.TakeOwnership(
            runtime_id=self.runtime_id,
            kind=kind,
            epoch="epoch",
            session_id=session,
            labels=(("of", "all"), ("tier", "gold"), ("trial", "")),
        )
        (owned,) = await self.write(take)
        self.token = owned.fence_token
        return owned

    async def accept(self, name: str, **more: Any) -> inputs.AcceptedInput:
        payload = b'{"text":"%s"}' % name.encode()
        change = inputs.AcceptInput(
            runtime_id=self.runtime_id,
            input_id=InputId(self.named(name)),
            payload=payload,
            payload_digest=digest(payload),
            **more,
        )
        (accepted,) = await self.write(change)
        return accepted

    async def begin(self, run: str, batch: int = 1) -> Any:
        change = runs.BeginRun(runtime_id=self.runtime_id, run_id=RunId(self.named(run)), batch=batch)
        return (await self.write(change))[0]

    async def step(
        self, run: str, name: str, status: entries.EntryStatus, result: bytes | None = None, place: str = "main/1"
    ) -> None:
        await self.write(self.entry(run, EntryKind.STEP, name, status, result, place, entries.Repeat.NEVER))

    def entry(
        self,
        run: str,
        kind: EntryKind,
        name: str,
        status: entries.EntryStatus,
        result: bytes | None,
        place: str,
        repeat: entries.Repeat = entries.Repeat.FREELY,
    ) -> Change:
        return entries.RecordEntry(
            runtime_id=self.runtime_id,
            run_id=RunId(self.named(run)),
            place=place,
            kind=kind,
            name=name,
            arguments_digest=digest(b"[]"),
            version="1",
            repeat=repeat,
            status=status,
            result=result,
            started_at=1.0,
        )

    def append(self, run: str, *messages: bytes) -> Change:
        return sessions.AppendMessages(runtime_id=self.runtime_id, messages=messages, run_id=RunId(self.named(run)))

    def move(self, run: str, kind: EntryKind, count: int, appended: int, path: RunPath) -> Change:
        """Of `count` messages, `appended` of them of this run."""
        return moves.MoveHead(
            runtime_id=self.runtime_id,
            run_id=RunId(self.named(run)),
            move=moves.Move(place="main/1", kind=kind, path=path, appended=appended),
            count=count,
        )

    def send(self, run: str, index: int, target: str) -> Change:
        return sends.Send(
            runtime_id=self.runtime_id,
            run_id=RunId(self.named(run)),
            index=index,
            target=LogicalRuntimeId(target),
            input_id=InputId(self.named(f"sent {index}")),
            payload=b'"hello"',
            payload_digest=digest(b'"hello"'),
            terms=SendTerms(correlation_id=f"answers {index}"),
        )

    def receipt(self, run: str, boundary: RunApplyBoundary = RunApplyBoundary.RUN_CHECKPOINT) -> Change:
        return receipts.MintReceipt(
            runtime_id=self.runtime_id,
            run_id=RunId(self.named(run)),
            boundary=boundary,
            contributing_input_ids=(),
        )

    def finish(self, run: str) -> Change:
        return runs.FinishRun(runtime_id=self.runtime_id, run_id=RunId(self.named(run)))

    def again(self, run: str, after: str = "after") -> Change:
        return again.RunAgain(
            runtime_id=self.runtime_id,
            run_id=RunId(self.named(run)),
            next_run_id=RunId(self.named(after)),
            input_id=InputId(self.named(f"goes on {after}")),
            payload=b'"on"',
            payload_digest=digest(b'"on"'),
        )

    def result(self, run: str, result: bytes) -> Change:
        return results.StoreResult(runtime_id=self.runtime_id, run_id=RunId(self.named(run)), result=result)

    def answered(self, run: str, name: str, result: bytes) -> Change:
        return results.AnswerInput(
            runtime_id=self.runtime_id,
            run_id=RunId(self.named(run)),
            input_id=InputId(self.named(name)),
            result=result,
        )

    def asked(self, run: str, name: str, place: str, target: str | None = None) -> Change:
        return asks.Ask(
            runtime_id=self.runtime_id,
            run_id=RunId(self.named(run)),
            target=LogicalRuntimeId(target or self.named("oracle")),
            input_id=InputId(self.named(name)),
            response_id=InputId(self.named(f"answer to {name}")),
            payload=b'"question"',
            payload_digest=digest(b'"question"'),
            terms=SendTerms(correlation_id=name, kind=None if target else KIND),
            session_id=SessionId(f"of {self.named('oracle')}"),
            entry=self._asking(run, name, place, entries.EntryStatus.DISPATCHED),
        )

    def gave_up(self, run: str, name: str, place: str) -> Change:
        entry = self._asking(run, name, place, entries.EntryStatus.SUCCEEDED)
        return asks.EndAsk(runtime_id=self.runtime_id, run_id=RunId(self.named(run)), entry=entry, late=True)

    def _asking(self, run: str, name: str, place: str, status: entries.EntryStatus) -> entries.RecordEntry:
        terms = SendTerms(correlation_id=name, kind=KIND)
        return entries.RecordEntry(
            runtime_id=self.runtime_id,
            run_id=RunId(self.named(run)),
            place=place,
            kind=entries.EntryKind.ASK,
            name=self.named("oracle"),
            arguments_digest=digest(b'"question"' + (terms.stored() or "").encode()),
            version="1",
            status=status,
            started_at=1.0,
        )

    def spawned(self, run: str, name: str, place: str) -> Change:
        return Spawn(
            runtime_id=self.runtime_id,
            run_id=RunId(self.named(run)),
            child=LogicalRuntimeId(self.named(name)),
            kind=KIND,
            scope=Scope.RUN,
            on_end=OnEnd.LEAVE,
            session_id=SessionId(f"of {self.named(name)}"),
            entry=self._asking(run, name, place, entries.EntryStatus.SUCCEEDED),
        )

    def keep(self, run: str, **values: bytes | None) -> Change:
        return own_state.WriteOwnState(
            runtime_id=self.runtime_id, run_id=RunId(self.named(run)), values=tuple(values.items())
        )

    def settle(self, run: str) -> Change:
        return own_state.SettleOwnState(runtime_id=self.runtime_id, run_id=RunId(self.named(run)))

    def say(self, run: str, *values: bytes, start: int = 0) -> Change:
        return output.AppendOutput(
            runtime_id=self.runtime_id,
            run_id=RunId(self.named(run)),
            speech=self.named(run),
            attempt=1,
            start=start,
            entries=tuple([Said(OutputKind.DATA, "output", "main", 0, value) for value in values]),
        )

    def fail(self, run: str, retry_at: float | None = None) -> Change:
        return runs.FailRun(
            runtime_id=self.runtime_id,
            run_id=RunId(self.named(run)),
            error="it broke",
            retry_at=retry_at,
            failures="[1.0]",
        )

    def retry(self, name: str) -> Change:
        return dead_letters.RetryDeadLetter(runtime_id=self.runtime_id, input_id=InputId(self.named(name)))

    def drop(self, name: str) -> Change:
        return dead_letters.DropDeadLetter(runtime_id=self.runtime_id, input_id=InputId(self.named(name)))

    def ask(self, request: str, verb: str = "resume") -> Change:
        return requests.RequestLifecycle(
            runtime_id=self.runtime_id, request_id=self.named(request), verb=verb, arguments="{}"
        )

    def answer(self, request: str) -> Change:
        return requests.FinishRequest(runtime_id=self.runtime_id, request_id=self.named(request), answer="{}")

    async def reset(self) -> None:
        reset = lifecycle.WriteLifecycle(
            runtime_id=self.runtime_id,
            state=RuntimeState.IDLE,
            abandon=AbandonReason.RESET,
            end_run=True,
            next_generation=True,
        )
        _, self.token = await self.write(reset, ownership.RenewToken(runtime_id=self.runtime_id))

    async def begin_life(self) -> None:
        """A finished run, to be pruned."""
        await self.own()
        await self.accept("first", idempotency_key="key")
        await self.begin("finished")
        await self.write(
            self.say("finished", b'"gone"'),
            self.append("finished", b'"done"'),
            self.receipt("finished", RunApplyBoundary.RUN_START),
            self.finish("finished"),
        )

    async def go_on(self) -> None:
        """A dead letter, a dropped one, requests, a reset; then a run in flight with work behind it."""
        for dead in ("dead", "dropped"):
            await self.accept(dead)
            await self.begin(dead)
            await self.write(self.fail(dead))
        await self.write(self.drop("dropped"))
        for name in ("told", "told too"):
            await self.accept(name, idempotency_key=name)
        await self.begin("told", batch=2)
        await self.write(self.say("told", b'"once"', b'"upon"'))
        await self.write(
            self.receipt("told", RunApplyBoundary.RUN_START),
            self.answered("told", "told too", b'"apart"'),
            self.result("told", b'"together"'),
            self.finish("told"),
        )
        for request in ("asked", "answered"):
            await self.write(self.ask(request))
        await self.write(self.answer("answered"))
        await self.reset()
        for name in ("one", "two", "three"):
            await self.accept(name, idempotency_key=name)
        await self.accept("waiting", kind=InputKind.PEER_RESPONSE_PROGRESS, supersession_key="s")
        await self.begin("run", batch=2)
        for start, word in enumerate((b'"tok"', b'"en"')):
            await self.write(self.say("run", word, start=start))
        await self.step("run", "looked", entries.EntryStatus.SUCCEEDED, b'"seen"')
        await self.write(
            self.append("run", b'"hello"', b'"world"'),
            self.move("run", EntryKind.FORK, 3, 2, RunPath(1, ((0, 1),))),
            self.keep("run", kept=b'"value"', gone=None),
            self.send("run", 1, "peer"),
            self.send("run", 2, "nobody"),
            self.receipt("run"),
            self.entry("run", EntryKind.CHECKPOINT, "checkpoint", entries.EntryStatus.SUCCEEDED, None, "main/2"),
        )
        await self.write(self.spawned("run", "child", "main/6"))
        await self.write(self.asked("run", "in time", "main/4"))
        await self.write(self.asked("run", "too late", "main/5"))
        await self.write(self.gave_up("run", "too late", "main/5"))
        await self.step("run", "paid", entries.EntryStatus.DISPATCHED, place="main/3")
        await self.accept("steering", lane=Lane.STEER)


async def live(*owners: Owner) -> None:
    """Something in every table, for each of them."""
    for owner in owners:
        await owner.begin_life()
    await owners[0].store.prune(0)
    for owner in owners:
        await owner.go_on()
