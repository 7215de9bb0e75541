"""Behaviours: the user's code that runs a runtime's inputs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, final

from attrs import field, frozen

from tenure.errors import InvalidInput

from .restart import RestartPolicy

if TYPE_CHECKING:
    from .run import Run

BehaviourFunction = Callable[["Run"], Awaitable[None]]


@final
@frozen(slots=True)
class Behaviour:
    """A function that executes runs, and how it wants them.

    Attributes:
        function: Called with each run; returning ends the run well, raising fails the attempt.
        batch: Most inputs that one run takes.
        version: Stored with each step and shown; never compared.
        restart: What follows a failure.
    """

    function: BehaviourFunction
    batch: int = field(default=1, kw_only=True)
    version: str = field(default="", kw_only=True)
    restart: RestartPolicy = field(factory=RestartPolicy, kw_only=True)

    def __attrs_post_init__(self) -> None:
        """Raises `InvalidInput` for a batch below 1."""
        if self.batch < 1:
            raise InvalidInput(detail="a batch has at least one input", field="batch")


def as_behaviours(given: Mapping[str, Behaviour | BehaviourFunction]) -> dict[str, Behaviour]:
    """Kinds with their behaviours; a bare function gets the defaults."""
    return {kind: each if isinstance(each, Behaviour) else Behaviour(each) for kind, each in given.items()}
