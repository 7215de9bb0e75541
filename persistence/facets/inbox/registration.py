"""The facets of the inbox, and of receipts."""

from __future__ import annotations

from typing import Final

from tenure.persistence.commits.facet import Facet

from . import delays, input_records, inputs, receipts, repair

FACETS: Final[tuple[Facet, ...]] = (
    inputs.FACET,
    delays.FACET,
    receipts.FACET,
    input_records.FACET,
    repair.FACET,
)
"""As the catalogue takes them."""
