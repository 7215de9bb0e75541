"""Moves of a conversation by a run, as a part of the scenario with every kind of commit."""

from __future__ import annotations

from tenure.persistence.commits.commit import Change
from tenure.persistence.facets.conversation.moves import Move, MoveHead
from tenure.persistence.facets.conversation.sessions import AppendMessages
from tenure.persistence.model.conversation.paths import RunPath
from tenure.persistence.model.entries import EntryKind
from tenure.persistence.model.values import LogicalRuntimeId, RunId

_Step = tuple[EntryKind, int, int, RunPath, tuple[bytes, ...]]
"""What it is, how many messages are on the path before it and were appended until then, the path after it, what it brings."""


def talk_and_move(runtime_id: str, run_id: RunId) -> tuple[Change, ...]:
    """Two messages; a branch that is left, rewritten on the other side, taken up again and shortened."""
    steps: tuple[_Step, ...] = (
        (EntryKind.FORK, 2, 2, RunPath(0), ()),
        (EntryKind.REWRITE, 0, 3, RunPath(0, ((2, 3),)), (b'"in short"',)),
        (EntryKind.FORK, 1, 3, RunPath(0, ((0, 2),)), ()),
        (EntryKind.POP, 2, 3, RunPath(0, ((0, 1),)), ()),
    )
    moves = [_move(runtime_id, run_id, f"main/{number}", each) for number, each in enumerate(steps, 4)]
    return (_say(runtime_id, run_id, b'"hello"', b'"world"'), *moves)


def say_and_pop(runtime_id: str, run_id: RunId) -> tuple[Change, ...]:
    """A message that is taken back in the same commit."""
    pop = _move(runtime_id, run_id, "main/1", (EntryKind.POP, 1, 1, RunPath(0), ()))
    return _say(runtime_id, run_id, b'"tried"'), pop


def _say(runtime_id: str, run_id: RunId, *messages: bytes) -> Change:
    return AppendMessages(runtime_id=LogicalRuntimeId(runtime_id), messages=messages, run_id=run_id)


def _move(
    runtime_id: str,
    run_id: RunId,
    place: str,
    step: _Step,
) -> Change:
    kind, count, appended, path, messages = step
    move = Move(place=place, kind=kind, path=path, appended=appended, added=len(messages))
    return MoveHead(runtime_id=LogicalRuntimeId(runtime_id), run_id=run_id, move=move, count=count, messages=messages)
