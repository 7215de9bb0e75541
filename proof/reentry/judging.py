"""What must be the same in every entering, and what must have come of it outside."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from proof.seeded.cases import Broken

from .world import Entering, World


def expect(kept: bool, promise: str) -> None:  # noqa: FBT001 - as `assert`
    """A promise is kept. Raises `Broken`."""
    if not kept:
        raise Broken(promise)


def compare(enterings: Sequence[Entering]) -> int:
    """What an entering has seen and is on disk the next one sees, if it gets as far: how much that is. Raises `Broken`."""
    compared = 0
    for number, (before, after) in enumerate(pairwise(enterings), start=2):
        names = before.seen if before.whole else before.settled
        for name in [each for each in names if each in after.seen]:
            was, now = before.seen[name], after.seen[name]
            expect(now == was, f"entering {number} has seen {now} at {name}, and the one before {was}")
            compared += 1
    return compared


def judge_asked(world: World) -> None:
    """Each question was asked once. Raises `Broken`."""
    for name, times in world.asked.items():
        expect(times == 1, f"{name} was asked {times} times")


def judge_sends(world: World) -> None:
    """What the last entering has sent has arrived, and nothing twice. Raises `Broken`."""
    for name in world.enterings[-1].sent:
        expect(name in world.arrived, f"{name} was sent and has not arrived")
    for name, times in world.arrived.items():
        expect(times == 1, f"{name} arrived {times} times")


def judge_inputs(world: World, accepted: Sequence[str]) -> None:
    """What was accepted was given to the run once, by whichever way, or began a run. Raises `Broken`."""
    last = world.enterings[-1]
    for name in accepted:
        times = world.ran[name] + last.steered.count(name) + last.seen["inputs"].count(repr(name))
        expect(times == 1, f"{name} was given {times} times")
