"""What may be pruned: what has ended long ago goes, in small commits, and only where a caller asks for it (design §6, §8).

The caller need not own anything. A change says which rows to look at, and its commit judges each of them again: only what
is over goes, and no owner still uses that. So it carries no fence, as ingress does.

Receipts go from the beginning of a runtime's chain, without a hole, and the runtime's anchor keeps the place and the head
after them. A run goes when its last receipt has gone, with its steps, sends and inputs. An input with an idempotency key
leaves its row, without its payload, so that the key stays known. What is damaged stays, and keeps no other row back.
"""

from __future__ import annotations

from collections import Counter
from enum import StrEnum
from functools import partial
from typing import Final, final

from attrs import define, frozen

from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import (
    Facet,
    Handler,
)
from tenure.persistence.commits.rows import (
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
    check_row,
)
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.commits.upkept import PAGES_AT_ONCE, PrunedPage, Pruning, spared
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.lifecycles.retention import Ages
from tenure.persistence.model.values import LogicalRuntimeId

from .conversation import node_floor
from .records import run_records
from .records.runtimes import CHAIN_START
from .state import own_state

ROWS_AT_ONCE: Final = 2_000
"""Rows of runs after which a commit judges no further run; one run has at most `Limits.run_steps` of them and some more."""

LINKS_AT_ONCE: Final = 500
"""Most links of one chain that a commit passes; a chain with more goes on at the next pruning."""


LAST: Final = 2**63 - 1
"""After every key."""


@final
class PruneSort(StrEnum):
    """Which rows a `Prune` looks at."""

    RECEIPTS = "receipts"
    RUNS = "runs"
    INPUTS = "inputs"
    NODES = "nodes"


@final
@frozen(kw_only=True, slots=True)
class Prune(Change):
    """Delete those of some rows that are over. Answer: `PrunedPage`.

    Attributes:
        sort: Of which sort the rows are.
        keys: The rows, by their own integers, rising.
        ages: How old they must be, each by the kind of its runtime.
    """

    ingress = True  # it belongs to no runtime, and touches nothing that an owner may still write

    sort: PruneSort
    keys: tuple[int, ...]
    ages: Ages


@final
@frozen(kw_only=True, slots=True)
class Pruned:
    """What was deleted, counted.

    Attributes:
        receipts: Receipts; the runtime's anchor stands in their place.
        links: Other links of a chain: resets, rewrites, clears.
        runs: Runs.
        steps: Their recorded steps.
        sends: Their recorded sends.
        inputs: Inputs, whole.
        payloads_of_keys: Inputs of which only the key is still known.
        keys: Idempotency keys that were still known, and are no longer.
        nodes: Messages that were on no path of their conversation any more.
        facts: Facts that nothing refers to.
        events: Events of streams that were deleted, where that was cut short.
        state_values: Values of working memory that had expired.
        turns: Stamps of turns.
        occurrences: What became of instants of schedules.
        parts: Bytes of checkpoint parts that no session refers to.
        rates: Rates of `serve_queue` under which nothing has begun lately.
        output: Entries of output.
    """

    receipts: int = 0
    links: int = 0
    runs: int = 0
    steps: int = 0
    sends: int = 0
    inputs: int = 0
    payloads_of_keys: int = 0
    keys: int = 0
    nodes: int = 0
    facts: int = 0
    events: int = 0
    state_values: int = 0
    turns: int = 0
    occurrences: int = 0
    parts: int = 0
    rates: int = 0
    output: int = 0


@final
@frozen(kw_only=True, slots=True)
class Anchor:
    """From where a chain goes on.

    Attributes:
        position: Place of the last link that was pruned.
        chain: The head of the chain after it.
        pruned_at: When, unix seconds.
    """

    position: int
    chain: bytes
    pruned_at: float


def find_anchor(statements: Statements, runtime_id: LogicalRuntimeId) -> Anchor | None:
    """The anchor of a runtime, or None where nothing of its chain was pruned. Raises `Corrupt`."""
    row = statements.one("prunable.anchor_of", runtime_id=runtime_id)
    if row is None:
        return None
    check_row(row, (int, bytes, (float, int)), "anchor", runtime_id)
    return Anchor(position=row[0], chain=row[1], pruned_at=row[2])


def first_link_at(statements: Statements, runtime_id: LogicalRuntimeId) -> float | None:
    """When the first link of a chain was committed that is still there, unix seconds; None for none. Reads all of it."""
    row = statements.one("prunable.first_link", runtime_id=runtime_id)
    return row[0] if row is not None and isinstance(row[0], int | float) else None


def _prune(tx: Transaction, change: Prune) -> PrunedPage:
    pruned: Counter[str] = Counter()
    judged = len(change.keys)
    match change.sort:
        case PruneSort.RECEIPTS:
            _prune_receipts(tx, change, pruned)
        case PruneSort.RUNS:
            judged = _prune_runs(tx, change, pruned)
        case PruneSort.INPUTS:
            for key in change.keys:
                with spared():
                    _prune_input(tx, change, key, pruned)
        case PruneSort.NODES:
            node_floor.keep(tx, change.keys)
            # Children first: a node never stands without its parent.
            for key in reversed(change.keys):
                ages = _ages_of(tx, change.ages, change.sort, key)
                pruned["nodes"] += tx.run("prunable.delete_node", node=key, before=ages.before)
    return PrunedPage(counts=dict(pruned), judged=judged)


@final
@define(slots=True)
class _Head:
    """The end of the pruned part of one chain, while a commit moves it."""

    position: int
    chain: bytes


def _prune_receipts(tx: Transaction, change: Prune, pruned: Counter[str]) -> None:
    heads: dict[int, _Head] = {}
    for key in change.keys:
        with spared():  # what follows it in its chain does not go on from the head that we know
            _prune_receipt(tx, change, key, heads, pruned)
    for runtime, head in heads.items():
        if head.position:
            tx.write("prunable.save_anchor", runtime=runtime, position=head.position, chain=head.chain, now=tx.now)


def _prune_receipt(tx: Transaction, change: Prune, key: int, heads: dict[int, _Head], pruned: Counter[str]) -> None:
    ages = _ages_of(tx, change.ages, change.sort, key)
    row = tx.one("prunable.receipt", receipt=key, before=ages.latest)
    if row is None:
        return
    check_row(row, (int, int, int, bytes), "receipt", key)
    runtime, run, position, chain = row
    if runtime not in heads:
        heads[runtime] = _find_head(tx, runtime)
    head = heads[runtime]
    _pass_links(tx, ages, runtime, head, pruned)
    if position == head.position + 1 and _is_over(tx, ages, run):
        tx.write("prunable.delete_receipt", receipt=key)
        tx.write("prunable.mark_run", run=run, now=tx.now)
        tx.drop(run_records.RECORD, run)
        head.position, head.chain = position, chain
        pruned["receipts"] += 1
        _pass_links(tx, ages, runtime, head, pruned)


def _find_head(tx: Transaction, runtime: int) -> _Head:
    row = tx.one("prunable.anchor", runtime=runtime)
    if row is None:
        return _Head(0, CHAIN_START)
    check_row(row, (int, bytes), "anchor", runtime)
    return _Head(row[0], row[1])


def _pass_links(tx: Transaction, ages: Ages, runtime: int, head: _Head, pruned: Counter[str]) -> None:
    for _ in range(LINKS_AT_ONCE):
        row = tx.one("prunable.link_at", runtime=runtime, position=head.position + 1, before=ages.before)
        if row is None:
            return
        check_row(row, (int, bytes), "link", runtime)
        tx.write("prunable.delete_link", link=row[0])
        head.position, head.chain = head.position + 1, row[1]
        pruned["links"] += 1


def _is_over(tx: Transaction, ages: Ages, run: int) -> bool:
    dead = tx.one("prunable.is_dead", run=run) is not None
    return tx.one("prunable.is_over", run=run, before=ages.limit(dead=dead)) is not None


def _prune_runs(tx: Transaction, change: Prune, pruned: Counter[str]) -> int:
    for judged, run in enumerate(change.keys, start=1):
        with spared():
            _prune_run(tx, change, run, pruned)
        if pruned.total() >= ROWS_AT_ONCE:
            return judged
    return len(change.keys)


def _prune_run(tx: Transaction, change: Prune, run: int, pruned: Counter[str]) -> None:
    ages = _ages_of(tx, change.ages, change.sort, run)
    if tx.one("prunable.has_receipts", run=run) is not None or not _is_over(tx, ages, run):
        return
    pruned["steps"] += tx.run("prunable.delete_entries", run=run)
    pruned["sends"] += tx.run("prunable.delete_sends", run=run)
    tx.write("prunable.delete_results", run=run)
    tx.write("prunable.delete_asks", run=run)
    tx.write("prunable.free_nodes", run=run)
    own_state.forget_run(tx, run)
    tx.write("moves.forget_run", run=run)
    tx.write("prunable.delete_payloads", run=run)
    pruned["payloads_of_keys"] += tx.run("prunable.keep_keys", run=run, now=tx.now)
    pruned["inputs"] += tx.run("prunable.delete_inputs", run=run)
    pruned["runs"] += tx.run("prunable.delete_run", run=run)
    tx.drop(run_records.RECORD, run)


def _prune_input(tx: Transaction, change: Prune, key: int, pruned: Counter[str]) -> None:
    ages = _ages_of(tx, change.ages, change.sort, key)
    row = tx.one("prunable.input", input=key, before=ages.before, dead_before=ages.dead_before)
    if row is None:
        return
    check_row(row, (OPTIONAL_TEXT, OPTIONAL_NUMBER), "input", key)
    idempotency_key, pruned_at = row
    # Cases: it has no key, and goes; its payload goes and its key stays; its key has been kept long enough.
    if idempotency_key is None:
        tx.write("prunable.delete_payload", input=key)
        pruned["inputs"] += tx.run("prunable.delete_input", input=key)
    elif pruned_at is None:
        tx.write("prunable.delete_payload", input=key)
        pruned["payloads_of_keys"] += tx.run("prunable.keep_key", input=key, now=tx.now)
    elif pruned_at <= ages.keys_before:
        pruned["keys"] += tx.run("prunable.delete_input", input=key)


def _ages_of(statements: Statements, ages: Ages, sort: PruneSort, key: int) -> Ages:
    """What may go of the runtime that a row belongs to."""
    if not ages.kinds:
        return ages
    row = statements.one(f"prunable.kind_of_{sort}", key=key)
    return ages.of(row[0] if row is not None and isinstance(row[0], str) else None)


def _candidates(statements: Statements, after: int, count: int, ages: Ages, *, sort: PruneSort) -> tuple[int, ...]:
    if not ages.kinds:
        return _old(statements, after, count, ages, sort=sort)
    widest = ages.widest
    for _ in range(PAGES_AT_ONCE):
        keys = _old(statements, after, count, widest, sort=sort)
        found = [
            key
            for key in keys
            if _old(statements, key - 1, 1, _ages_of(statements, ages, sort, key), sort=sort, last=key)
        ]
        if found or not keys:
            return tuple(found)
        after = keys[-1]
    return (after,)  # it stays, as its commit finds; the next look goes on after it


def old_nodes(statements: Statements, after: int, count: int, before: float) -> tuple[int, ...]:
    """Messages on no path, of any kind of runtime, that left it before a time: those that come after a key, rising."""
    found = statements.all("prunable.old_nodes", after=after, last=LAST, before=before, count=count)
    return tuple([row[0] for row in found])


def _old(
    statements: Statements, after: int, count: int, ages: Ages, *, sort: PruneSort, last: int = LAST
) -> tuple[int, ...]:
    before = ages.before if sort in (PruneSort.INPUTS, PruneSort.NODES) else ages.latest
    wanted: dict[str, int | float] = {"after": after, "last": last, "before": before, "count": count}
    if sort is PruneSort.INPUTS:
        wanted |= {"keys_before": ages.keys_before, "dead_before": ages.dead_before}
    return tuple([row[0] for row in statements.all(f"prunable.old_{sort}", **wanted)])


def _judged(keys: tuple[int, ...], ages: Ages, *, sort: PruneSort) -> Prune:
    return Prune(sort=sort, keys=keys, ages=ages)


_COUNTS: Final = {
    PruneSort.RECEIPTS: ("receipts", "links"),
    PruneSort.RUNS: ("steps", "sends", "payloads_of_keys", "inputs", "runs"),
    PruneSort.INPUTS: ("inputs", "payloads_of_keys", "keys"),
    PruneSort.NODES: ("nodes",),
}

FACET: Final = Facet(
    name="prunable",
    handlers={Prune: Handler(apply=_prune)},
    prune=tuple(
        [
            Pruning(
                counts=counts,
                look=partial(_candidates, sort=sort),
                change=partial(_judged, sort=sort),
                page=lambda _keys, answer: answer,
            )
            for sort, counts in _COUNTS.items()
        ]
    ),
)
"""Receipts go first, because a run goes with the last of its receipts; then inputs that no run has, then left messages."""
