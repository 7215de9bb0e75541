"""The facet of schedules."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.upkept import Walk

from . import schedules
from .reads import (
    OVER,
    PRUNE_HANDLER,
    PruneOccurrences,
    of_runtime,
    verify_occurrences,
    verify_schedules,
)

FACETS: Final[tuple[Facet, ...]] = (
    evolve(
        schedules.FACET,
        handlers={**schedules.FACET.handlers, PruneOccurrences: PRUNE_HANDLER},
        part="schedules",
        verify=(Walk(page=verify_schedules), Walk(page=verify_occurrences)),
        show={"schedules": of_runtime},
        prune=(OVER,),
    ),
)
"""As the catalogue takes them."""
