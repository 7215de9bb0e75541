"""Time, chance and patches of one run: answers that are the same where the run enters again (design §18)."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random
from typing import final

import trio
from attrs import evolve

from tenure.persistence.model.codec import (
    decode,
)
from tenure.persistence.model.entries import (
    MARK,
    place_of_end,
)

from .branch import Branch
from .cutting.kept import keep, read_cut
from .entering import Entering
from .flight import mark


@final
class Chance:
    """What a behaviour may ask for between two entries of the record."""

    def __init__(self, entering: Entering) -> None:
        """Bind to the run."""
        self._entering = entering
        self._random: dict[str, tuple[tuple[int, tuple[int, int]] | None, Random]] = {}
        self._patched: dict[str, bool] = {}
        self._stored: set[str] = set()

    def now(self) -> datetime:
        """See `Run.now`."""
        entering, branch = self._entering, self._entering.branch
        if branch.scopes:
            branch = keep(entering.record, branch, "a time", "")
        if branch.stands_for is not None:
            return datetime.fromtimestamp(entering.store.seams.wall_clock(), UTC)
        recorded = entering.record.drawn_before_next(branch)
        at = len(branch.drawn)
        found = recorded[at] if at < len(recorded) else entering.store.seams.wall_clock()
        branch.drawn.append(found)
        return datetime.fromtimestamp(found, UTC)

    @property
    def random(self) -> Random:
        """See `Run.random`. Each place in the record has its own: what is drawn before it moves nothing after it."""
        # So has what comes after a cut: a later entering may draw more before that.
        branch = self._entering.branch
        path = branch.path if branch.stands_for is None else f"{branch.path}~"
        here = branch.reached, branch.cut_at
        at, found = self._random.get(path, (None, Random()))  # noqa: S311 - not for secrets
        if at != here:
            cuts = branch.cut_at[1] if self._has_cuts(branch) else 0
            found = Random(f"{self._entering.run_id}/{path}/{branch.reached}{f'~{cuts}' if cuts else ''}")  # noqa: S311
            self._random[path] = here, found
        return found

    def _has_cuts(self, branch: Branch) -> bool:
        # In a record of before there was what is kept, a cut moved nothing.
        reached, count = branch.cut_at
        if reached != branch.reached:
            return False
        record = self._entering.record
        cuts = record.cuts_here(branch)
        known = all(read_cut(each).kept is not None for each in cuts)
        return known and (len(cuts) >= count or not record.goes_on(branch))

    async def patched(self, name: str) -> bool:
        """See `Run.patched`."""
        entering, known = self._entering, self._entering.record.marks.get(name)
        if known is not None or name in self._stored:
            await trio.lowlevel.checkpoint()  # a loop may ask for nothing else
        if known is not None:
            return bool(decode(known.result or b"false", "patch", f"{entering.run_id}/{name}"))
        if name not in self._patched:
            self._patched[name] = not entering.record.is_replay(entering.branch)
        if name not in self._stored:  # a scope may have cut off who asked first, before that was on disk
            change = mark(entering, f"{MARK}{name}", name, self._patched[name])
            await entering.commit(lambda: (change,))
            self._stored.add(name)
        return self._patched[name]


def keep_drawn(entering: Entering, branch: Branch) -> None:
    """Record with the next commit what a branch was given since it last asked for something, where it asks for nothing more."""
    place = place_of_end(branch.path)
    if branch.drawn and place not in entering.record.ends:
        branch.late[place] = evolve(mark(entering, place, "now"), drawn=tuple(branch.drawn))
