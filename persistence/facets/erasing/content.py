"""What goes of a runtime, sort by sort: each of these deletes some rows by their keys, and what only they lead to."""

from __future__ import annotations

from typing import final

from attrs import define, field

from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.facets.attachments.attachments import begin_removal
from tenure.persistence.facets.conversation import node_floor
from tenure.persistence.facets.records import runtimes, spoken
from tenure.persistence.model.contracts.execution import ranges_of
from tenure.persistence.model.conversation.envelope import EMPTY_DIGEST

_OF_RUN = ("entries", "sends", "results", "asks", "moves", "own_writes", "receipts")

_OF_SESSION = (
    *("failures", "claims", "batches", "parts", "checkpoint", "turns", "usage"),
    *("session_meta", "session_config", "branches", "snapshot"),
)

_LEFT = (
    *("sessions", "own_state", "own_writes_left", "streams", "lifecycle_binding"),
    *("quarantine", "operations", "anchor", "requests", "output_floor", "labels", "label_set"),
)


@final
@define(kw_only=True, slots=True)
class Page:
    """A page that is being erased.

    Attributes:
        runtime: Whose rows, by its key.
        keys: Which rows.
        counts: How many of what went, by name.
        left: Copies that a run may still need.
        removals: Attachments that are marked to be removed.
    """

    runtime: int
    keys: tuple[int, ...] = ()
    counts: dict[str, int] = field(factory=dict[str, int])
    left: int = 0
    removals: list[str] = field(factory=list[str])

    def count(self, name: str, went: int) -> None:
        """So many went."""
        if went:
            self.counts[name] = self.counts.get(name, 0) + went


def erase_rows(tx: Transaction, page: Page, *, name: str) -> None:
    """Rows that lead to no others."""
    page.count(f"{name}s", sum([tx.run(f"erasing.delete_{name}", key=key) for key in page.keys]))


def erase_attachments(tx: Transaction, page: Page) -> None:
    """What sessions have of attachments; those whose bytes no other session has, marked to be removed."""
    for key in page.keys:
        row = tx.one("erasing.attachment", key=key)
        if row is None:
            continue
        page.count("attachments", tx.run("erasing.delete_attachment", key=key))
        if begin_removal(tx, row[0]):
            page.removals.append(row[0])


def erase_sessions(tx: Transaction, page: Page) -> None:
    """All of conversations but their messages, which nothing leads to any more."""
    for key in page.keys:
        blobs = [row[0] for row in tx.all("erasing.parts", key=key)]
        for name in _OF_SESSION:
            page.count("rows_of_sessions", tx.run(f"erasing.delete_{name}", key=key))
        for blob in blobs:
            tx.write("erasing.delete_blob", blob=blob)
        tx.write("erasing.hide_nodes", key=key, now=tx.now)
        tx.write("erasing.empty_session", key=key, digest=EMPTY_DIGEST)


def erase_nodes(tx: Transaction, page: Page) -> None:
    """Messages; the key of one is never given again."""
    node_floor.keep(tx, page.keys)
    page.count("messages", sum([tx.run("erasing.delete_node", key=key) for key in reversed(page.keys)]))


def erase_streams(tx: Transaction, page: Page) -> None:
    """Journals, but for their events."""
    for key in page.keys:
        page.count("streams", tx.run("erasing.hide_stream", key=key))
        tx.write("erasing.delete_stream_snapshot", key=key)
        tx.write("erasing.delete_stream_log", key=key)


def erase_references(tx: Transaction, page: Page) -> None:
    """What journals refer to, and facts that nothing else refers to."""
    for key in page.keys:
        row = tx.one("erasing.fact", key=key)
        if row is not None:
            tx.write("erasing.delete_reference", key=key)
            page.count("facts", tx.run("erasing.delete_fact", fact=row[0]))


def erase_executions(tx: Transaction, page: Page) -> None:
    """Working memory that is bound to it."""
    for key in page.keys:
        row = tx.one("erasing.execution", key=key)
        if row is not None:
            _erase_execution(tx, page, row[0])
            tx.write("erasing.delete_binding", key=key)


def _erase_execution(tx: Transaction, page: Page, execution_id: str) -> None:
    page.count("state_values", tx.run("erasing.delete_execution", execution_id=execution_id))
    for first, behind in ranges_of(execution_id):
        went = tx.run("erasing.delete_values", first=first, behind=behind, runtime=page.runtime)
        page.count("state_values", went)


def erase_own_values(tx: Transaction, page: Page) -> None:
    """What it keeps between its runs; what names these values goes first, so that nothing misses them."""
    tx.write("erasing.delete_own_writes_left", runtime=page.runtime)
    erase_rows(tx, page, name="own_value")


def erase_output(tx: Transaction, page: Page) -> None:
    """What it has said; its runs name their first entry no more. Where that is the newest of all, its floor keeps the key."""
    tx.write("erasing.forget_said", runtime=page.runtime)
    newest = tx.one("erasing.newest_output")
    if newest is not None and newest[0] in page.keys:
        spoken.save_floor(tx, page.runtime, newest)
    erase_rows(tx, page, name="output_chunk")


def erase_inputs(tx: Transaction, page: Page) -> None:
    """Inputs with their payloads, keys and results."""
    for key in page.keys:
        tx.write("erasing.delete_result", key=key)
        tx.write("erasing.delete_payload", key=key)
        page.count("inputs", tx.run("erasing.delete_input", key=key))


def erase_runs(tx: Transaction, page: Page) -> None:
    """Runs with all that is recorded of them."""
    for key in page.keys:
        for name in _OF_RUN:
            page.count("rows_of_runs", tx.run(f"erasing.delete_{name}", key=key))
        page.count("runs", tx.run("erasing.delete_run", key=key))


def erase_schedules(tx: Transaction, page: Page) -> None:
    """Schedules whose inputs it had, with what was decided meanwhile."""
    for key in page.keys:
        page.count("occurrences", tx.run("schedules.delete_occurrences", schedule=key))
        page.count("schedules", tx.run("schedules.delete", schedule=key))


def empty_tombstone(tx: Transaction, record: runtimes.RuntimeRecord) -> None:
    """What is left of a runtime, but for its row; and what that row has of its content."""
    for name in _LEFT:
        tx.write(f"erasing.delete_{name}", runtime=record.runtime)
    tx.write("erasing.delete_hold", runtime_id=record.runtime_id)
    # Its own execution state stands under its id, bound or not, unless another runtime has bound it.
    bound = tx.one("erasing.bound", execution_id=record.runtime_id)
    if bound is None or bound[0] == record.runtime:
        _erase_execution(tx, Page(runtime=record.runtime), record.runtime_id)
    record.chain, record.boundaries = runtimes.CHAIN_START, 0
    record.held = record.held_detail = None
    record.failures, record.crashes = "[]", 0
    record.session = record.run = record.owner = None
    runtimes.save(tx, record)
