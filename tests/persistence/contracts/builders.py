"""Short ways to the values that contract tests are about."""

from __future__ import annotations

from typing import Any

from tenure import (
    InputId,
    InputPhase,
    InputState,
    RunApplyBoundary,
    RunBoundaryReceipt,
    RunId,
    SessionDelta,
    SessionId,
    SessionSnapshot,
    TranscriptRewriteCommit,
)
from tenure.persistence.model.conversation.envelope import (
    decode_snapshot,
    encode_snapshot,
)


def snapshot(
    *messages: str,
    session: str = "talk",
    rewrites: tuple[TranscriptRewriteCommit, ...] = (),
    meta: dict[str, Any] | None = None,
) -> SessionSnapshot:
    return SessionSnapshot(
        session_id=SessionId(session),
        messages=tuple(message.encode() for message in messages),
        rewrites=rewrites,
        meta=meta or {},
    )


def envelope(*messages: str, session: str = "talk", meta: dict[str, Any] | None = None) -> bytes:
    return encode_snapshot(snapshot(*messages, session=session, meta=meta))


def delta(*messages: str, session: str = "talk", meta: dict[str, Any] | None = None) -> SessionDelta:
    return SessionDelta(session_snapshot=envelope(*messages, session=session, meta=meta))


def texts(data: bytes | None) -> list[str] | None:
    return None if data is None else [message.decode() for message in decode_snapshot(data).messages]


def rewrite(before: SessionSnapshot, after: SessionSnapshot) -> TranscriptRewriteCommit:
    return TranscriptRewriteCommit(parent_revision=before.revision, revision=after.revision, reason="edited")


def receipt(
    sequence: int, *messages: str, run: str = "run-1", inputs: tuple[str, ...] = (), of_delta: bool = True
) -> RunBoundaryReceipt:
    path = snapshot(*messages)
    return RunBoundaryReceipt(
        run_id=RunId(run),
        boundary=RunApplyBoundary.RUN_START,
        contributing_input_ids=tuple(InputId(each) for each in inputs),
        conversation_digest=path.revision if of_delta else None,
        message_count=len(messages),
        sequence=sequence,
    )


def queued(input_id: str, **more: Any) -> InputState:
    return InputState(input_id=InputId(input_id), phase=InputPhase.QUEUED, **more)


def consumed(input_id: str, **more: Any) -> InputState:
    return InputState(input_id=InputId(input_id), phase=InputPhase.CONSUMED, **more)
