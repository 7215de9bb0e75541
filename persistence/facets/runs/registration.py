"""The facets of runs: their rows, their record, what they send, and what was abandoned."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from attrs import evolve

from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.upkept import PAGE, Problem, Subject, failing
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.values import InputId

from . import (
    again,
    dead_letters,
    deadlines,
    entries,
    restarting,
    results,
    runs,
    sends,
)
from .asking import (
    asked,
    asks,
)
from .following import follow_ups


def _entries(statements: Statements, subject: Subject) -> Iterator[Problem]:
    for (run,) in statements.all("runs.of_runtime", runtime=subject.runtime):
        yield from failing("step", f"of run {run}", partial(entries.of_run, statements, run))


def _sends(statements: Statements, subject: Subject) -> Iterator[Problem]:
    for (run,) in statements.all("runs.of_runtime", runtime=subject.runtime):
        yield from failing("send", f"of run {run}", partial(sends.of_run, statements, run))
    yield from failing("refused send", subject.runtime_id, partial(_walk_refused, statements, subject))


def _results(statements: Statements, subject: Subject) -> Iterator[Problem]:
    for (run,) in statements.all("runs.of_runtime", runtime=subject.runtime):
        yield from failing("result", f"of run {run}", partial(results.of_run, statements, run))


def _asks(statements: Statements, subject: Subject) -> Iterator[Problem]:
    for (run,) in statements.all("runs.of_runtime", runtime=subject.runtime):
        yield from failing("ask", f"of run {run}", partial(asked.of_run, statements, run))


def _walk_refused(statements: Statements, subject: Subject) -> None:
    after = InputId("")
    while page := sends.refused(statements, subject.runtime_id, after, PAGE):
        after = page[-1].input_id


FACETS: Final[tuple[Facet, ...]] = (
    runs.FACET,
    again.FACET,
    follow_ups.FACET,
    evolve(entries.FACET, verify_runtime=_entries),
    restarting.FACET,
    evolve(sends.FACET, verify_runtime=_sends),
    evolve(results.FACET, verify_runtime=_results),
    evolve(asks.FACET, verify_runtime=_asks),
    dead_letters.FACET,
    deadlines.FACET,
)
"""As the catalogue takes them."""
