"""The facet of erasing."""

from __future__ import annotations

from typing import Any, Final

from attrs import evolve

from tenure.errors import ReadFailed
from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.upkept import Problem, Subject, once
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.values import RuntimeState

from . import erasing


def _verify(statements: Statements) -> list[Problem]:
    problems: list[Problem] = []
    for row in statements.readable("erasing.all"):
        try:
            stored = erasing.read_erasure(row[:5])
        except ReadFailed as exc:
            problems.append(("erasure", str(row[0]), str(exc)))
            continue
        if row[5] != RuntimeState.DESTROYED:
            problems.append(("erasure", str(row[0]), "its runtime is not destroyed"))
        if (stored.stage is erasing.Stage.DONE) is not (stored.done_at is not None):
            problems.append(("erasure", str(row[0]), "its stage and its time are not of one mind"))
    return problems


def _show(statements: Statements, subject: Subject) -> dict[str, Any] | None:
    stored = erasing.find(statements, subject.runtime_id)
    if stored is None:
        return None
    return {"asked_at": stored.asked_at, "stage": stored.stage.name.lower(), "done_at": stored.done_at}


FACETS: Final[tuple[Facet, ...]] = (
    evolve(erasing.FACET, part="erasures", verify=(once(_verify),), show={"erased": _show}),
)
"""As the catalogue takes them."""
