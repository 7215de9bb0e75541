"""Versions of a behaviour: which of them goes on with a run (design §18).

A run stays with the version that recorded it, where a host has that. Another one may go on with it, but never one that the
store knew before it: what a younger version has recorded, an older one cannot read. A person moves a run, also back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final, final

from attrs import frozen

VERSION_LIMIT: Final = 200
"""Most characters of a version."""


STAYS: Final = "stays"
"""A word of a run that a person has moved to a version."""


@final
@frozen(kw_only=True, slots=True)
class Offer:
    """A version that a host has of a kind.

    Attributes:
        version: Its name; empty where there is none.
        moves: Whether it takes runs of other versions whose last attempt failed.
    """

    version: str = ""
    moves: bool = False


UNVERSIONED: Final = (Offer(),)
"""What a host offers whose behaviour has no version."""


@final
@frozen(kw_only=True, slots=True)
class RunVersion:
    """What a run says of versions.

    Attributes:
        version: The youngest that has recorded an entry of it, or that a person has moved it to; else the one that began it.
        recorded: Whether that has recorded anything, or a person has said so: no older version enters it then.
        failed: Whether its last attempt failed.
        stays: Whether a person has moved it: no version takes it then because it failed.
    """

    version: str
    recorded: bool
    failed: bool
    stays: bool


def choose(offers: Sequence[Offer], run: RunVersion, ages: Mapping[str, int]) -> Offer | None:
    """Which of the versions of a host goes on with a run; None where it has older ones alone.

    Args:
        offers: What the host has; the first is for what begins.
        run: Which run.
        ages: When the store first heard of each version: a rising number.
    """
    least = ages.get(run.version, 0) if run.recorded else 0
    able = [each for each in offers if not each.version or ages.get(each.version, 0) >= least]
    if run.failed and not run.stays and able and able[0].moves:
        return able[0]
    own = [each for each in able if each.version == run.version]
    return next(iter([*own, *able]), None)
