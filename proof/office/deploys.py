"""The hosts of a seed: which kinds each has, when it comes, and how it goes."""

from __future__ import annotations

import random
from typing import Final, final

from attrs import frozen

from proof.rollouts.deploys import ENDS, WHILE_OPENING, End

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
class Life:
    """One host.

    Attributes:
        number: Which, from 1.
        kinds: What it has behaviours of.
        after_s: Seconds between the start of the one before and its own.
        life_s: Seconds that it lives.
        end: How it goes.
        operations: At which of its operations on the disk after `life_s` it is killed or the power is cut, from 1.
    """

    number: int
    kinds: tuple[str, ...] = KINDS
    after_s: float = 0.0
    life_s: float = 0.0
    end: End = End.ORDERLY
    operations: int = 1


LAST: Final = Life(number=HOSTS + 1)
"""It has all kinds, and lives until everything has ended."""


def draw(seed: int) -> list[Life]:
    """The hosts of a seed."""
    source = random.Random(f"{seed}/hosts")
    drawn: list[Life] = []
    for number in range(1, HOSTS + 1):
        end = source.choices([end for end, _ in ENDS], [share for _, share in ENDS])[0]
        early = end in (End.KILLED, End.POWER) and source.random() < WHILE_OPENING
        partly = source.random() < PARTLY
        drawn.append(
            Life(
                number=number,
                kinds=tuple(source.sample(KINDS, len(KINDS) // 2)) if partly else KINDS,
                after_s=0.0 if number == 1 else source.expovariate(1 / AFTER_S),
                life_s=0.0 if early else source.expovariate(1 / LIFE_S),
                end=end,
                operations=1 + int(source.expovariate(1 / OPERATIONS)),
            )
        )
    return drawn
