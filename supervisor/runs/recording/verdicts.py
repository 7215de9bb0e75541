"""Steps in doubt, and what a person or a hook can say of them (design §7).

A step that must not run twice is on disk before it runs. When its host dies before the result is on disk too, the
store alone cannot say whether it ran; a person or a hook that can find out says so.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, final

from attrs import frozen

from tenure.errors import InvalidInput
from tenure.persistence.model.values import (
    LogicalRuntimeId,
    RunId,
)


@final
@frozen(kw_only=True, slots=True)
class StepInDoubt:
    """A step that was dispatched and may have run.

    Attributes:
        runtime_id: Whose.
        run_id: In which run.
        name: Name of the step.
        place: Where it stands in the record of the run.
        arguments: As given by the run that has entered again.
    """

    runtime_id: LogicalRuntimeId
    run_id: RunId
    name: str
    place: str
    arguments: tuple[Any, ...]


@final
@frozen(slots=True)
class Ran:
    """The verdict that it ran, with the result that the run shall see."""

    result: Any = None


@final
@frozen(slots=True)
class DidNotRun:
    """The verdict that it did not run: it will be dispatched now."""


Verdict = Ran | DidNotRun


def check_verdict(given: object) -> Verdict:
    """A verdict as it is. Whatever else is given must not be taken for `DidNotRun`: raises `InvalidInput`."""
    if isinstance(given, Ran | DidNotRun):
        return given
    raise InvalidInput(detail=f"a verdict is Ran(...) or DidNotRun(), not {type(given).__name__}", field="verdict")


InDoubtHook = Callable[[StepInDoubt], Awaitable[Verdict | None]]
