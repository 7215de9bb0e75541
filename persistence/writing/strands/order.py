"""In what order the commits of a group are carried out. Pure.

A group goes in **waves**, one after another. A wave is one commit, or **strands** that go side by side; the commits of a
strand follow one another. Two commits that name the same runtime, an owner's and a sender's say, are of one strand. A commit
that may write beyond the runtimes that it names is a wave by itself. Whether it does is not always known before it is carried
out: one that is seen to has the group tried once more, and is such a wave then. Where that is seen again, and in every try that
follows a conflict or has savepoints, all commits follow one another.

So each group has the answers and the rows that it has when its commits follow one another in the order in which they came.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final, final

from attrs import frozen

from tenure.persistence.commits.commit import Commit


@final
@frozen(kw_only=True, slots=True)
class Strand:
    """Commits that follow one another.

    Attributes:
        commits: Their places in the group, rising.
        names: The runtimes that they name.
    """

    commits: tuple[int, ...]
    names: frozenset[str]


Wave = Sequence[Strand]
"""Strands without a runtime in common; one strand alone may write whatever it likes."""


@final
@frozen(kw_only=True, slots=True)
class Order:
    """How a try of a group is carried out.

    Attributes:
        side_by_side: Whether strands are.
        savepoints: Whether each commit has a savepoint; then none is beside another.
        reaching: Places of commits that were seen to reach beyond the runtimes that they name.
    """

    side_by_side: bool
    savepoints: bool = False
    reaching: frozenset[int] = frozenset()

    def waves(self, commits: Sequence[Commit], waiting: Sequence[int]) -> Iterator[Wave]:
        """The waves of the commits at these places, in their order."""
        if not self.side_by_side:
            yield (Strand(commits=tuple(waiting), names=frozenset()),)
            return
        wave = _Wave()
        for place in waiting:
            names = None if place in self.reaching else named(commits[place])
            if names is None:
                if wave.strands:
                    yield tuple(wave.strands.values())
                    wave = _Wave()
                yield (Strand(commits=(place,), names=frozenset()),)
            else:
                wave.add(place, names)
        if wave.strands:
            yield tuple(wave.strands.values())

    def seen_reaching(self, places: Collection[int]) -> Order:
        """The next try, where these were seen to reach further: a second time nothing is beside anything."""
        return Order(side_by_side=not self.reaching, reaching=frozenset(places))


ONE_BY_ONE: Final = Order(side_by_side=False)

IN_SAVEPOINTS: Final = Order(side_by_side=False, savepoints=True)


def named(commit: Commit) -> frozenset[str] | None:
    """The runtimes that a commit names; None where one of its changes names none, or gives one another owner or token."""
    names: set[str] = set() if commit.runtime_id is None else {commit.runtime_id}
    for change in commit.changes:
        own: str | None = getattr(change, "runtime_id", None)
        if own is None or change.moves:
            return None
        names.add(own)
        reached = change.reaches
        if reached is not None:
            names.add(reached)
    return frozenset(names)


@final
class _Wave:
    """A wave that grows.

    Attributes:
        strands: Its strands, each under a number.
    """

    def __init__(self) -> None:
        """Of nothing."""
        self.strands: dict[int, Strand] = {}
        self._by_name: dict[str, int] = {}  # which strand names a runtime

    def add(self, place: int, names: frozenset[str]) -> None:
        """Put a commit after those that name one of its runtimes; what it joins is one strand from now on."""
        commits: tuple[int, ...] = (place,)
        joined = {found for each in names if (found := self._by_name.get(each)) is not None}
        if joined:
            strands = [self.strands.pop(number) for number in joined]
            commits = (*sorted([earlier for each in strands for earlier in each.commits]), place)
            names = names.union(*[each.names for each in strands])
        self.strands[place] = Strand(commits=commits, names=names)  # no other one has this place
        for each in names:
            self._by_name[each] = place
