"""What stands beside the nodes of a session: config and agent frames, its meta, and the first result of each turn."""

from __future__ import annotations

from typing import Any, Final, final

import msgspec
from attrs import evolve, frozen

from tenure.errors import Corrupt, InvalidInput, TurnCommitConflict
from tenure.persistence.commits.rows import OPTIONAL_TEXT, check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.codec import decode
from tenure.persistence.model.conversation.graph import (
    AgentFrame,
    RuntimeCommitResult,
    SessionMeta,
)
from tenure.persistence.model.conversation.graph_encoding import (
    EncodedCommit,
    decode_result,
    decode_session_meta,
    encode_result,
)
from tenure.persistence.model.digests import check_digest, seal

TURN: Final = "turn"

ENQUEUED: Final = "enqueued"
"""The note that names the batches which a commit has queued, in order: a turn keeps them with its result."""

_NOTHING: Final = b"null"


@final
@frozen(kw_only=True, slots=True)
class StoredConfig:
    """Config and frames of a session, encoded.

    Attributes:
        config: JSON; ``null`` where there is none.
        frames: Id and JSON of each frame, in order.
        current_frame: Id of the frame that works now.
    """

    config: bytes = _NOTHING
    frames: tuple[tuple[str, bytes], ...] = ()
    current_frame: str | None = None


def find_config(statements: Statements, session: int, session_id: str) -> StoredConfig:
    """Config and frames. Raises `Corrupt`."""
    row = statements.one("about.config", session=session)
    if row is None:
        return StoredConfig()
    check_row(row, (bytes, bytes, OPTIONAL_TEXT, bytes, int), "session config", session_id)
    config, frames, current, digest, scheme = row
    check_digest(seal(session_id, config, frames, current), digest, scheme, "session config", session_id)
    try:
        found = msgspec.msgpack.decode(frames, type=tuple[tuple[str, bytes], ...])
    except msgspec.DecodeError as exc:
        raise Corrupt(record="session config", key=session_id, detail="its frames have another form") from exc
    return StoredConfig(config=config, frames=found, current_frame=current)


def decode_config(stored: StoredConfig, session_id: str) -> tuple[Any, tuple[AgentFrame, ...], str | None]:
    """Config, frames and the current frame, decoded. Raises `Corrupt`."""
    frames = [
        AgentFrame(frame_id=name, frame=decode(frame, "session config", session_id)) for name, frame in stored.frames
    ]
    return decode(stored.config, "session config", session_id), tuple(frames), stored.current_frame


def save_config(tx: Transaction, session: int, commit: EncodedCommit) -> None:
    """Write what of config and frames is new.

    Raises:
        InvalidInput: A node names a frame, or one becomes the current one, that the session does not have.
    """
    if commit.config is None and commit.frames is None and commit.current_frame is None:
        for node in commit.nodes:
            if node.frame is not None:
                break
        else:
            return  # as most
    stored = find_config(tx, session, commit.session_id)
    frames = stored.frames if commit.frames is None else commit.frames
    current = stored.current_frame if commit.current_frame is None else commit.current_frame
    known = {name for name, _ in frames}
    for name in {current, *[node.frame for node in commit.nodes]} - {None}:
        if name not in known:
            raise InvalidInput(detail=f"the session has no agent frame {name!r}", field="agent_frame_id")
    wanted = StoredConfig(
        config=stored.config if commit.config is None else commit.config, frames=frames, current_frame=current
    )
    if wanted == stored:
        return
    encoded = msgspec.msgpack.encode(wanted.frames)
    tx.write(
        "about.save_config",
        session=session,
        config=wanted.config,
        frames=encoded,
        current_frame=current,
        digest=seal(commit.session_id, wanted.config, encoded, current),
    )


# Meta


def save_meta(tx: Transaction, session: int, session_id: str, meta: bytes) -> None:
    """Write the meta in place of the one before."""
    tx.write("about.save_meta", session=session, meta=meta, digest=seal(session_id, meta), now=tx.now)


def find_meta(statements: Statements, session: int, session_id: str) -> SessionMeta | None:
    """The meta of a session, or None. Raises `Corrupt`."""
    row = statements.one("about.meta", session=session)
    if row is None:
        return None
    check_row(row, (bytes, bytes, int), "session meta", session_id)
    check_digest(seal(session_id, row[0]), row[1], row[2], "session meta", session_id)
    return decode_session_meta(row[0], session_id)


# Turns


def find_turn(statements: Statements, session: int, session_id: str, turn_id: str) -> tuple[bytes, bytes] | None:
    """Content hash and result of a turn, or None. Raises `Corrupt`."""
    row = statements.one("about.turn", session=session, turn_id=turn_id)
    if row is None:
        return None
    key = f"{session_id}:{turn_id}"
    check_row(row, (bytes, bytes, bytes, int), "turn", key)
    content, result, digest, scheme = row
    check_digest(seal(session_id, turn_id, content, result), digest, scheme, "turn", key)
    return content, result


def replayed(statements: Statements, session: int, commit: EncodedCommit) -> RuntimeCommitResult | None:
    """The first result of a commit that landed before, or None.

    Raises:
        TurnCommitConflict: Its turn landed with other content.
    """
    if commit.turn_id is None:
        return None
    found = find_turn(statements, session, commit.session_id, commit.turn_id)
    if found is None:
        return None
    if found[0] != commit.content:
        raise TurnCommitConflict(session_id=commit.session_id, turn_id=commit.turn_id)
    return decode_result(found[1], f"{commit.session_id}:{commit.turn_id}")


def stamp(tx: Transaction, session: int, commit: EncodedCommit, result: RuntimeCommitResult) -> None:
    """Keep the first result of a turn, with the batches that its commit has queued."""
    turn_id = commit.turn_id or ""
    encoded = encode_result(evolve(result, enqueued_batch_ids=tuple(tx.notes.get(ENQUEUED, ()))))
    tx.insert(
        "about.insert_turn",
        session=session,
        turn_id=turn_id,
        content=commit.content,
        result=encoded,
        digest=seal(commit.session_id, turn_id, commit.content, encoded),
        now=tx.now,
    )
