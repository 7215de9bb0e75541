"""The registry of a runtime's operations, in memory over its stored snapshot.

Decide, write, publish: an end is decided by the table, is on disk, and only then seen by those who watch. A write that fails
leaves the operation as it was, and no watcher hears of it. Changes are made one after another, in the order of their calls.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import final

import trio
from attrs import evolve

from tenure.errors import Closed, FeedGap, NotFound, OperationRejected
from tenure.persistence.model.arguments import checked
from tenure.persistence.model.contracts.operations import (
    MAX_COMPLETED,
    CompletionEntry,
    Operation,
    OperationEvent,
    OperationKind,
    OpsCursors,
    PersistedOpsSnapshot,
    advance,
    recovered,
)
from tenure.persistence.model.values import LogicalRuntimeId

from .operations import OperationsContract

WHAT = "operation"


@final
class _Watch:
    """What those wait for who watch one operation: its end, kept for them also when the registry forgets it."""

    def __init__(self, operation: Operation | None = None) -> None:
        self.operation = operation
        self.ended = trio.Event()

    async def wait(self) -> Operation:
        if self.operation is None:
            await self.ended.wait()
        if self.operation is None:
            raise Closed(what="registry of operations")
        return self.operation


@final
@checked
class OperationRegistry:
    """The operations of one runtime. Made by `open`."""

    def __init__(
        self,
        store: OperationsContract,
        runtime_id: LogicalRuntimeId | str,
        snapshot: PersistedOpsSnapshot,
        fence: int | None,
    ) -> None:
        """Begin from a snapshot; see `open`."""
        self._store = store
        self._runtime_id = runtime_id
        self._fence = fence
        self._snapshot = snapshot
        self._operations = {each.operation_id: each for each in snapshot.operations}
        self._turn = trio.Lock()  # one change at a time: what is decided must still hold when it is on disk
        self._changed = trio.Event()
        self._watches: dict[str, _Watch] = {}
        self._waiting_for_all = False
        self._owner_retired = False
        self._closed = False

    @classmethod
    async def open(
        cls,
        store: OperationsContract,
        runtime_id: LogicalRuntimeId | str,
        *,
        epoch_id: str,
        max_concurrent: int | None = None,
        max_completed: int = MAX_COMPLETED,
        fence: int | None = None,
    ) -> OperationRegistry:
        """The registry of a runtime, recovered where one is stored.

        Recovery keeps what has ended and waits for jobs elsewhere, with the stored epoch; every other job died with its
        process. `epoch_id` and the limits are for a runtime that has no snapshot.

        Raises:
            Corrupt: A snapshot is stored and cannot be decoded.
        """
        stored = await store.load_ops_lifecycle(runtime_id)
        snapshot = PersistedOpsSnapshot(epoch_id=epoch_id, max_concurrent=max_concurrent, max_completed=max_completed)
        return cls(store, runtime_id, snapshot if stored is None else recovered(stored), fence)

    @property
    def epoch_id(self) -> str:
        """The registration that it belongs to."""
        return self._snapshot.epoch_id

    @property
    def cursors(self) -> OpsCursors:
        """How far the readers of the feed have come."""
        return self._snapshot.cursors

    @property
    def watermark(self) -> int:
        """Sequence of the last end; 0 where there is none."""
        return self._snapshot.next_completion_seq - 1

    def get(self, operation_id: str) -> Operation:
        """One operation. Raises `NotFound`, also for one that ended so long ago that it is forgotten."""
        found = self._operations.get(operation_id)
        if found is None:
            raise NotFound(what=WHAT, key=operation_id)
        return found

    def list(self) -> tuple[Operation, ...]:
        """Every operation that is remembered, in the order of registration."""
        return tuple(self._operations.values())

    # Changes

    async def register(self, operation_id: str, kind: OperationKind | str, source: str | None = None) -> Operation:
        """Begin one, provisioning. Raises `OperationRejected`: the id is taken, or too many run at once."""
        async with self._turn:
            self._check_owner(operation_id)
            if operation_id in self._operations:
                raise OperationRejected(operation_id=operation_id, detail="it is registered already")
            limit = self._snapshot.max_concurrent
            active = sum(not each.is_terminal for each in self._operations.values())
            if limit is not None and active >= limit:
                raise OperationRejected(operation_id=operation_id, detail=f"{active} of at most {limit} run")
            operation = Operation(operation_id=operation_id, kind=OperationKind(kind), source=source)
            await self._apply(operation, ended=False)
            return operation

    async def start(self, operation_id: str) -> Operation:
        """It runs now. Raises `NotFound`, `OperationRejected`; so do all changes below."""
        return await self._change(operation_id, OperationEvent.START)

    async def progress(self, operation_id: str) -> Operation:
        """It got on."""
        return await self._change(operation_id, OperationEvent.PROGRESS)

    async def peer_ready(self, operation_id: str) -> Operation:
        """Its peer is there; once, and only where it stands for one."""
        return await self._change(operation_id, OperationEvent.PEER_READY)

    async def complete(self, operation_id: str, detail: str | None = None) -> Operation:
        """It ended well. On disk when this returns, before any watcher hears it; so are all ends below."""
        return await self._change(operation_id, OperationEvent.COMPLETE, detail)

    async def fail(self, operation_id: str, detail: str | None = None) -> Operation:
        """It failed."""
        return await self._change(operation_id, OperationEvent.FAIL, detail)

    async def cancel(self, operation_id: str, detail: str | None = None) -> Operation:
        """It was cancelled."""
        return await self._change(operation_id, OperationEvent.CANCEL, detail)

    async def abort(self, operation_id: str, detail: str | None = None) -> Operation:
        """It failed before it ran."""
        return await self._change(operation_id, OperationEvent.ABORT, detail)

    async def retire(self, operation_id: str) -> Operation:
        """It is asked to end."""
        return await self._change(operation_id, OperationEvent.RETIRE)

    async def retired(self, operation_id: str, detail: str | None = None) -> Operation:
        """It ended as it was asked to."""
        return await self._change(operation_id, OperationEvent.RETIRED, detail)

    async def terminate(self, operation_id: str, detail: str | None = None) -> Operation:
        """It was ended from outside."""
        return await self._change(operation_id, OperationEvent.TERMINATE, detail)

    async def terminate_owner(self, detail: str | None = None) -> tuple[Operation, ...]:
        """End all that still run, because their runtime ends; once. What comes later is rejected."""
        async with self._turn:
            if self._owner_retired:
                return ()
            ended: list[Operation] = []
            for operation in [each for each in self._operations.values() if not each.is_terminal]:
                status = advance(operation, OperationEvent.TERMINATE)
                ended.append(await self._end(evolve(operation, status=status, detail=detail)))
            self._owner_retired = True
            return tuple(ended)

    async def acknowledge(self, cursors: OpsCursors) -> OpsCursors:
        """Move the cursors of the feed's readers forward, on disk; none ever moves back."""
        async with self._turn:
            before = self._snapshot.cursors
            after = OpsCursors(
                agent_applied_cursor=max(before.agent_applied_cursor, cursors.agent_applied_cursor),
                runtime_observed_seq=max(before.runtime_observed_seq, cursors.runtime_observed_seq),
                runtime_last_injected_seq=max(before.runtime_last_injected_seq, cursors.runtime_last_injected_seq),
            )
            if after != before:
                await self._write(evolve(self._snapshot, cursors=after))
            return after

    # Waiting

    async def watch(self, operation_id: str) -> Operation:
        """Wait for one to end; at once where it has. Raises `NotFound`, `Closed`. Any number may watch."""
        await trio.lowlevel.checkpoint()
        return await self._watch(operation_id).wait()

    async def wait_all(self, operation_ids: Iterable[str]) -> tuple[Operation, ...]:
        """Wait for several to end; their ends come in the order asked. One such wait at a time.

        Raises:
            OperationRejected: One stands in it twice, or another such wait goes on.
            NotFound: One is not there.
        """
        await trio.lowlevel.checkpoint()
        wanted = tuple(operation_ids)
        for index, operation_id in enumerate(wanted):
            self.get(operation_id)
            if operation_id in wanted[:index]:
                raise OperationRejected(operation_id=operation_id, detail="it is waited for twice")
        if self._waiting_for_all:
            raise OperationRejected(operation_id=",".join(wanted), detail="another wait for all goes on")
        self._waiting_for_all = True
        # All before the first wait: one that ends first may be forgotten before the last one does.
        watches = [self._watch(operation_id) for operation_id in wanted]
        try:
            return tuple([await each.wait() for each in watches])
        finally:
            self._waiting_for_all = False

    def completions(self, after: int = 0) -> tuple[CompletionEntry, ...]:
        """The ends after a cursor, oldest first. Raises `FeedGap` where the window has moved past it."""
        entries = self._snapshot.completion_entries
        oldest = entries[0].sequence if entries else self._snapshot.next_completion_seq
        if after + 1 < oldest:
            raise FeedGap(requested=after, oldest=oldest)
        return tuple(each for each in entries if each.sequence > after)

    async def wait_completions(self, after: int) -> tuple[CompletionEntry, ...]:
        """Wait until there is something after a cursor. Raises `FeedGap`, `Closed`."""
        await trio.lowlevel.checkpoint()
        while not (found := self.completions(after)):
            if self._closed:
                raise Closed(what="registry of operations")
            await self._changed.wait()
        return found

    def close(self) -> None:
        """Answer every waiter with `Closed`; the stored snapshot stays."""
        self._closed = True
        for watch in self._watches.values():
            watch.ended.set()
        self._watches.clear()
        self._publish()

    def _watch(self, operation_id: str) -> _Watch:
        operation = self.get(operation_id)
        if operation.is_terminal:
            return _Watch(operation)
        if self._closed:
            raise Closed(what="registry of operations")
        return self._watches.setdefault(operation_id, _Watch())

    # How a change is made

    async def _change(self, operation_id: str, event: OperationEvent, detail: str | None = None) -> Operation:
        async with self._turn:
            self._check_owner(operation_id)
            before = self.get(operation_id)
            status = advance(before, event)
            after = evolve(
                before,
                status=status,
                detail=detail,
                peer_ready=before.peer_ready or event is OperationEvent.PEER_READY,
                progress_count=before.progress_count + (event is OperationEvent.PROGRESS),
            )
            if after.is_terminal:
                return await self._end(after)
            await self._apply(after, ended=False)
            return after

    async def _end(self, operation: Operation) -> Operation:
        if operation.kind is OperationKind.BACKGROUND_TOOL_CAPACITY_SLOT:
            await self._apply(operation, ended=True)
            return operation
        numbered = evolve(operation, completion_sequence=self._snapshot.next_completion_seq)
        await self._apply(numbered, ended=True)
        return numbered

    async def _apply(self, operation: Operation, *, ended: bool) -> None:
        kept = dict(self._operations) | {operation.operation_id: operation}
        snapshot = self._snapshot
        if ended:
            snapshot = _with_entry(snapshot, operation)
            over = [each for each in kept.values() if each.is_terminal][: -snapshot.max_completed]
            for each in over:
                del kept[each.operation_id]
        snapshot = evolve(snapshot, operations=tuple(kept.values()))
        # Only what a new process could use is worth a commit: ends, and waits for jobs that live elsewhere.
        if ended or operation.kind is OperationKind.DETACHED_JOB_WAIT:
            await self._write(snapshot)
        self._snapshot, self._operations = snapshot, kept
        watch = self._watches.pop(operation.operation_id, None) if ended else None
        if watch is not None:
            watch.operation = operation
            watch.ended.set()
        self._publish()

    async def _write(self, snapshot: PersistedOpsSnapshot) -> None:
        await self._store.persist_ops_lifecycle(self._runtime_id, snapshot, fence=self._fence)
        self._snapshot = snapshot

    def _publish(self) -> None:
        changed, self._changed = self._changed, trio.Event()
        changed.set()

    def _check_owner(self, operation_id: str) -> None:
        if self._owner_retired:
            raise OperationRejected(operation_id=operation_id, detail="its runtime has ended")


def _with_entry(snapshot: PersistedOpsSnapshot, operation: Operation) -> PersistedOpsSnapshot:
    sequence = operation.completion_sequence
    if sequence is None:
        return snapshot
    entry = CompletionEntry(
        sequence=sequence,
        operation_id=operation.operation_id,
        kind=operation.kind,
        status=operation.status,
        detail=operation.detail,
    )
    window = (*snapshot.completion_entries, entry)[-snapshot.max_completed :]
    return evolve(snapshot, completion_entries=window, next_completion_seq=sequence + 1)
