"""The words of a run's record: kinds of entries, how a step repeats, how far an entry has come, and places (design §18).

A place is text. ``main/3`` is the third thing that the behaviour asked for; ``main/3.2/1`` the first in the second branch of
the `gather`, `map` or `first` that stands there; ``#call_7`` the step with that call id, wherever it was asked for;
``?name`` the mark of a patch. What a restarted run takes over has no new place: ``^main/3`` says where it stood.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from enum import StrEnum
from typing import Final, final

from tenure.errors import InvalidInput

from .digests import seal
from .numbers import (
    is_a,
)

MAIN: Final = "main"
"""The branch that the behaviour itself is."""

CALL: Final = "#"
MARK: Final = "?"
CARRIED: Final = "^"

_BY_ITSELF: Final = (CALL, MARK, CARRIED)

CALL_LIMIT: Final = 200
"""Most characters of a call id."""


NAMED: Final = 10
"""Steps that a text names; of more it says how many."""

SETTLED: Final = "a person said that it ran"
"""Stands in the place of an error where the result of a step is the verdict of a person."""

WAS_THERE: Final = "it was there"
"""Stands in the place of an error where a child was spawned that had been spawned before, by this run or an earlier one."""


@final
class EntryKind(StrEnum):
    """What a run can ask for that stands in its record; a send stands there alone where a restart has taken it over."""

    STEP = "step"
    SLEEP = "sleep"
    CHECKPOINT = "checkpoint"
    WAIT = "wait"
    GATHER = "gather"
    MAP = "map"
    FIRST = "first"
    PATCH = "patch"
    POP = "pop"
    REWRITE = "rewrite"
    FORK = "fork"
    ATTACH = "attach"
    ASK = "ask"
    SEND = "send"
    SPAWN = "spawn"


@final
class Repeat(StrEnum):
    """How a step may be repeated when it is not known whether it ran. There is no default."""

    FREELY = "freely"
    KEYED = "keyed"
    NEVER = "never"


@final
class EntryStatus(StrEnum):
    """How far an entry has come.

    ``retrying``: an attempt of a step failed, and the step tries again by itself. ``caught``: it failed, and something that
    is recorded stands on its error. ``cancelled``: a scope of the behaviour cut it off.
    """

    DISPATCHED = "dispatched"
    IN_DOUBT = "in_doubt"
    RETRYING = "retrying"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CAUGHT = "caught"
    CANCELLED = "cancelled"


def place_of(branch: str, number: int) -> str:
    """The place of the n-th thing that a branch asked for."""
    return f"{branch}/{number}"


def branch_of(place: str, number: int) -> str:
    """The n-th branch of the entry at a place."""
    return f"{place}.{number}"


def place_of_call(call: str) -> str:
    """The place of a step with a call id. Raises `InvalidInput` where it is not one."""
    plain = str.__str__(call) if is_a(call, str) else ""
    if not plain or len(plain) > CALL_LIMIT or "\0" in plain:
        raise InvalidInput(detail=f"a call id is a text of 1 to {CALL_LIMIT} characters without NUL", field="call")
    return f"{CALL}{plain}"


def place_of_end(branch: str) -> str:
    """The place of what is recorded of the end of a branch; it counts in no order."""
    return f"{MARK}{branch}/"


def place_of_cut(branch: str, reached: int, before: int) -> str:
    """The place of what is recorded where a scope cut off nothing, by what was reached, and how many had done so there."""
    return f"{MARK}{branch}/{reached}~{before}"


def place_of_taken(branch: str, reached: int, before: int) -> str:
    """The place of what a branch took of what steers, by what it had reached, and how often it had done so there."""
    return f"{MARK}{branch}/{reached}+{before}"


def parse_place(place: str) -> tuple[str, int] | None:
    """The branch and the number of a place in a branch; None for a call, a mark and what was carried over."""
    branch, slash, number = place.rpartition("/")
    if not slash or not number.isdecimal() or place.startswith(_BY_ITSELF):
        return None
    return branch, int(number)


def stands_in(place: str, branch: str) -> bool:
    """Whether a place is of this branch, or of a branch inside it."""
    return place.startswith((f"{branch}/", f"{branch}."))


def named_steps(steps: Sequence[tuple[str, str]]) -> str:
    """Steps, given by place and name, for people: some by name, the others by number."""
    named = ", ".join([f"{name} at {place}" for place, name in steps[:NAMED]])
    return f"{named} and {len(steps) - NAMED} more" if len(steps) > NAMED else named


def add_doubts(detail: str, doubts: Iterable[tuple[str, str]]) -> str:
    """What a hold says, with the steps in doubt that it does not name yet."""
    left = [(place, name) for place, name in doubts if not _names(detail, f"{name} at {place}")]
    return f"{detail}; in doubt: {named_steps(left)}" if left else detail


def _names(text: str, step: str) -> bool:
    """Whether it stands there by itself, and not as part of another name or place."""
    return re.search(rf"(?<!\S){re.escape(step)}(?![^\s,;])", text) is not None


_ALIKE: Final = {
    EntryStatus.IN_DOUBT.value: EntryStatus.DISPATCHED.value,
    EntryStatus.CAUGHT.value: EntryStatus.FAILED.value,
}
"""What changes in the row alone, in one statement for many: the seal has the first of both for either."""


def seal_of(
    name: str,
    arguments: bytes,
    call_key: str | None,
    result: bytes | None,
    error: str | None,
    *,
    terms: tuple[str, str, str],
) -> bytes:
    """The outcome of an entry, and of which: a result in the place of another is found out too.

    `terms` are its kind, how it repeats, and its status: a step that may have run is not one that may run again.
    """
    kind, repeat, status = terms
    return seal(name, arguments, call_key, result, error, str(kind), str(repeat), str(_ALIKE.get(status, status)))
