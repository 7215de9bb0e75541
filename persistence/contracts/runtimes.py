"""`store.runtimes`: the verbs of a runtime store, both vintages, over one write path.

Every verb that writes takes ``fence=``, the token of the writer: needed where a host owns the runtime, and compared where it
is given (design §4). A verb that fails has written nothing; what it raises says why, and `StoreBroken` says whether even that
is unknown. A verb that is cancelled before its commit was taken has written nothing; afterwards its outcome is delivered and
the cancellation comes at the next checkpoint.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, final

from tenure.errors import InvalidInput, InvalidSnapshot, ReadFailed, SessionKeyMismatch
from tenure.persistence.commits.commit import (
    Change,
    Commit,
    CommitResult,
)
from tenure.persistence.facets.conversation import snapshots
from tenure.persistence.facets.conversation.snapshots import (
    ClearSnapshot,
    ReplaceSnapshot,
    WriteSnapshot,
)
from tenure.persistence.facets.inbox import (
    input_records,
    receipts,
)
from tenure.persistence.facets.inbox.input_records import PersistInputs
from tenure.persistence.facets.inbox.receipts import (
    BringReceipt,
    MintReceipt,
)
from tenure.persistence.facets.ownership import lifecycle
from tenure.persistence.facets.ownership.lifecycle import PersistState
from tenure.persistence.model.arguments import (
    checked,
)
from tenure.persistence.model.conversation.envelope import (
    SessionSnapshot,
    decode_snapshot,
    encode_snapshot,
    identity_of,
)
from tenure.persistence.model.inputs.input_state import INPUT_RECORD_VERSION
from tenure.persistence.model.lifecycles.lifecycle_record import decode_lifecycle_record
from tenure.persistence.model.numbers import (
    INT_LIMIT,
)
from tenure.persistence.model.values import check_runtime_id

from .access import Bringing
from .types import (
    InputId,
    InputState,
    InputStatePersistenceRecord,
    LogicalRuntimeId,
    MachineLifecycleCommit,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RunId,
    RuntimeState,
    SessionDelta,
    SessionId,
    StoredInputState,
    TranscriptRewriteCommit,
)

AnyInputState = InputState | StoredInputState | InputStatePersistenceRecord
"""An input as either vintage brings it."""

_DIGEST_LENGTH: Final = 64


@final
@checked
class RuntimeContract:
    """The verbs of `store.runtimes`."""

    def __init__(self, store: Bringing) -> None:
        """Bind to an open store."""
        self._store = store

    # Boundaries

    async def commit_session_boundary(
        self,
        runtime_id: LogicalRuntimeId | str,
        session_delta: SessionDelta,
        run_id: RunId | str,
        boundary: RunApplyBoundary | str,
        contributing_input_ids: Iterable[InputId | str],
        input_updates: Iterable[AnyInputState],
        *,
        fence: int | None = None,
    ) -> RunBoundaryReceipt:
        """Write a conversation, its receipt and its inputs in one commit; the store mints the receipt.

        Every input update is stamped with the run and the receipt's sequence.

        Returns:
            The receipt exactly as it is stored.

        Raises:
            InvalidSnapshot: The delta is not an envelope.
            SnapshotSuperseded: The stored conversation is ahead of the delta.
            ContinuityViolation: The delta does not continue the stored conversation.
            StaleFence: Another token than the runtime's.
        """
        target, run = check_runtime_id(runtime_id), RunId(run_id)
        snapshot = decode_snapshot(session_delta.session_snapshot)
        mint = MintReceipt(
            runtime_id=target,
            run_id=run,
            boundary=RunApplyBoundary(boundary),
            contributing_input_ids=tuple(InputId(each) for each in contributing_input_ids),
            any_run=True,
        )
        result = await self._write(
            target,
            fence,
            WriteSnapshot(runtime_id=target, snapshot=snapshot),
            mint,
            PersistInputs(runtime_id=target, states=_states(input_updates), stamped_by=run),
        )
        receipt: RunBoundaryReceipt = result.answer(mint)
        return receipt

    async def atomic_apply(
        self,
        runtime_id: LogicalRuntimeId | str,
        session_delta: SessionDelta | None,
        receipt: RunBoundaryReceipt,
        input_updates: Iterable[AnyInputState],
        session_store_key: SessionId | str | None = None,
        *,
        fence: int | None = None,
    ) -> None:
        """Write a conversation if there is one, a receipt that the caller made, and inputs, in one commit.

        The checks come in this order: the delta's bytes and key, the fence, the receipt's sequence against those that are
        stored, its digest and count against the delta, the delta against the stored conversation.

        Raises:
            InvalidSnapshot: The delta is not an envelope.
            SessionKeyMismatch: The key names another session than the delta.
            StaleFence: Another token than the runtime's.
            DuplicateReceipt: The run has a receipt of this sequence, whatever it says.
            ReceiptConflict: Its sequence is not the next one, or its digest or count is not the delta's.
            SnapshotSuperseded: The stored conversation is ahead of the delta.
            ContinuityViolation: The delta does not continue the stored conversation.
        """
        target = check_runtime_id(runtime_id)
        _check_receipt(receipt)
        changes: list[Change] = []
        path: tuple[bytes, int] | None = None
        if session_delta is not None:
            snapshot = decode_snapshot(session_delta.session_snapshot)
            if session_store_key is not None and session_store_key != snapshot.session_id:
                raise SessionKeyMismatch(expected=session_store_key, actual=snapshot.session_id)
            path = snapshot.digest, len(snapshot.messages)
            changes.append(WriteSnapshot(runtime_id=target, snapshot=snapshot))
        # The receipt's checks must come before the conversation's, and its writes after them: its place is in `replay`.
        brought = BringReceipt(runtime_id=target, receipt=receipt, path=path)
        updates = PersistInputs(runtime_id=target, states=_states(input_updates))
        await self._write(target, fence, *changes, brought, updates)

    async def load_boundary_receipt(
        self, runtime_id: LogicalRuntimeId | str, run_id: RunId | str, sequence: int
    ) -> RunBoundaryReceipt | None:
        """One stored receipt, or None. Raises `Corrupt` where it cannot be decoded."""
        target = check_runtime_id(runtime_id)
        if not 0 < sequence < INT_LIMIT:
            return None  # no receipt has such a number
        return await self._store.read(lambda statements: receipts.find(statements, target, RunId(run_id), sequence))

    # Snapshots

    async def commit_session_snapshot(
        self, runtime_id: LogicalRuntimeId | str, session_delta: SessionDelta, *, fence: int | None = None
    ) -> None:
        """Write a conversation that continues the stored one; lifts a quarantine. No receipt, no inputs.

        Raises:
            InvalidSnapshot: The delta is not an envelope.
            SnapshotSuperseded: The stored conversation is ahead of the delta.
            ContinuityViolation: The delta does not continue the stored conversation.
        """
        target = check_runtime_id(runtime_id)
        snapshot = decode_snapshot(session_delta.session_snapshot)
        await self._write(target, fence, WriteSnapshot(runtime_id=target, snapshot=snapshot))

    async def commit_session_transcript_rewrite_snapshot(
        self,
        runtime_id: LogicalRuntimeId | str,
        session_delta: SessionDelta,
        commit: TranscriptRewriteCommit,
        *,
        fence: int | None = None,
    ) -> None:
        """Replace the conversation by an edited one; the rewrite is stored with it and gets its own link.

        Raises:
            InvalidSnapshot: The delta is not an envelope, or not at the revision that the rewrite leads to.
            SessionKeyMismatch: The delta names another session than the stored one.
            TranscriptRevisionConflict: The stored conversation is not at the revision that the rewrite starts from.
        """
        target = check_runtime_id(runtime_id)
        snapshot = decode_snapshot(session_delta.session_snapshot)
        await self._write(target, fence, WriteSnapshot(runtime_id=target, snapshot=snapshot, rewrite=commit))

    async def load_session_snapshot(self, runtime_id: LogicalRuntimeId | str) -> bytes | None:
        """The stored conversation as an envelope, or None. Raises `Corrupt` where it cannot be given."""
        target = check_runtime_id(runtime_id)
        snapshot = await self._store.read(lambda statements: snapshots.find(statements, target))
        return None if snapshot is None else encode_snapshot(snapshot)

    async def clear_session_snapshot(self, runtime_id: LogicalRuntimeId | str, *, fence: int | None = None) -> None:
        """Empty the conversation, if there is one; no quarantine."""
        target = check_runtime_id(runtime_id)
        await self._write(target, fence, ClearSnapshot(runtime_id=target))

    async def replace_session_snapshot_if_current(
        self,
        runtime_id: LogicalRuntimeId | str,
        expected_current: bytes,
        replacement: bytes,
        *,
        fence: int | None = None,
    ) -> bool:
        """Replace the conversation by any other, if it is the expected one; lifts a quarantine.

        Returns:
            Whether it was the expected one. If not, nothing was written.

        Raises:
            InvalidSnapshot: The replacement is not an envelope.
        """
        return await self._replace_if(runtime_id, expected_current, decode_snapshot(replacement), fence)

    async def clear_session_snapshot_if_current(
        self, runtime_id: LogicalRuntimeId | str, expected_current: bytes, *, fence: int | None = None
    ) -> bool:
        """Empty the conversation and put the runtime under quarantine, if it is the expected one.

        Returns:
            Whether it was the expected one. If not, nothing was written.
        """
        return await self._replace_if(runtime_id, expected_current, None, fence)

    async def is_runtime_projection_quarantined(self, runtime_id: LogicalRuntimeId | str) -> bool:
        """Whether the conversation was taken away by `clear_session_snapshot_if_current` and none was written since."""
        target = check_runtime_id(runtime_id)
        return await self._store.read(lambda statements: snapshots.is_quarantined(statements, target))

    async def _replace_if(
        self,
        runtime_id: LogicalRuntimeId | str,
        expected_current: bytes,
        replacement: SessionSnapshot | None,
        fence: int | None,
    ) -> bool:
        target = check_runtime_id(runtime_id)
        try:
            expected = identity_of(decode_snapshot(expected_current))
        except InvalidSnapshot:
            expected = b""  # bytes that are no envelope are not what is stored
        change = ReplaceSnapshot(runtime_id=target, expected=expected, snapshot=replacement)
        replaced: bool = (await self._write(target, fence, change)).answer(change)
        return bool(replaced)

    # Inputs

    async def persist_input_state(
        self, runtime_id: LogicalRuntimeId | str, state: AnyInputState, *, fence: int | None = None
    ) -> None:
        """Write one input, on disk when this returns.

        Raises:
            InvalidInput: It contradicts itself.
            InvalidTransition: It has ended already, otherwise than this says.
            IdempotencyConflict: Its key belongs to another input.
        """
        await self.persist_input_states_atomically(runtime_id, (state,), fence=fence)

    async def persist_input_states_atomically(
        self, runtime_id: LogicalRuntimeId | str, states: Iterable[AnyInputState], *, fence: int | None = None
    ) -> None:
        """Write several inputs, all or none; keys are judged when all are written. Raises as `persist_input_state`."""
        target = check_runtime_id(runtime_id)
        await self._write(target, fence, PersistInputs(runtime_id=target, states=_states(states)))

    async def load_input_state(
        self, runtime_id: LogicalRuntimeId | str, input_id: InputId | str
    ) -> StoredInputState | None:
        """One input, or None. Raises `Corrupt` or `SchemaMismatch` where it is there and cannot be given."""
        target = check_runtime_id(runtime_id)
        return await self._store.read(lambda statements: input_records.find(statements, target, InputId(input_id)))

    async def load_input_states(self, runtime_id: LogicalRuntimeId | str) -> Sequence[StoredInputState | ReadFailed]:
        """Every input by admission; at the end, for each that cannot be given, the error that says why.

        One bad row never hides the others.
        """
        target = check_runtime_id(runtime_id)
        return await self._store.read(lambda statements: input_records.of_runtime(statements, target))

    # Lifecycle

    async def persist_runtime_state(
        self, runtime_id: LogicalRuntimeId | str, state: RuntimeState | str, *, fence: int | None = None
    ) -> None:
        """Write the state, projected to what is durable. Raises `RuntimeDestroyed`: nothing leaves destroyed."""
        await self.atomic_lifecycle_commit(runtime_id, state, (), fence=fence)

    async def load_runtime_state(self, runtime_id: LogicalRuntimeId | str) -> RuntimeState | None:
        """The durable state, or None where no lifecycle record was written.

        Raises:
            Corrupt: The record cannot be decoded.
            SchemaMismatch: The record is of another version.
        """
        data = await self.load_machine_lifecycle_record(runtime_id)
        return None if data is None else decode_lifecycle_record(data, runtime_id).runtime_state

    async def atomic_lifecycle_commit(
        self,
        runtime_id: LogicalRuntimeId | str,
        runtime_state: RuntimeState | str,
        input_states: Iterable[AnyInputState],
        *,
        fence: int | None = None,
    ) -> None:
        """Write state and inputs in one commit, for what produces no receipt: retire, reset, stop, destroy.

        Raises:
            RuntimeDestroyed: Nothing leaves destroyed.
            InvalidTransition: One of the inputs has ended already, otherwise than this says.
        """
        target = check_runtime_id(runtime_id)
        await self._write(
            target,
            fence,
            PersistState(runtime_id=target, state=RuntimeState(runtime_state)),
            PersistInputs(runtime_id=target, states=_states(input_states)),
        )

    async def commit_machine_lifecycle(
        self,
        runtime_id: LogicalRuntimeId | str,
        commit: MachineLifecycleCommit,
        input_states: Iterable[AnyInputState],
        *,
        fence: int | None = None,
    ) -> None:
        """Write a lifecycle record with its binding, and inputs, in one commit. Raises as `atomic_lifecycle_commit`."""
        target = check_runtime_id(runtime_id)
        await self._write(
            target,
            fence,
            PersistState(runtime_id=target, state=commit.runtime_state, binding=commit.snapshot.binding),
            PersistInputs(runtime_id=target, states=_states(input_states)),
        )

    async def load_machine_lifecycle_record(self, runtime_id: LogicalRuntimeId | str) -> bytes | None:
        """The lifecycle record's bytes, undecoded, or None. `decode_lifecycle_record` reads them."""
        target = check_runtime_id(runtime_id)
        return await self._store.read(lambda statements: lifecycle.find_record(statements, target))

    async def _write(self, runtime_id: LogicalRuntimeId, fence: int | None, *changes: Change) -> CommitResult:
        return await self._store.bring(Commit(runtime_id=runtime_id, fence_token=fence, changes=changes))


def _states(given: Iterable[AnyInputState]) -> tuple[InputState, ...]:
    states = tuple(_state(each) for each in given)
    if len({state.input_id for state in states}) < len(states):
        raise InvalidInput(detail="an input stands in it twice", field="input_states")
    return states


def _state(given: AnyInputState) -> InputState:
    if isinstance(given, StoredInputState) and given.stored_input_state_version != INPUT_RECORD_VERSION:
        detail = f"it is of version {given.stored_input_state_version}, and {INPUT_RECORD_VERSION} is written"
        raise InvalidInput(detail=detail, field="stored_input_state_version")
    return InputStatePersistenceRecord.of(given if isinstance(given, InputState) else given.state).state


def _check_receipt(receipt: RunBoundaryReceipt) -> None:
    digest = receipt.conversation_digest
    if digest is not None and (len(digest) != _DIGEST_LENGTH or digest.strip("0123456789abcdef")):
        raise InvalidInput(detail="it is not a SHA-256 in hex", field="conversation_digest")
    if receipt.message_count < 0:
        raise InvalidInput(detail="messages are not fewer than 0", field="message_count")
