"""The facets of conversations."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from attrs import evolve

from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.upkept import Problem, Subject, failing, once
from tenure.persistence.engines.engine import Statements

from . import moves, node_floor, sessions, snapshots


def _snapshot(statements: Statements, subject: Subject) -> Iterator[Problem]:
    yield from failing("session", subject.runtime_id, partial(snapshots.find, statements, subject.runtime_id))


def _moves(statements: Statements, subject: Subject) -> Iterator[Problem]:
    for (run,) in statements.all("runs.of_runtime", runtime=subject.runtime):
        yield from failing("session move", f"of run {run}", partial(moves.of_run, statements, run))


FACETS: Final[tuple[Facet, ...]] = (
    evolve(sessions.FACET, part="sessions", verify=(once(node_floor.verify),)),
    evolve(moves.FACET, verify_runtime=_moves),
    evolve(snapshots.FACET, verify_runtime=_snapshot),
)
"""As the catalogue takes them."""
