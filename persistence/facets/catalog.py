"""Every facet there is: the one registration of each."""

from __future__ import annotations

from typing import Final

from tenure.persistence.facet import Facet

from . import (
    chain,
    credentials,
    dead_letters,
    input_records,
    inputs,
    lifecycle,
    operations,
    ownership,
    pruning,
    receipts,
    repair,
    requests,
    runs,
    runtimes,
    sends,
    sessions,
    snapshots,
    steps,
    verification,
)

FACETS: Final[tuple[Facet, ...]] = (
    ownership.FACET,
    runtimes.FACET,
    lifecycle.FACET,
    inputs.FACET,
    runs.FACET,
    receipts.FACET,
    sessions.FACET,
    steps.FACET,
    sends.FACET,
    chain.FACET,
    snapshots.FACET,
    input_records.FACET,
    dead_letters.FACET,
    repair.FACET,
    operations.FACET,
    credentials.FACET,
    verification.FACET,
    requests.FACET,
    pruning.FACET,
)
