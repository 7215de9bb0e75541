"""What an actor needs from the floor above: a listener for what becomes of its runtime without a run."""

from __future__ import annotations

from typing import Protocol

from tenure.persistence.facets.inbox.batches import InputEnded
from tenure.persistence.model.values import (
    AbandonReason,
    InputId,
    LogicalRuntimeId,
)

from .facts import RuntimeFacts


class Ended(Protocol):
    """An actor that has ended, or is about to."""

    @property
    def facts(self) -> RuntimeFacts:
        """Of its runtime."""
        ...


class Listener(Protocol):
    """Hears which inputs have ended without a run, that no run may start, and that an actor has ended."""

    def abandoned(self, runtime_id: LogicalRuntimeId, input_ids: tuple[InputId, ...], reason: AbandonReason, /) -> None:
        """Inputs were abandoned, by a lifecycle event or a cancel."""
        ...

    def unstageable(self, runtime_id: LogicalRuntimeId, abandoned: tuple[InputEnded, ...], /) -> None:
        """Inputs were abandoned because no run can take them."""
        ...

    def defect(self, runtime_id: LogicalRuntimeId, error: BaseException, /) -> None:
        """A mistake of ours: what is published of the runtime need not be what is stored. Raises nothing."""
        ...

    def held(self, facts: RuntimeFacts, /) -> None:
        """The runtime is held, or blocked in this host."""
        ...

    def kept(self, runtime_id: LogicalRuntimeId, /) -> None:
        """A run would have begun, and a person's hold keeps it from that."""
        ...

    def woken(self, runtime_id: LogicalRuntimeId, /) -> None:
        """A run that was put aside has begun."""
        ...

    def put_aside(self, actor: Ended, /) -> None:
        """A runtime is let go of, because its run is aside. Raises nothing."""
        ...

    def closed(self, actor: Ended, /) -> None:
        """An actor has ended. Raises nothing."""
        ...
