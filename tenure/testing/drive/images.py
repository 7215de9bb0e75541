"""Crash images: what a disk may look like after a crash at any point of a recording.

Theory of operation. A walk over the recording visits every point between two operations. The first
walk makes the *plain* images: everything unsynced dropped (once for each state of what is durable,
at its last moment, when most was promised), all of it kept, names without data and data without
names, and the process merely killed. This walk and all further ones draw a *random* one at every
point where something is unsynced: a prefix, a subset, or a subset torn between sectors, each with
its own subset of the changed names. An image equal to an earlier one is skipped and not counted.
The walks end when the budget is used up or a walk finds nothing new.
"""

from __future__ import annotations

import enum
import random
from collections.abc import Iterator
from typing import final

from attrs import frozen

from .disk import (
    Disk,
    Survivors,
)
from .operations import (
    ALL_SECTORS,
    NO_SECTORS,
    Change,
    Drive,
    Truncate,
    sector_count,
)
from .recording import Recording


@final
class Cut(enum.Enum):
    """What a crash leaves of what was not synced."""

    KILL = "kill"
    """All of it, still unsynced: only the process died."""
    NOTHING = "nothing"
    """None of it."""
    EVERYTHING = "everything"
    """All of it."""
    ENTRIES = "entries"
    """The changed names, without the data."""
    DATA = "data"
    """The data, without the changed names."""
    PREFIX = "prefix"
    """What came before a random moment."""
    SUBSET = "subset"
    """Any of the changes, whole."""
    TORN = "torn"
    """Any of the changes, torn between sectors, some sectors garbage."""


PLAIN_CUTS = (Cut.KILL, Cut.EVERYTHING, Cut.ENTRIES, Cut.DATA)
RANDOM_CUTS = (Cut.PREFIX, Cut.SUBSET, Cut.TORN, Cut.TORN)


@final
@frozen(kw_only=True, slots=True)
class ImageId:
    """Which image of a recording: together with the recording it says every byte.

    Attributes:
        after: How many operations were done before the crash.
        cut: The kind of crash.
        seed: Seed of a random cut; 0 for a plain one.
    """

    after: int
    cut: Cut
    seed: int = 0

    def __str__(self) -> str:
        return f"{self.after}-{self.cut.value}-{self.seed}"

    @classmethod
    def parse(cls, text: str) -> ImageId:
        """Read what `str` wrote."""
        after, cut, seed = text.split("-")
        return cls(after=int(after), cut=Cut(cut), seed=int(seed))

    def random(self) -> random.Random:
        """The randomness of everything that is drawn for this image."""
        return random.Random(str(self))


@final
@frozen(kw_only=True, slots=True)
class Image:
    """One crash image."""

    id: ImageId
    disk: Disk


def images(recording: Recording, budget: int, seed: int) -> Iterator[Image]:
    """Different images of a recording, at most `budget`; the same for the same seed.

    Each walk goes in the order of its points.
    """
    source = random.Random(seed)
    seen: set[object] = set()
    plain = _plain(recording)
    points = [each.after for each in plain if each.cut is Cut.EVERYTHING]
    plan = _sample([*plain, *(_random_id(point, source) for point in points)], budget, source)
    barren = 0
    while plan and barren <= max(_BARREN_IMAGES, 2 * len(points)):
        found = 0
        for image in _walk(recording, plan, seen):
            yield image
            found += 1
        budget -= found
        # Walks that find next to nothing new have seen what there is.
        barren = 0 if found * 100 > len(plan) else barren + len(plan)
        plan = _sample([_random_id(point, source) for point in points], budget, source)


def crash(disk: Disk, cut: Cut, source: random.Random) -> Disk:
    """The disk that a crash of this kind leaves of `disk`, which stays as it is."""
    return disk.after_kill() if cut is Cut.KILL else disk.after_power_cut(survivors(disk, cut, source))


def survivors(disk: Disk, cut: Cut, source: random.Random) -> Survivors:
    """Draw what of the unsynced a power cut leaves."""
    changes, entries = disk.unsynced_changes(), disk.unsynced_entries()
    parts = [(NO_SECTORS, NO_SECTORS)] * len(changes)
    names = [False] * len(entries)
    if cut in (Cut.EVERYTHING, Cut.DATA):
        parts = [(ALL_SECTORS, NO_SECTORS)] * len(changes)
    if cut in (Cut.EVERYTHING, Cut.ENTRIES):
        names = [True] * len(entries)
    if cut is Cut.PREFIX:
        orders = sorted(order for order, _ in (*changes, *entries))
        last = source.choice(orders) if orders else 0
        parts = [(ALL_SECTORS if order < last else NO_SECTORS, NO_SECTORS) for order, _ in changes]
        names = [order < last for order, _ in entries]
    if cut in (Cut.SUBSET, Cut.TORN):
        # Rarely, often or mostly hit: what must be whole shows only where little is missing.
        share = source.choice(_SHARES_HIT)
        hit = [source.random() < share for _ in changes]
        parts = [
            (_tear(change, disk.drive, source) if cut is Cut.TORN else (NO_SECTORS, NO_SECTORS))
            if struck
            else (ALL_SECTORS, NO_SECTORS)
            for (_, change), struck in zip(changes, hit, strict=True)
        ]
        names = [source.random() < _NAME_LANDED for _ in entries]
    return Survivors(
        sectors=tuple(kept for kept, _ in parts),
        wrecked=tuple(wrecked for _, wrecked in parts),
        entries=tuple(names),
        grown=cut in (Cut.SUBSET, Cut.TORN)
        and source.random() < _GROWN
        and any(_shortened(disk, change, kept) for (_, change), (kept, _) in zip(changes, parts, strict=True)),
    )


_NOTHING_LANDED = ((), (), False)
_BARREN_IMAGES = 500
_SHARES_HIT = (0.1, 0.5, 0.9)
_NAME_LANDED = 0.5
_GROWN = 0.25
_WRECKED = 0.2


def _plain(recording: Recording) -> list[ImageId]:
    """The plain images that differ, by a cheap look: not yet by content."""
    found: list[ImageId] = []
    cursor = recording.cursor()
    for after in range(len(recording.operations) + 1):
        version = cursor.disk.durable_version
        cursor.advance(after)
        if cursor.disk.durable_version != version:
            found.append(ImageId(after=after - 1, cut=Cut.NOTHING))
        data, names = cursor.disk.has_unsynced_changes(), bool(cursor.disk.unsynced_entries())
        if data or names:
            found += (ImageId(after=after, cut=cut) for cut in PLAIN_CUTS[: 4 if data and names else 2])
    found.append(ImageId(after=len(recording.operations), cut=Cut.NOTHING))
    return found


def _sample(plan: list[ImageId], budget: int, source: random.Random) -> list[ImageId]:
    """What of the plan fits the budget, in the order of its points."""
    if len(plan) <= budget:
        return sorted(plan, key=_by_point)
    first = [each for each in plan if each.cut is Cut.NOTHING]
    first = source.sample(first, min(len(first), budget // 3))
    rest = [each for each in plan if each.cut is not Cut.NOTHING]
    chosen = first + source.sample(rest, min(len(rest), budget - len(first)))
    return sorted(chosen, key=_by_point)


def _by_point(each: ImageId) -> int:
    return each.after


def _random_id(after: int, source: random.Random) -> ImageId:
    return ImageId(after=after, cut=source.choice(RANDOM_CUTS), seed=source.getrandbits(32))


def _walk(recording: Recording, plan: list[ImageId], seen: set[object]) -> Iterator[Image]:
    cursor = recording.cursor()
    events = 0
    for each in plan:
        cursor.advance(each.after)
        while events < len(recording.events) and recording.events[events].at <= each.after:
            events += 1
        disk = cursor.disk
        if each.cut is Cut.KILL:
            yield Image(id=each, disk=disk.after_kill())
            continue
        left = survivors(disk, each.cut, each.random())
        # Equal images differ in nothing a check could see: the same content with the same promises.
        landed = _landed(disk, left)
        if each.cut in RANDOM_CUTS and landed == _NOTHING_LANDED:
            continue
        key = (disk.durable_version, events, landed)
        if key not in seen:
            seen.add(key)
            yield Image(id=each, disk=disk.after_power_cut(left))


def _landed(disk: Disk, left: Survivors) -> object:
    changes = zip(disk.unsynced_changes(), left.sectors, left.wrecked, strict=True)
    entries = zip(disk.unsynced_entries(), left.entries, strict=True)
    return (
        tuple((order, kept, wrecked) for (order, _), kept, wrecked in changes if kept or wrecked),
        tuple(order for (order, _), kept in entries if kept),
        left.grown,
    )


def _shortened(disk: Disk, change: Change, kept: int) -> bool:
    """Whether the file may end before what was written."""
    if kept == ALL_SECTORS or isinstance(change, Truncate):
        return False
    return change.offset + len(change.data) > disk.durable_size(change.file)


def _tear(change: Change, drive: Drive, source: random.Random) -> tuple[int, int]:
    """Masks of the sectors that landed and of those that hold garbage."""
    if isinstance(change, Truncate):
        return source.choice((ALL_SECTORS, NO_SECTORS)), NO_SECTORS
    count = sector_count(change, drive)
    whole = (1 << count) - 1
    split = source.randrange(count + 1)
    head = (1 << split) - 1
    kept = source.choice((NO_SECTORS, head, whole ^ head, source.getrandbits(count)))
    wrecked = 1 << source.randrange(count) if source.random() < _WRECKED else NO_SECTORS
    kept &= ~wrecked
    return ALL_SECTORS if kept == whole else kept, wrecked
