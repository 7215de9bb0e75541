"""The facets of what nearly every commit has at hand: runtimes, versions, the chain."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Final

from attrs import evolve

from tenure.errors import ReadFailed
from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.upkept import Problem, Subject, failing, once
from tenure.persistence.engines.engine import Statements

from . import asides, chain, holds, labels, runtimes, versions


def _runtime(statements: Statements, subject: Subject) -> Iterator[Problem]:
    yield from failing("runtime", subject.runtime_id, partial(runtimes.find, statements, subject.runtime_id))


def _aside(statements: Statements, subject: Subject) -> Iterator[Problem]:
    with suppress(ReadFailed):  # of its runtime, which is said above
        yield from asides.verify(statements, subject)


FACETS: Final[tuple[Facet, ...]] = (
    evolve(runtimes.FACET, verify_runtime=_runtime),
    versions.FACET,
    evolve(holds.FACET, part="holds", verify=(once(holds.verify),), show={"on_hold": holds.show}),
    evolve(
        asides.FACET,
        part="asides",
        verify=(once(asides.verify_strays),),
        verify_runtime=_aside,
        show={"aside": asides.show},
    ),
    evolve(labels.FACET, verify_runtime=labels.verify, show={"labels": labels.show}),
    chain.FACET,
)
"""As the catalogue takes them."""
