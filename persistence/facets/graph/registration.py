"""The facets of sessions as graphs."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.upkept import Walk, once

from . import checkpoints, graph, prune
from .show import graph_of
from .verify import SESSIONS_AT_ONCE, verify_blobs, verify_graph_rows, verify_session_page

FACETS: Final[tuple[Facet, ...]] = (
    evolve(
        graph.FACET,
        part="sessions",
        verify=(once(verify_graph_rows), Walk(page=verify_session_page, count=SESSIONS_AT_ONCE)),
        show={"session": graph_of},
    ),
    evolve(prune.FACET, prune=(prune.TURNS,)),
    evolve(checkpoints.FACET, part="sessions", verify=(Walk(page=verify_blobs),), prune=(prune.PARTS,)),
)
"""As the catalogue takes them."""
