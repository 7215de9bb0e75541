"""The facets of execution state, and of what runtimes keep."""

from __future__ import annotations

from typing import Final

from attrs import evolve

from tenure.persistence.commits.facet import Facet
from tenure.persistence.commits.upkept import Walk, once

from . import own_state, state
from .prune import EXPIRED
from .show import execution_of, own_state_of
from .verify import (
    verify_clock,
    verify_executions,
    verify_own_states,
    verify_own_values,
    verify_own_writes,
    verify_values,
)

FACETS: Final[tuple[Facet, ...]] = (
    evolve(
        state.FACET,
        part="state",
        verify=(once(verify_clock), Walk(page=verify_executions, start=""), Walk(page=verify_values, start="")),
        show={"execution": execution_of},
        prune=(EXPIRED,),
    ),
    evolve(
        own_state.FACET,
        part="state",
        verify=(Walk(page=verify_own_values), Walk(page=verify_own_writes), Walk(page=verify_own_states)),
        show={"state_kept": own_state_of},
    ),
)
"""As the catalogue takes them."""
