"""The whereabouts of a promoted store, as verification sees them; `upkeep/promoting` writes them, and no commit does."""

from __future__ import annotations

from typing import Final

from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.upkept import Problem, failing, once
from tenure.persistence.engines.engine import Statements
from tenure.persistence.engines.promotion import whereabouts_of


def _check(statements: Statements) -> list[Problem]:
    return list(failing("store", "promotion", lambda: whereabouts_of(statements)))


FACET: Final = Facet(name="promotion", handlers={}, part="rows", verify=(once(_check),))
