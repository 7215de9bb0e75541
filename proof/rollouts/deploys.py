"""The hosts of a seed: which versions each has, when it comes, and how it goes."""

from __future__ import annotations

import random
from typing import Final, final

from attrs import frozen

from proof.seeded.lives import Life, drawn_end

VERSIONS: Final = ("1", "2", "3")

HOSTS: Final = 6
"""Before the last one, which has every version."""

BACK: Final = 0.35
"""Share of the deploys that roll back."""

KEPT: Final = 0.25
"""Chance of each older version to stay beside a new one."""

MOVES: Final = 0.3
"""Share of the deploys whose first version takes runs that have failed."""

AFTER_S: Final = 30.0
LIFE_S: Final = 50.0
OPERATIONS: Final = 40.0
"""Means of what is drawn."""


@final
@frozen(kw_only=True, slots=True)
class Deploy(Life):
    """One host.

    Attributes:
        versions: What it has, the first one for what begins.
        moves: Whether that one takes runs that have failed.
    """

    versions: tuple[str, ...]
    moves: bool = False


LAST: Final = Deploy(number=HOSTS + 1, versions=VERSIONS[::-1])


def draw(seed: int) -> list[Deploy]:
    """The deploys of a seed: mostly onward, now and then back, most beside the one before."""
    source = random.Random(f"{seed}/deploys")
    drawn: list[Deploy] = []
    newest = 0
    for number in range(1, HOSTS + 1):
        back = number > 1 and source.random() < BACK
        newest = min(newest + (not back), len(VERSIONS) - 1) if number > 1 else 0
        first = source.randrange(newest + 1) if back else newest
        others = [version for version in VERSIONS[:first] if source.random() < KEPT]
        end, early = drawn_end(source)
        drawn.append(
            Deploy(
                number=number,
                versions=(VERSIONS[first], *reversed(others)),
                moves=source.random() < MOVES,
                after_s=0.0 if number == 1 else source.expovariate(1 / AFTER_S),
                life_s=0.0 if early else source.expovariate(1 / LIFE_S),
                drain_s=source.choice((0.0, 0.0, 5.0)),
                end=end,
                operations=1 + int(source.expovariate(1 / OPERATIONS)),
            )
        )
    return drawn
