"""What was pruned: gone whole, with an anchor in its place."""

from __future__ import annotations

from typing import Final

from proof.stories.pruning import old_times
from tenure.persistence.facets import prunable

from .facet import FacetProof, Rows


def pruned_runtimes(rows: Rows) -> set[str]:
    """Runtimes of which something was pruned, or erased: what was acknowledged of them may be gone."""
    gone = "SELECT runtime FROM anchors UNION SELECT runtime FROM erasures"
    return {name for (name,) in rows.of(f"SELECT runtime_id FROM runtimes WHERE runtime IN ({gone})")}  # noqa: S608 - ours


def erased_runtimes(rows: Rows) -> set[str]:
    """Runtimes that are erased, or are being erased: what was acknowledged of them may be gone."""
    return {name for (name,) in rows.of("SELECT runtime_id FROM erasures JOIN runtimes USING (runtime)")}


def check_pruned(rows: Rows) -> None:
    """Nothing half is left of what went."""
    rows.none(
        "SELECT a.runtime FROM anchors a LEFT JOIN runtimes r USING (runtime)"
        " WHERE r.runtime IS NULL OR a.position > r.boundaries OR a.position < 1",
        "an anchor that stands in no chain",
    )
    for table in ("inputs", "nodes", "entries", "sends", "receipts"):
        rows.none(
            f"SELECT run FROM {table} WHERE run IS NOT NULL AND run NOT IN (SELECT run FROM runs)",  # noqa: S608 - our own names
            f"{table} of a run that went",
        )
    rows.none(
        "SELECT input_id FROM inputs i LEFT JOIN payloads p USING (input)"
        " WHERE i.pruned_at IS NOT NULL AND (p.input IS NOT NULL OR i.finished_at IS NULL)",
        "an input that was pruned has a payload, or is unfinished",
    )
    rows.none(
        "SELECT node FROM nodes n WHERE parent IS NOT NULL AND tombstoned_at IS NULL"
        " AND parent NOT IN (SELECT node FROM nodes)",
        "a conversation lost a message",
    )


PROOFS: Final = (FacetProof(name="prunable", story=old_times, check=check_pruned, quiet=(prunable.Prune,)),)
