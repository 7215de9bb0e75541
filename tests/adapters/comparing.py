"""Scenarios that are played over the stores of a framework and over ours, and what each was seen to answer.

A scenario is a coroutine function of a `Seen` of its own framework, over which it calls the store and notes what came of it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

import attrs

OURS = ("asyncio", "sync")


class Noting(Protocol):
    """What scenarios are played over."""

    notes: list[Any]


SeenT = TypeVar("SeenT", bound=Noting)
Played = Callable[[SeenT], Awaitable[None]]


@attrs.frozen
class Scenario(Generic[SeenT]):
    """One of them.

    Attributes:
        play: The coroutine function.
        differs: Which of theirs answer otherwise than what is right, and how.
    """

    play: Played[SeenT]
    differs: Mapping[str, str]


class Scenarios(Generic[SeenT]):
    """All of one framework, by name."""

    def __init__(self) -> None:
        self.by_name: dict[str, Scenario[SeenT]] = {}

    def __call__(self, **differs: str) -> Callable[[Played[SeenT]], Played[SeenT]]:
        """Add the function that this decorates."""

        def add(play: Played[SeenT]) -> Played[SeenT]:
            name = getattr(play, "__name__", "")
            assert name not in self.by_name, f"two scenarios are named {name}"
            self.by_name[name] = Scenario(play, differs)
            return play

        return add


Opened = Callable[[str, Path], AbstractAsyncContextManager[SeenT]]
"""Opens one of the stores, by its name, in a folder."""


async def answers(opened: Opened[SeenT], which: str, scenario: Scenario[SeenT], folder: Path) -> list[Any]:
    async with asyncio.timeout(120), opened(which, folder) as seen:
        await scenario.play(seen)
        return seen.notes


def compare(scenarios: Scenarios[SeenT], opened: Opened[SeenT], theirs: Collection[str], folder: Path) -> str:
    """Play every scenario over all of them; each of ours answers as those of theirs that are right.

    Returns:
        How many there are, and how many of them each of theirs answers so.
    """
    divergences: list[str] = []
    for name, scenario in scenarios.by_name.items():
        (here := folder / name).mkdir()
        assert len(scenario.differs) < len(theirs), f"{name}: none of theirs says what is right"
        right = {which: asyncio.run(answers(opened, which, scenario, here)) for which in theirs}
        for which in OURS:
            ours = asyncio.run(answers(opened, which, scenario, here))
            divergences += [
                f"{name}: {which} and {other}: {scenario.differs.get(other, 'they do not agree')}"
                for other, notes in right.items()
                if (ours == notes) is (other in scenario.differs)
            ]
    assert not divergences, divergences
    every = scenarios.by_name.values()
    agree = {which: sum([which not in scenario.differs for scenario in every]) for which in theirs}
    return f"{len(scenarios.by_name)} scenarios, 0 divergences; as {agree}"
