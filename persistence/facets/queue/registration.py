"""The facet of queued work."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.upkept import Walk, once

from . import queue, rates, serving
from .verify import verify_batches, verify_claims, verify_failures, verify_queue_rows

FACETS: Final[tuple[Facet, ...]] = (
    evolve(
        queue.FACET,
        part="queue",
        verify=(
            once(verify_queue_rows),
            Walk(page=verify_batches),
            Walk(page=verify_claims),
            Walk(page=verify_failures),
        ),
    ),
    serving.FACET,
    rates.FACET,
)
"""As the catalogue takes them."""
