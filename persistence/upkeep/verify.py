"""Verification: walks the hash chain of a runtime, and says what is wrong and what cannot be recomputed (design §8).

Wrong is what contradicts itself: a link whose hash is another, a hole, a message that is not what its digest says, a row that
cannot be decoded, an input consumed by a receipt that is not there. What cannot be recomputed is not a fault: a receipt that
its caller brought without a conversation, or one whose messages have been vacuumed, has a digest that nothing stored leads to.
What is sealed with a key that is not here is neither wrong nor sound: that it could not be checked is said once for each sort.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, final

import msgspec
from attrs import field, frozen

from tenure.errors import Error, KeyMissing, NotFound, ReadFailed
from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.rows import PAGE, sound
from tenure.persistence.commits.upkept import Subject
from tenure.persistence.engines.engine import (
    Row,
    Statements,
)
from tenure.persistence.facets.catalog import FACETS
from tenure.persistence.facets.erasing import erasing
from tenure.persistence.facets.erasing.erasing import Stage, StoredErasure
from tenure.persistence.facets.inbox import (
    input_records,
    receipts,
)
from tenure.persistence.facets.prunable import (
    Anchor,
    find_anchor,
)
from tenure.persistence.facets.records.chain import (
    ChainLink,
    next_head,
)
from tenure.persistence.facets.records.runtimes import CHAIN_START
from tenure.persistence.model.conversation.envelope import (
    EMPTY_DIGEST,
    extend_digest,
)
from tenure.persistence.model.inputs.input_state import InputState
from tenure.persistence.model.texts import SealedBytes
from tenure.persistence.model.values import (
    InputPhase,
    LogicalRuntimeId,
    RunBoundaryReceipt,
)

from . import cross_check


@final
@frozen(kw_only=True, slots=True)
class Finding:
    """One thing that was found.

    Attributes:
        record: The sort of record: ``runtime``, ``receipt``, ``link``, ``node``, ``session``, ``input``, ``operations``.
        key: Which one.
        detail: What about it; never its content.
    """

    record: str
    key: str
    detail: str


@final
@frozen(kw_only=True, slots=True)
class Verification:
    """The result of verifying one runtime.

    Attributes:
        runtime_id: Which runtime.
        receipts: Receipts on its chain.
        links: Links on its chain that are no receipt.
        pruned: Links from its beginning, receipts and others, that were pruned.
        nodes: Messages whose digests were recomputed.
        inputs: Inputs that were decoded.
        erased: Whether its content was erased, or is being erased: there is nothing to recompute.
        problems: What is wrong.
        not_recomputed: What nothing stored can prove or disprove.
    """

    runtime_id: LogicalRuntimeId
    receipts: int
    links: int
    pruned: int
    nodes: int
    inputs: int
    erased: bool
    problems: tuple[Finding, ...]
    not_recomputed: tuple[Finding, ...]

    @property
    def is_sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems


@final
@frozen(kw_only=True, slots=True)
class _Walk:
    """One verification on its way."""

    statements: Statements
    runtime_id: LogicalRuntimeId
    runtime: int
    problems: list[Finding] = field(factory=list[Finding])
    open_points: list[Finding] = field(factory=list[Finding])

    def problem(self, record: str, key: object, detail: str) -> None:
        self.problems.append(Finding(record=record, key=str(key), detail=detail))

    def unchecked(self, record: str, sealed: SealedBytes) -> None:
        """Its key is not here: said once, and not of each of its many rows."""
        found = Finding(record=record, key=self.runtime_id, detail=str(KeyMissing(key_id=sealed.key_id)))
        if found not in self.problems:
            self.problems.append(found)

    def open_point(self, record: str, key: object, detail: str) -> None:
        self.open_points.append(Finding(record=record, key=str(key), detail=detail))


@final
@frozen(kw_only=True, slots=True)
class _Link:
    """One link as stored: its place, the head it claims to lead to, and what it hashes if that could be read."""

    position: Any
    chain: Any
    content: RunBoundaryReceipt | ChainLink | None
    name: str


def runtime_ids(statements: Statements, after: str = "", count: int = PAGE) -> list[LogicalRuntimeId]:
    """A page of all runtimes, by id, after `after`; one whose id is not text hides no other."""
    rows = sound(statements.readable("verification.runtimes", after=after, count=count), (str,))
    return [row[0] for row in rows]


def count_runtimes(statements: Statements) -> int:
    """How many runtimes there are, with those whose id is not text and that `runtime_ids` cannot name."""
    row = statements.one("verification.count_runtimes")
    return row[0] if row else 0


def verify_runtime(
    statements: Statements, runtime_id: LogicalRuntimeId, facets: Sequence[Facet] = FACETS
) -> Verification:
    """Verify everything that is stored of one runtime. It writes nothing, and the host may be running.

    The chain with its messages and inputs, the rows against one another, and what each facet says of its rows.

    Raises:
        NotFound: There is no such runtime.
    """
    row = statements.one("verification.runtime", runtime_id=runtime_id)
    if row is None:
        raise NotFound(what="runtime", key=runtime_id)
    walk = _Walk(statements=statements, runtime_id=runtime_id, runtime=row[0])
    erasure = _find_erasure(walk)
    if erasure is not None and erasure.stage is Stage.ROWS:  # half of what it had contradicts the other half
        walk.open_point("erasure", runtime_id, "it is being erased")
        return _verification(walk)
    links = list(_links(walk))
    anchor = _find_anchor(walk)
    _check_chain(walk, links, anchor, row[1], row[2])
    digests = _check_nodes(walk)
    _check_receipts(walk, links, digests)
    inputs = _check_records(walk, facets)
    brought = sum(isinstance(each.content, RunBoundaryReceipt) for each in links)
    if erasure is not None and (links or len(digests) > 1 or inputs):
        walk.problem("erasure", runtime_id, "it is erased, and has content")
    return _verification(
        walk,
        receipts=brought,
        links=len(links) - brought,
        pruned=anchor.position,
        nodes=len(digests) - 1,
        inputs=inputs,
        erased=erasure is not None,
    )


def _verification(walk: _Walk, *, erased: bool = True, **counts: int) -> Verification:
    nothing = dict.fromkeys(("receipts", "links", "pruned", "nodes", "inputs"), 0)
    return Verification(
        runtime_id=walk.runtime_id,
        erased=erased,
        problems=tuple(walk.problems),
        not_recomputed=tuple(walk.open_points),
        **(nothing | counts),
    )


def _find_erasure(walk: _Walk) -> StoredErasure | None:
    try:
        return erasing.find(walk.statements, walk.runtime_id)
    except ReadFailed as exc:
        walk.problem("erasure", walk.runtime_id, str(exc))
        return None


def _links(walk: _Walk) -> Iterator[_Link]:
    """Every link, row by row: one that cannot be read hides no other."""
    for (key,) in walk.statements.all("verification.receipt_keys", runtime=walk.runtime):
        try:
            row = walk.statements.one("verification.receipt", receipt=key)
            if row is None:
                walk.problem("receipt", key, "its run has no row")
                continue
        except ReadFailed as exc:
            walk.problem("receipt", key, str(exc))
            continue
        try:
            content = receipts.decode(row[:12])
        except ReadFailed as exc:
            walk.problem("receipt", key, str(exc))
            content = None
        yield _Link(position=row[12], chain=row[13], content=content, name=f"receipt {key}")
    for (key,) in walk.statements.all("verification.link_keys", runtime=walk.runtime):
        try:
            row = walk.statements.one("verification.link", link=key)
            if row is not None:
                yield _Link(position=row[7], chain=row[8], content=_link(row), name=f"link {key}")
        except (ReadFailed, msgspec.ValidationError) as exc:
            walk.problem("link", key, str(exc) if isinstance(exc, ReadFailed) else type(exc).__name__)


def _link(row: Row) -> ChainLink:
    names = ("runtime_id", "event", "detail", "fence_token", "generation", "committed_at", "group")
    return msgspec.convert(dict(zip(names, row[:7], strict=True)), ChainLink)


def _find_anchor(walk: _Walk) -> Anchor:
    start = Anchor(position=0, chain=CHAIN_START, pruned_at=0.0)
    try:
        anchor = find_anchor(walk.statements, walk.runtime_id)
    except ReadFailed as exc:
        walk.problem("anchor", walk.runtime_id, str(exc))
        return start
    if anchor is not None:
        walk.open_point("chain", walk.runtime_id, f"its first {anchor.position} links were pruned")
    return anchor or start


def _check_chain(walk: _Walk, links: list[_Link], anchor: Anchor, length: object, head: object) -> None:
    current, due = anchor.chain, anchor.position + 1
    placed = [each for each in links if isinstance(each.position, int)]
    for link in sorted(placed, key=lambda each: each.position):
        if link.position != due:
            walk.problem("chain", link.name, f"it stands at {link.position}, and {due} comes next")
        if isinstance(link.chain, SealedBytes):
            walk.unchecked("chain", link.chain)
        elif link.content is not None and next_head(current, link.content) != link.chain:
            walk.problem("chain", link.name, "its hash is not that of its content after the link before it")
        current = link.chain if isinstance(link.chain, bytes) else b""
        due = link.position + 1
    if len(placed) < len(links):
        walk.problem("chain", walk.runtime_id, "a link has no position")
    if (due - 1, current) != (length, head):
        walk.problem("chain", walk.runtime_id, f"it has {due - 1} links, and the runtime's row says {length}")


def _check_nodes(walk: _Walk) -> set[tuple[int, bytes]]:
    """Recompute the digest of every message; which (count, digest) the stored messages lead to."""
    known: dict[int, tuple[int, bytes]] = {}
    for (key,) in walk.statements.all("verification.node_keys", runtime=walk.runtime):
        for node, parent, position, digest, payload, tombstoned_at in walk.statements.all(
            "verification.node", node=key
        ):
            before = (0, EMPTY_DIGEST) if parent is None else known.get(parent)
            if before is None and tombstoned_at is not None:
                walk.open_point("node", node, "it is on no path, and the messages before it have gone")
                continue
            if isinstance(payload, SealedBytes):
                walk.unchecked("node", payload)
                known[node] = position, digest
                continue
            if before is None or not isinstance(payload, bytes):
                walk.problem("node", node, "its parent is missing, or it is not a message")
                continue
            known[node] = before[0] + 1, extend_digest(before[1], payload)
            if known[node] != (position, digest):
                walk.problem("node", node, "its digest or its place is not that of its message")
    return {(0, EMPTY_DIGEST), *known.values()}


def _check_receipts(walk: _Walk, links: list[_Link], digests: set[tuple[int, bytes]]) -> None:
    for link in links:
        receipt = link.content
        if not isinstance(receipt, RunBoundaryReceipt) or isinstance(link.chain, SealedBytes):
            continue
        key = f"{receipt.run_id}:{receipt.sequence}"
        if receipt.conversation_digest is None:
            walk.open_point("receipt", key, "it was brought without a conversation")
        elif (receipt.message_count, bytes.fromhex(receipt.conversation_digest)) not in digests:
            walk.open_point("receipt", key, "no stored messages lead to its digest")


def _check_records(walk: _Walk, facets: Sequence[Facet]) -> int:
    inputs = input_records.of_runtime(walk.statements, walk.runtime_id)
    for found in inputs:
        if isinstance(found, KeyMissing):
            walk.unchecked("input", SealedBytes.under(found.key_id, b""))
        elif isinstance(found, Error):
            walk.problem("input", getattr(found, "key", ""), str(found))
        elif (detail := _strays_from_history(found.state)) is not None:
            walk.problem("input", found.state.input_id, detail)
    for input_id, boundary in walk.statements.all("verification.unproven", runtime=walk.runtime):
        walk.problem("input", input_id, f"it was consumed at boundary {boundary}, which has no receipt")
    for odd in cross_check.of_runtime(walk.statements, walk.runtime):
        walk.problem(*odd)
    subject = Subject(runtime=walk.runtime, runtime_id=walk.runtime_id)
    for facet in facets:
        if facet.verify_runtime is not None:
            for problem in facet.verify_runtime(walk.statements, subject):
                walk.problem(*problem)
    return len(inputs)


def _strays_from_history(state: InputState) -> str | None:
    """What is wrong where an input does not stand as the last entry of its history says; else None.

    Of an entry alone that the row's last change has written: a store verb brings its own history, whatever that says.
    """
    last = state.history[-1] if state.history else None
    if last is None or last.at != state.updated_at:
        return None
    if last.after != state.phase:
        return f"it is {state.phase}, and its history ends in {last.after}"
    if state.phase is InputPhase.ABANDONED and last.reason != state.reason:
        return f"it was abandoned for {state.reason}, and its history says {last.reason}"
    return None
