"""What verifying and showing read across facets; it writes nothing and has no change of its own."""

from __future__ import annotations

from typing import Final

from tenure.persistence.commits.facet import Facet

FACET: Final = Facet(name="verification", handlers={})
