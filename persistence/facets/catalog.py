"""Every facet there is: the one registration of each."""

from __future__ import annotations

from typing import Final

from tenure.persistence.commits.facet import Facet

from . import (
    credentials,
    operations,
    pruning,
)
from .attachments import attachments
from .conversation import (
    sessions,
    snapshots,
)
from .graph import checkpoints, graph, prune as turns
from .inbox import (
    input_records,
    inputs,
    receipts,
)
from .journal import facts, journal
from .ownership import (
    lifecycle,
    ownership,
    requests,
)
from .queue import queue
from .records import (
    chain,
    runtimes,
    versions,
)
from .runs import (
    dead_letters,
    entries,
    restarting,
    runs,
    sends,
)
from .state import own_state, state

FACETS: Final[tuple[Facet, ...]] = (
    ownership.FACET,
    runtimes.FACET,
    versions.FACET,
    lifecycle.FACET,
    inputs.FACET,
    runs.FACET,
    receipts.FACET,
    sessions.FACET,
    entries.FACET,
    restarting.FACET,
    sends.FACET,
    chain.FACET,
    snapshots.FACET,
    input_records.FACET,
    dead_letters.FACET,
    operations.FACET,
    credentials.FACET,
    requests.FACET,
    journal.FACET,
    facts.FACET,
    state.FACET,
    graph.FACET,
    checkpoints.FACET,
    turns.FACET,
    own_state.FACET,
    queue.FACET,
    attachments.FACET,
    pruning.FACET,
)
