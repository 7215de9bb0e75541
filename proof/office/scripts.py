"""What the leads of an office do with each input: drawn from the seed, and the same in every life of every host."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Final, final

from attrs import frozen

LEADS: Final = ("lead-0", "lead-1", "lead-2")
INPUTS: Final = 2
"""Of each lead."""

FINE: Final = "fine"
CIRCLE: Final = "a circle"
YES: Final = "yes"
NO: Final = "nobody came"

ANSWERS: Final[Mapping[str, object]] = {
    "works": "worked",
    "sleeps": "slept",
    "is steered": YES,
    "is asked while it waits": "joined",
    "asks another": "worked",
    "asks back": CIRCLE,
    "needs a person": "worked",
    "fails": ["abandoned", "max_attempts_exhausted"],
    "rejects": ["rejected", "rejected"],
    "is late": ["late", None],
    "is missing": ["refused", None],
    "is cancelled": ["abandoned", "cancelled"],
    "is stopped": ["abandoned", "stopped"],
    "is reset": ["abandoned", "reset"],
    "is retired": "retired",
    "is destroyed": ["abandoned", "destroyed"],
    "is erased": ["abandoned", "destroyed"],
}
"""What becomes of a child, and what its parent hears: its answer, or why there is none."""

BY_A_PERSON: Final = ("is cancelled", "is stopped", "is reset", "is retired", "is destroyed", "is erased")
"""A child that waits until a person ends it."""

WAITS: Final = ("is steered", "is asked while it waits", *BY_A_PERSON)

WORDS: Final = (
    ("ask", 8),
    ("pair", 3),
    ("wait", 3),
    ("peer", 2),
    ("sleep", 1),
    ("step", 1),
    ("send", 2),
    ("itself", 1),
)
"""What a lead does, and how often it is drawn."""

APPROVALS: Final = ("comes", "never comes", "races")
ENDS: Final = (("runtime", "leave"), ("run", "leave"), ("run", "stop"), ("run", "destroy"))
"""How children end with the run that spawned them."""


@final
@frozen(kw_only=True, slots=True)
class Word:
    """One thing that a lead does.

    Attributes:
        kind: Of `WORDS`.
        name: What the world knows it by.
        how: What becomes of the child or the approval, or how a step repeats.
        ends: Of a child: its scope, and what becomes of it then.
        drawn: Whether the id of the child is drawn by the host.
        target: The other lead that is asked.
        seconds: Of a sleep, or of a delay.
        branches: The two that are asked side by side.
    """

    kind: str
    name: str
    how: str = ""
    ends: tuple[str, str] = ("run", "stop")
    drawn: bool = False
    target: str = ""
    seconds: float = 0.0
    branches: tuple[Word, ...] = ()


def script_of(seed: int, name: str) -> tuple[Word, ...]:
    """What a lead does for the input of this name."""
    source = random.Random(f"{seed}/{name}")
    return tuple(_draw(source, name, f"{name}.{at}") for at in range(source.randrange(2, 5)))


def inputs_of(lead: str) -> list[str]:
    """The names of the inputs of a lead."""
    return [f"{lead}.{number}" for number in range(INPUTS)]


def inputs() -> list[str]:
    """The names of all inputs, in the order in which they are given."""
    return [f"{lead}.{number}" for number in range(INPUTS) for lead in LEADS]


def words(seed: int) -> Iterator[Word]:
    """All words of a seed, with those of its branches."""
    for name in inputs():
        for word in script_of(seed, name):
            yield word
            yield from word.branches


def lead_of(name: str) -> str:
    """The lead that an input or a word belongs to."""
    return name.partition(".")[0]


def _draw(source: random.Random, lead_input: str, name: str) -> Word:
    kind = source.choices([kind for kind, _ in WORDS], [share for _, share in WORDS])[0]
    match kind:
        case "ask":
            return _asked(source, name)
        case "pair":
            return Word(kind=kind, name=name, branches=(_asked(source, f"{name}a"), _asked(source, f"{name}b")))
        case "wait":
            return Word(kind=kind, name=name, how=source.choice(APPROVALS))
        case "peer":
            others = [each for each in LEADS if each != lead_of(lead_input)]
            return Word(kind=kind, name=name, target=source.choice(others))
        case "step":
            return Word(kind=kind, name=name, how=source.choice(("keyed", "never")))
        case _:
            return Word(kind=kind, name=name, seconds=source.choice((0.0, 5.0, 30.0)))


def _asked(source: random.Random, name: str) -> Word:
    how = source.choice(tuple(ANSWERS))
    # One that is late sleeps for ever: it has to end with the run that asked it. So has one that waits for a turn that steers.
    ends = ("run", "stop") if how in ("is late", "is asked while it waits") else source.choice(ENDS)
    if how == "fails" and ends[1] == "destroy":
        ends = ("run", "stop")  # what is destroyed does not pay back
    return Word(kind="ask", name=name, how=how, ends=ends, drawn=source.choice((False, True)))
