"""The facet of output."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.upkept import PAGES_AT_ONCE, Pruning, counted, once
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.lifecycles.retention import Ages

from . import output
from .show import output_of
from .verify import verify_runtime, verify_strays


def _old(statements: Statements, after: int, count: int, ages: Ages) -> tuple[int, ...]:
    change, widest = _prune((), ages), ages.widest.output_before
    for _ in range(PAGES_AT_ONCE):
        rows = statements.all("output.old", after=after, before=widest, count=count)
        found = [chunk for chunk, said_at, kind in rows if change.takes(said_at, kind)]
        if found or not rows:
            return tuple(found)
        after = rows[-1][0]
    return (after,)  # it stays, as its commit finds; the next look goes on after it


def _prune(chunks: tuple[int, ...], ages: Ages) -> output.PruneOutput:
    return output.PruneOutput(chunks=chunks, before=ages.output_before, kinds=ages.output_of_kinds)


OLD: Final = Pruning(
    counts=("output",),
    look=_old,
    change=_prune,
    page=counted("output"),
)
"""Before the runs, whose ids it has."""

FACETS: Final[tuple[Facet, ...]] = (
    evolve(
        output.FACET,
        part="output",
        verify=(once(verify_strays),),
        verify_runtime=verify_runtime,
        show={"output": output_of},
        prune=(OLD,),
    ),
)
"""As the catalogue takes them."""
