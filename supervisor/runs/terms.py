"""The terms on which a run sends and asks, checked where it does so."""

from __future__ import annotations

from tenure.persistence.facets.runs.sends import SendTerms
from tenure.persistence.model.arguments import check_key, check_value
from tenure.persistence.model.values import Lane


def send_terms(lane: Lane | str, correlation_id: str | None, kind: str | None) -> SendTerms:
    """The terms of a message. Raises `InvalidInput` for what fits none."""
    if kind is not None:
        check_key(kind, "kind")
    return SendTerms(
        lane=check_value(lane, Lane, "lane"),
        correlation_id=check_key(correlation_id, "correlation_id"),
        kind=kind,
    )
