"""The facets of journals and of facts."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.upkept import Walk, once

from . import facts, journal
from .prune import FACTS, STREAMS
from .show import streams_of
from .verify import count_streams, verify_facts, verify_references, verify_streams

FACETS: Final[tuple[Facet, ...]] = (
    evolve(
        journal.FACET,
        part="journal",
        verify=(once(verify_references), Walk(page=verify_streams, start=("", None))),
        streams=count_streams,
        show={"streams": streams_of},
        prune=(STREAMS,),
    ),
    evolve(facts.FACET, part="journal", verify=(Walk(page=verify_facts),), prune=(FACTS,)),
)
"""As the catalogue takes them."""
