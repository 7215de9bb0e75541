"""The proof of answers: every case of a host that dies at one of its operations, and cases of several deaths that are drawn."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Final

from proof.seeded import cases as seeded

from .hosts import Death
from .play import LAYOUTS, Case, play
from .world import ANSWERS

MOST_DEATHS: Final = 3
"""Of one place, where they are drawn."""

MEAN_OPERATIONS: Final = 25
"""Of a host before its death, where that is drawn."""


def every_case(hows: Iterable[str] = tuple(ANSWERS), layouts: Iterable[str] = tuple(LAYOUTS)) -> Iterator[Case]:
    """One host dies, at each of its operations, before it and after it. Raises `Broken` where none has to die.

    A death after a read that nobody has heard of leaves what one before it leaves, at the same time: it is the same case.
    """
    for how in hows:
        for layout in layouts:
            places = LAYOUTS[layout]
            alive = Case(how=how, layout=layout, deaths=tuple(() for _ in places))
            for place, passed in enumerate(_passed(alive)):
                for at, changes in enumerate(passed, start=1):
                    for late in (False, True) if changes else (False,):
                        death = (Death(at, late),)
                        deaths = tuple(death if each == place else () for each in range(len(places)))
                        yield Case(how=how, layout=layout, deaths=deaths)


def drawn_case(seed: int) -> Case:
    """A case in which hosts die, and those after them too."""
    source = random.Random(f"{seed}/case")
    layout = source.choice(tuple(LAYOUTS))
    deaths = tuple(
        tuple(
            Death(1 + int(source.expovariate(1 / MEAN_OPERATIONS)), source.choice((False, True)))
            for _ in range(source.randrange(MOST_DEATHS + 1))
        )
        for _ in LAYOUTS[layout]
    )
    return Case(how=source.choice(tuple(ANSWERS)), layout=layout, deaths=deaths, seed=seed)


def broken_by(case: Case) -> str | None:
    """Play a case: how it broke a promise, or None."""
    return seeded.broken_by(lambda: _passed(case))[1]


def _passed(case: Case) -> list[list[bool]]:
    return seeded.played(lambda file: play(case, file), case.seed)
