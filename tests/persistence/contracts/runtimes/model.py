"""A runtime store as plain dicts: the oracle of the state machine. Naive on purpose."""

from __future__ import annotations

from typing import Any

import attrs

from tenure import (
    InputPhase,
    InputState,
    PersistedOpsSnapshot,
    RunBoundaryReceipt,
    SessionSnapshot,
    TranscriptRewriteCommit,
)
from tenure.errors import (
    ContinuityViolation,
    DuplicateReceipt,
    Error,
    IdempotencyConflict,
    InvalidSnapshot,
    InvalidTransition,
    ReceiptConflict,
    RuntimeDestroyed,
    SessionBindingMismatch,
    SessionKeyMismatch,
    SnapshotSuperseded,
    TranscriptRevisionConflict,
)

ENDS = (InputPhase.CONSUMED, InputPhase.SUPERSEDED, InputPhase.COALESCED, InputPhase.ABANDONED)
DURABLE = {"attached": "idle", "running": "idle"}


class Refused(Exception):
    """The model refuses, and the store must refuse with this class."""

    def __init__(self, error: type[Error]) -> None:
        super().__init__(error.__name__)
        self.error = error


@attrs.define
class Session:
    """A session: whose it is, and its active path."""

    owner: str
    messages: tuple[bytes, ...] = ()
    rewrites: tuple[TranscriptRewriteCommit, ...] = ()
    meta: dict[str, Any] | None = None

    @property
    def holds_anything(self) -> bool:
        return bool(self.messages or self.rewrites)


@attrs.define
class Runtime:
    """Everything of one runtime."""

    state: str | None = None
    session: str | None = None
    quarantined: bool = False
    inputs: dict[str, InputState] = attrs.field(factory=dict[str, InputState])
    receipts: dict[tuple[str, int], RunBoundaryReceipt] = attrs.field(factory=dict[tuple[str, int], RunBoundaryReceipt])
    ops: PersistedOpsSnapshot | None = None


class Model:
    """The verbs of the contract, over dicts. A refused verb changes nothing: callers work on a copy."""

    def __init__(self) -> None:
        self.runtimes: dict[str, Runtime] = {}
        self.sessions: dict[str, Session] = {}
        self.credentials: bytes | None = None

    def get(self, name: str) -> Runtime:
        return self.runtimes.setdefault(name, Runtime())

    def living(self, name: str) -> Runtime:
        found = self.get(name)
        if found.state == "destroyed":
            raise Refused(RuntimeDestroyed)
        return found

    def path(self, name: str) -> SessionSnapshot | None:
        session_id = self.get(name).session
        session = None if session_id is None else self.sessions[session_id]
        if session is None or session_id is None or (session.meta is None and not session.messages):
            return None
        return SessionSnapshot(
            session_id=session_id,  # type: ignore[arg-type]
            messages=session.messages,
            rewrites=session.rewrites,
            meta=session.meta or {},
        )

    # Snapshots

    def target(self, name: str, session_id: str) -> str:
        own = self.get(name).session
        if own is not None and (own == session_id or self.sessions[own].holds_anything):
            return own
        other = self.sessions.get(session_id)
        if other is not None and other.owner != name:
            raise Refused(SessionBindingMismatch)
        return session_id

    def write(self, name: str, snapshot: SessionSnapshot, rewrite: TranscriptRewriteCommit | None = None) -> None:
        self.check_write(name, snapshot, rewrite)
        target = self.target(name, snapshot.session_id)
        rewrites = snapshot.rewrites
        if rewrite is not None and rewrite not in rewrites:
            rewrites = (*rewrites, rewrite)
        self.put(name, target, snapshot, rewrites)

    def put(
        self, name: str, target: str, snapshot: SessionSnapshot, rewrites: tuple[TranscriptRewriteCommit, ...]
    ) -> None:
        runtime = self.get(name)
        self.sessions[target] = Session(
            owner=name, messages=snapshot.messages, rewrites=rewrites, meta=dict(snapshot.meta)
        )
        runtime.session = target
        runtime.quarantined = False

    def check_write(self, name: str, snapshot: SessionSnapshot, rewrite: TranscriptRewriteCommit | None) -> None:
        self.living(name)
        target = self.target(name, snapshot.session_id)
        stored = self.sessions.get(target)
        if rewrite is not None:
            self.check_rewrite(target, stored, snapshot, rewrite)
        elif stored is not None and stored.holds_anything:
            self.check_continuity(target, stored, snapshot)

    def check_rewrite(
        self, target: str, stored: Session | None, snapshot: SessionSnapshot, rewrite: TranscriptRewriteCommit
    ) -> None:
        if stored is None:
            raise Refused(TranscriptRevisionConflict)
        if target != snapshot.session_id:
            raise Refused(SessionKeyMismatch)
        if digest(stored.messages) != rewrite.parent_revision:
            raise Refused(TranscriptRevisionConflict)
        if snapshot.revision != rewrite.revision:
            raise Refused(InvalidSnapshot)
        if snapshot.rewrites not in (stored.rewrites, (*stored.rewrites, rewrite)):
            raise Refused(InvalidSnapshot)

    def check_continuity(self, target: str, stored: Session, snapshot: SessionSnapshot) -> None:
        if target != snapshot.session_id:
            raise Refused(ContinuityViolation)
        new, old = snapshot.messages, stored.messages
        shorter = len(new) < len(old) and old[: len(new)] == new
        known = len(stored.rewrites)
        if snapshot.rewrites[:known] != stored.rewrites:
            older = stored.rewrites[: len(snapshot.rewrites)] == snapshot.rewrites
            raise Refused(SnapshotSuperseded if older and shorter else ContinuityViolation)
        if new[: len(old)] == old:
            return
        revision = digest(old)
        added = snapshot.rewrites[known:]
        for each in added:
            if each.parent_revision != revision:
                break
            revision = each.revision
        else:
            if added:
                return
        raise Refused(SnapshotSuperseded if shorter else ContinuityViolation)

    def replace_if(self, name: str, expected: SessionSnapshot, snapshot: SessionSnapshot | None) -> bool:
        if self.path(name) != expected:
            return False
        runtime = self.living(name)
        own = runtime.session
        if snapshot is None:
            self.clear(name)
            runtime.quarantined = True
            return True
        if own is not None and own != snapshot.session_id:
            other = self.sessions.get(snapshot.session_id)
            if other is not None and other.owner != name:
                raise Refused(SessionBindingMismatch)
            self.sessions[own] = Session(owner=name)
        self.put(name, snapshot.session_id, snapshot, snapshot.rewrites)
        return True

    def clear(self, name: str) -> None:
        if name not in self.runtimes:
            return
        session_id = self.living(name).session
        if session_id is not None:
            self.sessions[session_id] = Session(owner=name)

    # Receipts

    def last(self, name: str, run: str) -> int:
        return max((sequence for run_id, sequence in self.get(name).receipts if run_id == run), default=0)

    def apply(
        self,
        name: str,
        snapshot: SessionSnapshot | None,
        receipt: RunBoundaryReceipt,
        states: list[InputState],
    ) -> None:
        key = (receipt.run_id, receipt.sequence)
        if key in self.get(name).receipts:
            raise Refused(DuplicateReceipt)
        if snapshot is not None:
            self.check_write(name, snapshot, None)
        if receipt.sequence != self.last(name, receipt.run_id) + 1:
            raise Refused(ReceiptConflict)
        if snapshot is not None:
            if (receipt.conversation_digest, receipt.message_count) != (snapshot.revision, len(snapshot.messages)):
                raise Refused(ReceiptConflict)
            self.write(name, snapshot)
        self.living(name).receipts[key] = receipt
        self.persist(name, states)

    def boundary(self, name: str, snapshot: SessionSnapshot, run: str, states: list[InputState]) -> int:
        self.write(name, snapshot)
        sequence = self.last(name, run) + 1
        self.living(name).receipts[run, sequence] = RunBoundaryReceipt(
            run_id=run,  # type: ignore[arg-type]
            boundary="run_start",  # type: ignore[arg-type]
            contributing_input_ids=(),
            conversation_digest=snapshot.revision,
            message_count=len(snapshot.messages),
            sequence=sequence,
        )
        stamped = [attrs.evolve(each, last_run_id=run, last_boundary_sequence=sequence) for each in states]
        self.persist(name, stamped)
        return sequence

    # Inputs and lifecycle

    def persist(self, name: str, states: list[InputState]) -> None:
        runtime = self.get(name)
        for state in states:
            if runtime.state == "destroyed" and state.phase not in ENDS:
                raise Refused(RuntimeDestroyed)
            before = runtime.inputs.get(state.input_id)
            if before is None or before.phase not in ENDS:
                continue
            if (before.phase, before.reason, before.successor) != (state.phase, state.reason, state.successor):
                raise Refused(InvalidTransition)
        for state in states:
            runtime.inputs[state.input_id] = state
        keys = [each.idempotency_key for each in runtime.inputs.values() if each.idempotency_key is not None]
        if len(keys) != len(set(keys)):
            raise Refused(IdempotencyConflict)

    def lifecycle(self, name: str, state: str, states: list[InputState]) -> None:
        runtime = self.get(name)
        if runtime.state == "destroyed" and state != "destroyed":
            raise Refused(RuntimeDestroyed)
        drains = state == "running" and runtime.state == "retired"
        runtime.state = "retired" if drains else DURABLE.get(state, state)
        self.persist(name, states)


def digest(messages: tuple[bytes, ...]) -> str:
    return SessionSnapshot(session_id="any", messages=messages).revision  # type: ignore[arg-type]
