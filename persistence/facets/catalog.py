"""Every facet there is: the one registration of each, room by room."""

from __future__ import annotations

from typing import Final

from tenure.persistence.commits.facet import Facet

from . import credentials, operations, promotion, prunable
from .attachments import registration as attachments
from .conversation import registration as conversation
from .erasing import registration as erasing
from .graph import registration as graph
from .inbox import registration as inbox
from .journal import registration as journal
from .output import registration as output
from .ownership import registration as ownership
from .queue import registration as queue
from .records import registration as records
from .runs import registration as runs
from .schedules import registration as schedules
from .sealing import sealing
from .state import registration as state

FACETS: Final[tuple[Facet, ...]] = (
    *ownership.FACETS,
    *records.FACETS,
    *inbox.FACETS,
    *runs.FACETS,
    *schedules.FACETS,
    *conversation.FACETS,
    *output.FACETS,
    prunable.FACET,
    operations.FACET,
    credentials.FACET,
    *graph.FACETS,
    *queue.FACETS,
    *attachments.FACETS,
    *journal.FACETS,
    *state.FACETS,
    *erasing.FACETS,
    sealing.FACET,
    promotion.FACET,
)
"""In the order in which they are verified, pruned and shown."""
