"""The journal of a run: what it recorded before it was interrupted, to be replayed when it enters again (design §7)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final, final

from attrs import frozen

from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.conversation import moves, sessions
from tenure.persistence.facets.conversation.moves import Move
from tenure.persistence.facets.inbox import receipts
from tenure.persistence.facets.runs import (
    entries,
    sends,
)
from tenure.persistence.facets.runs.addressed import SendTerms
from tenure.persistence.facets.state import own_state
from tenure.persistence.model.values import (
    LogicalRuntimeId,
    RunBoundaryReceipt,
)

SentBefore = tuple[LogicalRuntimeId, bytes, SendTerms]
"""Target, payload digest and terms of a message that has landed."""


@final
@frozen(kw_only=True, slots=True)
class Boundary:
    """One recorded boundary: its receipt, and what was appended, sent and written since the boundary before it.

    Attributes:
        receipt: As stored.
        appended: Messages, in order.
        moved: How the head of the session was moved otherwise, in order.
        sent: Target, payload digest and terms of each send, in order.
        written: What it set and deleted in the runtime's own state.
    """

    receipt: RunBoundaryReceipt
    appended: tuple[bytes, ...]
    moved: tuple[Move, ...]
    sent: tuple[SentBefore, ...]
    written: own_state.Written


@final
@frozen(kw_only=True, slots=True)
class Journal:
    """Everything that a run has recorded.

    Attributes:
        boundaries: By sequence, the first at index 0.
        entries: In the order in which they were first recorded; long results of steps stand apart.
        sent_in: What branches sent that landed with an entry of theirs, by the place of that entry; as `Boundary.sent`.
        sends_forgotten: Sends that a person has taken out of the record. Their numbers are not given again.
    """

    boundaries: tuple[Boundary, ...] = ()
    entries: tuple[entries.RecordedEntry, ...] = ()
    sent_in: Mapping[str, Sequence[SentBefore]] = MappingProxyType({})
    sends_forgotten: int = 0


NOTHING_RECORDED: Final = Journal()
"""The journal of a run that enters for the first time."""


def load_journal(statements: Statements, run: int) -> Journal:
    """Read the journal of a run, in one view."""
    appended: defaultdict[int, list[bytes]] = defaultdict(list)
    for boundary, message in sessions.appended_by_run(statements, run):
        appended[boundary].append(message)
    moved: defaultdict[int, list[Move]] = defaultdict(list)
    for boundary, move in moves.of_run(statements, run):
        moved[boundary].append(move)
    sent: defaultdict[int, list[SentBefore]] = defaultdict(list)
    sent_in: defaultdict[str, list[SentBefore]] = defaultdict(list)
    forgotten = 0
    for send in sends.of_run(statements, run):
        if send.forgotten:
            forgotten += send.place is None
            continue
        landed = sent[send.boundary] if send.place is None else sent_in[send.place]
        landed.append((send.target, send.payload_digest, send.terms))
    written = own_state.written_by(statements, run)
    return Journal(
        boundaries=tuple(
            Boundary(
                receipt=receipt,
                appended=tuple(appended[receipt.sequence]),
                moved=tuple(moved[receipt.sequence]),
                sent=tuple(sent[receipt.sequence]),
                written=written.get(receipt.sequence, {}),
            )
            for receipt in receipts.of_run(statements, run)
        ),
        entries=tuple(entries.outline(statements, run)),
        sent_in=sent_in,
        sends_forgotten=forgotten,
    )
