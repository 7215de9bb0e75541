"""The run that records what agents do, as a context variable has it for the tasks of a behaviour."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, final
from weakref import WeakKeyDictionary

from attrs import frozen

from tenure.adapters.checking import checked
from tenure.asyncio import Run
from tenure.errors import InvalidInput


@final
@frozen(kw_only=True, slots=True)
class Entered:
    """One run of a behaviour, as the agents in it see it that run inside of one `within`.

    Attributes:
        run: The run.
        name: Begins the ids of these agents' runs; another one for each `within` of the run, by their order.
        met: How often each name was met in the run: what is met in the same order again gets the same names.
    """

    run: Run
    name: str
    met: Counter[str]

    def numbered(self, name: str) -> str:
        """A name that nothing else of this entering has."""
        self.met[name] += 1
        return f"{name}#{self.met[name]}"


_WITHIN: Final = "within"
"""What is met once with each of them."""

_MET: Final = WeakKeyDictionary[Run, Counter[str]]()
"""By run, for as long as it is there: a behaviour may run agents one after the other, each with a `within`."""


def entered(run: Run) -> Entered:
    """What the next `within` of a run enters. Its place among those of the run is taken here."""
    met = _MET.setdefault(run, Counter())
    met[_WITHIN] += 1
    place = met[_WITHIN]
    return Entered(run=run, name=run.run_id if place == 1 else f"{run.run_id}.{place}", met=met)


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
    with as_entered(entered(run)):
        yield


@contextmanager
def as_entered(inside: Entered) -> Generator[None]:
    """Record what agents do inside as steps, as `within` does."""
    token = ENTERED.set(inside)
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
