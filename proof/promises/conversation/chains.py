"""Receipts, and the chain that they stand in."""

from __future__ import annotations

from typing import Any, Final

from proof.promises.facet import (
    FacetProof,
    Promised,
    Rows,
)
from proof.promises.pruned import erased_runtimes, pruned_runtimes
from tenure.persistence.commits.commit import Change
from tenure.persistence.facets.inbox import receipts
from tenure.persistence.facets.records import chain
from tenure.persistence.facets.records.runtimes import CHAIN_START
from tenure.persistence.model.values import RunBoundaryReceipt


def receipt(_change: Change, answer: RunBoundaryReceipt) -> Promised:
    """Exactly this receipt is stored."""
    return [("receipt", answer)]


def check_receipts(rows: Rows) -> None:
    """Acknowledged receipts are there as they were given, and each run has them dense from 1."""
    pruned = pruned_runtimes(rows)
    for receipt in rows.history.acknowledged("receipt"):
        found = receipts.find(rows.statements, receipt.runtime_id, receipt.run_id, receipt.sequence)
        if found is None and receipt.runtime_id in pruned:
            continue
        assert found == receipt, f"{receipt} was acknowledged, and {found} is stored"
    rows.none(
        "SELECT run FROM receipts JOIN runs USING (run) WHERE pruned_at IS NULL"
        " GROUP BY run HAVING min(sequence) <> 1 OR count(*) <> max(sequence)",
        "the receipts of a run are not dense from 1",
    )


def check_chains(rows: Rows) -> None:
    """Each chain leads from its start, or its anchor, to the head in the runtime's row, without a hole, unless it is erased."""
    runtimes, erased = rows.of("SELECT runtime, runtime_id, boundaries, chain FROM runtimes"), erased_runtimes(rows)
    for runtime, runtime_id, boundaries, head in runtimes:
        if runtime_id in erased:
            continue
        links: dict[int, tuple[RunBoundaryReceipt | chain.ChainLink, bytes]] = {}
        for position, run_id, sequence, stored in rows.of(
            "SELECT position, run_id, sequence, chain FROM receipts JOIN runs USING (run) WHERE receipts.runtime = ?",
            runtime,
        ):
            receipt = receipts.find(rows.statements, runtime_id, run_id, sequence)
            assert receipt is not None
            links[position] = receipt, stored
        for position, event, *rest, stored in rows.of(
            "SELECT position, event, detail, fence_token, generation, committed_at, group_number, chain"
            " FROM links WHERE runtime = ?",
            runtime,
        ):
            names = ("detail", "fence_token", "generation", "committed_at", "group")
            fields: dict[str, Any] = dict(zip(names, rest, strict=True))
            link = chain.ChainLink(runtime_id=runtime_id, event=chain.LinkEvent(event), **fields)
            links[position] = link, stored
        anchors = rows.of("SELECT position, chain FROM anchors WHERE runtime = ?", runtime)
        start, last = anchors[0] if anchors else (0, CHAIN_START)
        assert sorted(links) == list(range(start + 1, boundaries + 1)), f"the chain of {runtime_id} has holes"
        for position in sorted(links):
            link_at, stored = links[position]
            last = chain.next_head(last, link_at)
            assert last == stored, f"link {position} of {runtime_id} is not what was chained"
        assert last == head, f"the chain of {runtime_id} does not lead to its head"


PROOFS: Final = (
    FacetProof(
        name="receipts",
        promises={receipts.MintReceipt: receipt, receipts.BringReceipt: receipt},
        check=check_receipts,
    ),
    FacetProof(name="chain", check=check_chains),
)
