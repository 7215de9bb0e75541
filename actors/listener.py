"""Who must hear from an actor which inputs have ended without a run."""

from __future__ import annotations

from typing import Protocol

from tenure.persistence.facets.runs import InputEnded
from tenure.persistence.values import AbandonReason, InputId, LogicalRuntimeId


class Listener(Protocol):
    """Who must hear which inputs have ended without a run."""

    def abandoned(self, runtime_id: LogicalRuntimeId, input_ids: tuple[InputId, ...], reason: AbandonReason, /) -> None:
        """Inputs were abandoned, by a lifecycle event or a cancel."""
        ...

    def unstageable(self, runtime_id: LogicalRuntimeId, abandoned: tuple[InputEnded, ...], /) -> None:
        """Inputs were abandoned because no run can take them."""
        ...
