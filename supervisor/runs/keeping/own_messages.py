"""What a run makes of its conversation: messages and moves, on disk and on their way there with the next boundary."""

from __future__ import annotations

from collections.abc import Iterator
from typing import final

from tenure.persistence.commits.commit import Change
from tenure.persistence.facets.attachments.attachments import StampAttachments
from tenure.persistence.facets.conversation.moves import Move, MoveHead
from tenure.persistence.facets.conversation.sessions import AppendMessages
from tenure.persistence.model.conversation.paths import RunPath
from tenure.persistence.model.entries import EntryKind
from tenure.persistence.model.values import LogicalRuntimeId, RunId
from tenure.supervisor.runs.recording.branch import Branch


@final
class OwnMessages:
    """That of one run.

    Attributes:
        appended: What this run appended so far, in order; without that of branches that have not ended.
        landed: How many of these are on disk.
        moves: How it has moved the path otherwise, in order.
        moves_landed: How many of these are on disk.
        session_id: Of the conversation, once something was attached to it.
    """

    def __init__(self, base_count: int, main: Branch) -> None:
        """Nothing is said beside the base, which has so many messages; the behaviour's own branch has what it appends."""
        self.appended = main.appended
        self.landed = 0
        self.moves: list[Move] = []
        self.moves_landed = 0
        self.session_id = ""
        self._base_count = base_count

    @property
    def path(self) -> RunPath:
        """The path of the run itself, without what a branch of it that has not ended has appended."""
        return self._after(self.moves[-1] if self.moves else None, len(self.appended))

    def move(self, place: str, kind: EntryKind, path: RunPath, *, added: int = 0, reason: str | None = None) -> None:
        """Move to another path."""
        self.moves.append(
            Move(place=place, kind=kind, path=path, appended=len(self.appended), added=added, reason=reason)
        )

    def changes(self, runtime_id: LogicalRuntimeId, run_id: RunId) -> list[Change]:
        """What the next boundary writes, in order."""
        if len(self.moves) > self.moves_landed:
            return [*self._moved(runtime_id, run_id)]
        if len(self.appended) > self.landed:
            return [AppendMessages(runtime_id=runtime_id, messages=tuple(self.appended[self.landed :]), run_id=run_id)]
        return []

    def stamps(self, attached: tuple[str, ...]) -> Change:
        """What commits attachments. Of one that was committed before, the first stamp stays: so a replay leaves them here."""
        return StampAttachments(session_id=self.session_id, attachment_ids=attached)

    def _moved(self, runtime_id: LogicalRuntimeId, run_id: RunId) -> Iterator[Change]:
        start, before = self.landed, self.moves[self.moves_landed - 1] if self.moves_landed else None
        for move in self.moves[self.moves_landed :]:
            end = move.appended - move.added
            if end > start:
                yield AppendMessages(runtime_id=runtime_id, messages=tuple(self.appended[start:end]), run_id=run_id)
            start = move.appended
            yield MoveHead(
                runtime_id=runtime_id,
                run_id=run_id,
                move=move,
                count=self._after(before, end).count,
                messages=tuple(self.appended[end:start]),
            )
            before = move
        if len(self.appended) > start:
            yield AppendMessages(runtime_id=runtime_id, messages=tuple(self.appended[start:]), run_id=run_id)

    def _after(self, move: Move | None, appended: int) -> RunPath:
        if move is None:
            return RunPath(self._base_count).extended(0, appended)
        return move.path.extended(move.appended, appended)
