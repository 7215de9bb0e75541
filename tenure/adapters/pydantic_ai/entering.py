"""The run that records what agents do, as a context variable has it for the tasks of a behaviour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, final

from attrs import field, frozen

from tenure.adapters.checking import checked
from tenure.asyncio import Run
from tenure.errors import InvalidInput


@final
@frozen(kw_only=True, slots=True)
class Entered:
    """One run of a behaviour, as the agents in it see it.

    Attributes:
        run: The run.
        met: How often each name was met: what is met in the same order again gets the same names.
    """

    run: Run
    met: Counter[str] = field(factory=Counter[str])

    def numbered(self, name: str) -> str:
        """A name that nothing else of this entering has."""
        self.met[name] += 1
        return f"{name}#{self.met[name]}"


ENTERED: Final[ContextVar[Entered | None]] = ContextVar("tenure.adapters.pydantic_ai.entered", default=None)
"""The run of this task; None outside of one, and inside a step."""

KEY: Final[ContextVar[str | None]] = ContextVar("tenure.adapters.pydantic_ai.key", default=None)
"""The key of the step of this task."""


@checked
@contextmanager
def within(run: Run) -> Generator[None]:
    """Record what agents with a `TenureCapability` do inside as steps of this run.

    For callers of `Agent.iter` and its like; `run_agent` does it by itself. It holds for this task and those that it starts.
    """
    token = ENTERED.set(Entered(run=run))
    try:
        yield
    finally:
        ENTERED.reset(token)


def step_key() -> str:
    """The key of the ``keyed`` step that this tool is called in, the same in every attempt, to pass on.

    Raises:
        InvalidInput: There is none: the terms of the tool do not say ``keyed``, or no run records it.
    """
    key = KEY.get()
    if key is None:
        raise InvalidInput(detail='only a tool whose terms say {"repeat": "keyed"} has a key')
    return key
