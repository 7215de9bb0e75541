"""One case: a program, what is given to its run from outside, and when the host is left."""

from __future__ import annotations

import random
from typing import Final, final

from attrs import frozen

from .programs import Drawing, Program

RESTARTED: Final = 4
"""Of so many cases the run of one is abandoned at its end, and begun anew from what it has recorded."""

GIVEN: Final = ("steer", "steer", "steer", "queue", "state", "hold", "late")
"""What comes from outside: inputs, one with a deadline, a value of the state, a hold."""


@final
@frozen(kw_only=True, slots=True)
class Given:
    """Something that comes from outside.

    Attributes:
        at_s: When, in seconds after the beginning.
        what: One of `GIVEN`.
        name: Its own.
        correlation_id: Of an input.
    """

    at_s: float
    what: str
    name: str
    correlation_id: str | None


@final
@frozen(kw_only=True, slots=True)
class Leave:
    """A host is left so many seconds after it was opened: it ends in order, or is `cut_off`."""

    after_s: float
    cut_off: bool


@final
@frozen(kw_only=True, slots=True)
class Case:
    """One case.

    Attributes:
        seed: From which it follows.
        program: What the run does.
        drawn: How many things there are in it.
        restarted: Whether its run begins anew at its end, and not only enters again.
        beside: How many inputs are in its batch beside the first.
        given: What comes from outside, in order.
        leaves: When hosts are left, one after another.
        version: Of the behaviour.
        aside_after_s: When a run that waits is put aside, or None.
    """

    seed: int
    program: Program
    drawn: int
    restarted: bool
    beside: int
    given: tuple[Given, ...]
    leaves: tuple[Leave, ...]
    version: str
    aside_after_s: float | None


def draw(seed: int) -> Case:
    """The case of a seed."""
    source = random.Random(f"{seed}/case")
    restarted = seed % RESTARTED == RESTARTED - 1
    drawing = Drawing(source, plain=restarted)
    return Case(
        seed=seed,
        program=drawing.program(source.randint(3, 9)),
        drawn=drawing.drawn,
        restarted=restarted,
        beside=source.randint(0, 2),
        given=_given(source),
        leaves=tuple(_leave(source) for _ in range(source.choice([0, 0, 1, 2, 3]))),
        version=source.choice(["", "1"]),
        aside_after_s=source.choice([None, 0, 0.5, 2]),
    )


def _given(source: random.Random) -> tuple[Given, ...]:
    given: list[Given] = []
    at_s = 0.0
    for number in range(source.randint(0, 6)):
        at_s += source.choice([0, 0.3, 1, 1.7, 3])
        what = source.choice(GIVEN)
        correlation_id = source.choice([None, None, "c1", "c2"])
        given.append(Given(at_s=at_s, what=what, name=f"{what}-{number}", correlation_id=correlation_id))
    return tuple(given)


def _leave(source: random.Random) -> Leave:
    after_s = source.choice([0.2, 0.7, 1.1, 1.9, 2.3, 3.1, 5.3, 8.7])
    return Leave(after_s=after_s, cut_off=source.choice([True, True, False]))
