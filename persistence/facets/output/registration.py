"""The facet of output."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.upkept import Pruning, counted, once
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.lifecycles.retention import Ages

from . import output
from .show import output_of
from .verify import verify_runtime, verify_strays


def _old(statements: Statements, after: int, count: int, ages: Ages) -> tuple[int, ...]:
    return tuple([row[0] for row in statements.all("output.old", after=after, before=ages.output_before, count=count)])


OLD: Final = Pruning(
    counts=("output",),
    look=_old,
    change=lambda keys, ages: output.PruneOutput(chunks=keys, before=ages.output_before),
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
