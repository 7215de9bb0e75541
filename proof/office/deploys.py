"""The hosts of a seed: which kinds each has, when it comes, and how it goes."""

from __future__ import annotations

import random
from typing import Final, final

from attrs import frozen

from proof.seeded.lives import Life, drawn_end

from .world import KINDS

HOSTS: Final = 6
"""Before the last one."""

PARTLY: Final = 0.3
"""Share of the hosts that have some of the kinds alone."""

AFTER_S: Final = 30.0
LIFE_S: Final = 60.0
OPERATIONS: Final = 40.0
"""Means of what is drawn: about two hosts live at a time."""


@final
@frozen(kw_only=True, slots=True)
class Kinds(Life):
    """One host.

    Attributes:
        kinds: What it has behaviours of.
    """

    kinds: tuple[str, ...] = KINDS


LAST: Final = Kinds(number=HOSTS + 1)
"""It has all kinds, and lives until everything has ended."""


def draw(seed: int) -> list[Kinds]:
    """The hosts of a seed."""
    source = random.Random(f"{seed}/hosts")
    drawn: list[Kinds] = []
    for number in range(1, HOSTS + 1):
        end, early = drawn_end(source)
        partly = source.random() < PARTLY
        drawn.append(
            Kinds(
                number=number,
                kinds=tuple(source.sample(KINDS, len(KINDS) // 2)) if partly else KINDS,
                after_s=0.0 if number == 1 else source.expovariate(1 / AFTER_S),
                life_s=0.0 if early else source.expovariate(1 / LIFE_S),
                end=end,
                operations=1 + int(source.expovariate(1 / OPERATIONS)),
            )
        )
    return drawn
