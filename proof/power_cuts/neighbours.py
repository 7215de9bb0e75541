"""The proof that other programs beside a store harm nothing: neighbours at any operation, kills and power cuts at any other.

Theory of operation. A *trial* is a disk with a store, and some lives of hosts on it, one after another. Beside each life there
are neighbours (`tenure.testing.neighbours`); it ends in order, by a kill that the neighbours outlive, or by a power cut that
ends them too. More than half of the ends come while the store is being opened, where the log is written again. What was
acknowledged before must be there at the next open, no answer may change, no token come again, and neither tenure nor a
neighbour may hear of damage. Each kill and each power cut is an *image* that was checked.
"""

from __future__ import annotations

import random
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, final

import apsw
from attrs import frozen

from proof.changes import accepting, owning
from proof.seeded.cases import memory_folder
from tenure.errors import Contended, Error, StoreLocked
from tenure.persistence.commits.commit import Commit
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.inbox.outcomes import find_by_key
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.opening import open_store
from tenure.persistence.seams.limits import Limits
from tenure.persistence.store import Store
from tenure.testing.determinism import run_seeded
from tenure.testing.drive.disk import Disk
from tenure.testing.drive.images import (
    RANDOM_CUTS,
    Cut,
    crash,
)
from tenure.testing.machine import Machine, Room, Start
from tenure.testing.neighbours import Neighbours

LIMITS: Final = Limits(busy_s=0.03)
"""So little patience that a refused open costs nothing."""

WAL_PAGES: Final = 25
"""So few pages that a life of some groups checkpoints."""

RUNTIME: Final = LogicalRuntimeId("ada")
LIVES: Final = 4
GROUPS: Final = 7
OPENING: Final = 24
"""So many operations an open does at most before it answers, most often."""

WORK: Final = 200
"""So many operations the life of a host has, most often."""

ENDS: Final = (None, Cut.KILL, Cut.KILL, Cut.NOTHING, Cut.EVERYTHING, *RANDOM_CUTS, Cut.TORN)
ENDS_OF_OPENING: Final = (Cut.KILL, Cut.NOTHING, *RANDOM_CUTS, Cut.TORN, Cut.TORN, Cut.TORN)


@final
class NeighboursFailure(AssertionError):
    """A promise was broken beside neighbours."""


@final
@frozen(kw_only=True, slots=True)
class NeighboursReport:
    """What the proof saw.

    Attributes:
        trials: How many disks.
        images: How many crashes, by kind; each was opened again and checked.
        opening: How many of these came while the store was being opened.
        acknowledged: How many groups were acknowledged.
        refused: How many opens were refused because a neighbour had read the log that was to be written.
        acts: How often neighbours did what.
    """

    trials: int
    images: Mapping[Cut, int]
    opening: int
    acknowledged: int
    refused: int
    acts: Mapping[str, int]

    def __str__(self) -> str:
        kinds = ", ".join(f"{count} {cut.value}" for cut, count in self.images.items())
        acts = ", ".join(f"{count} {act}" for act, count in sorted(self.acts.items()))
        return (
            f"{sum(self.images.values())} images ({kinds}), {self.opening} of them while it opened, on {self.trials} disks;"
            f" {self.acknowledged} groups acknowledged, {self.refused} opens refused; neighbours: {acts}"
        )


def _nothing() -> None:
    """No one watches."""


@final
@frozen(kw_only=True)
class BesideNeighbours:
    """The proof.

    Attributes:
        images: How many crashes.
        seed: What everything drawn follows from.
        only: The one trial to run; None: as many as are needed.
        on_image: Called for each crash.
    """

    images: int
    seed: int = 0
    only: int | None = None
    on_image: Callable[[], None] = _nothing

    def run(self) -> NeighboursReport:
        """Run the trials, in its own `trio.run`. Raises `NeighboursFailure`."""
        return run_seeded(self._prove, self.seed)

    async def _prove(self, room: Room) -> NeighboursReport:
        count: Counter[Cut] = Counter()
        seen: Counter[str] = Counter()
        acts: Counter[str] = Counter()
        with tempfile.TemporaryDirectory(prefix="tenure-neighbours-", dir=memory_folder()) as folder:
            template = await _template(room, Path(folder))
            number = self.only or 0
            while count.total() < self.images:
                trial = Trial(room, Path(folder), f"{self.seed}/{number}", template)
                try:
                    await trial.run()
                except Exception as exc:
                    told = "\n".join(f"  {line}" for line in trial.told[-60:])
                    message = f"trial {number} (seed {self.seed}): {type(exc).__name__}: {exc}\n{told}"
                    raise NeighboursFailure(message) from exc
                count.update(trial.ends)
                seen.update(trial.seen)
                acts.update(line.split(" ")[0] for line in trial.told if not line.startswith(" "))
                number += 1
                for _ in trial.ends:
                    self.on_image()
                if self.only is not None:
                    break
        return NeighboursReport(
            trials=number - (self.only or 0),
            images=dict(count),
            opening=seen["opening"],
            acknowledged=seen["acknowledged"],
            refused=seen["refused"],
            acts={act: acts[act] for act in ("come", "read", "hold", "let", "checkpoint", "close", "vanish")},
        )


async def _template(room: Room, memory: Path) -> Disk:
    """A disk with a store that was made and closed."""
    disk = Disk()
    with Machine(disk, room=room, seed="template", memory=memory) as machine:
        async with open_store(machine.path(), seams=machine.seams(wal_pages=WAL_PAGES), limits=LIMITS) as store:
            await _own(store)
    return crash(disk, Cut.EVERYTHING, random.Random(0))


@final
class Trial:
    """One disk, and the lives on it.

    Attributes:
        told: What happened, for people.
        ends: How its lives ended, but for those that ended in order.
        seen: Counts.
    """

    def __init__(self, room: Room, memory: Path, seed: str, template: Disk) -> None:
        """Begin with a copy of the disk; one in fifty begins with an empty one."""
        self.told: list[str] = []
        self.ends: list[Cut] = []
        self.seen: Counter[str] = Counter()
        self._room = room
        self._memory = memory
        self._seed = seed
        self._random = random.Random(seed)
        self._disk = Disk() if self._random.random() < _FROM_NOTHING else template.after_kill()
        self._acknowledged: list[str] = []
        self._tokens: list[int] = []
        self._keys = 0
        self._after_power_cut = False

    async def run(self) -> None:
        """Live, crash and look."""
        left, start = LIVES, Start()
        while left:
            with Machine(
                self._disk, room=self._room, seed=f"{self._seed}/{left}", start=start, memory=self._memory
            ) as machine:
                neighbours = self._neighbours(machine)
                cut: Cut | None = None
                while left and cut in (None, Cut.KILL):
                    left -= 1
                    opening = self._random.random() < _WHILE_OPENING
                    cut = self._random.choice(ENDS_OF_OPENING if opening else ENDS) if left else None
                    await self._live(machine, neighbours, cut, OPENING if opening else WORK)
                    machine.restart_process()
                start = machine.start.after(cut or Cut.KILL, machine.wall_clock(), machine.boot_clock())
                self._check_whole(machine, neighbours)
        assert not self._disk.exists("agents.db-wal-copy"), "a copy of the log was left behind"

    def _neighbours(self, machine: Machine) -> Neighbours:
        share = self._random.choice(_SHARES)
        neighbours = Neighbours(machine.path(), machine.vfs_name, self._random, share=share, careful=self._is_careful)
        neighbours.acts = self.told
        self._disk.faults = neighbours
        return neighbours

    def _is_careful(self) -> bool:
        # Who opens first after a power cut in the middle of a rewrite may fix a torn log as the truth: guarantees.md.
        return self._after_power_cut and self._disk.exists("agents.db-wal-copy")

    async def _live(self, machine: Machine, neighbours: Neighbours, cut: Cut | None, most: int) -> None:
        after = self._random.randrange(1, most)
        disk, left = self._disk, list[Disk]()

        def end() -> None:
            self.told.append(f" {cut.value if cut else ''}")
            if cut is not None and cut is not Cut.KILL:
                left.append(crash(disk, cut, self._random))

        self.told.append(f" life to end by {f'{cut.value} after {after}' if cut else 'closing'}")
        while self._random.random() < _SOMEBODY_FIRST:
            neighbours.act()
        neighbours.end_after(None if cut is None else after, end)
        entered = await self._open(machine, neighbours)
        self._after_power_cut = self._after_power_cut and not entered
        if not neighbours.dead:
            neighbours.end_after(None, end)
            return
        assert cut is not None
        self.ends.append(cut)
        self.seen["opening"] += not entered
        if left:
            (self._disk,) = left
            self._after_power_cut = True

    async def _open(self, machine: Machine, neighbours: Neighbours) -> bool:
        """Open the store and work with it; whether it opened."""
        entered = False
        for _ in range(_TRIES):
            try:
                async with open_store(machine.path(), seams=machine.seams(wal_pages=WAL_PAGES), limits=LIMITS) as store:
                    entered = True
                    await self._work(store)
            except Error as exc:
                self.told.append(f" {type(exc).__name__}")
                if neighbours.dead:
                    return entered
                if not isinstance(exc, StoreLocked | Contended):
                    raise
                self.seen["refused"] += 1
                neighbours.vanish()
            else:
                return entered
        raise AssertionError("refused beside no one")

    async def _work(self, store: Store) -> None:
        landed = set(await store.read(self._landed))
        missing = [key for key in self._acknowledged if key not in landed]
        assert not missing, f"acknowledged and lost: {missing}"
        self._acknowledged = sorted(landed)  # no answer may change
        for _ in range(self._random.randrange(GROUPS)):
            if not self._tokens or self._random.random() < _MINTED:
                token = await _own(store)
                assert token > max(self._tokens, default=0), f"token {token} was minted again"
                self._tokens.append(token)
            else:
                self._keys += 1
                key = f"k-{self._keys}"
                payload = b'"%s"' % (b"x" * self._random.choice((5, 100, 3_000, 9_000)))
                await store.commit(Commit(changes=(accepting(store, RUNTIME, key, payload),)))
                self._acknowledged.append(key)
                self.told.append(f" {key}")
            self.seen["acknowledged"] += 1

    def _landed(self, statements: Statements) -> list[str]:
        keys = [f"k-{number}" for number in range(1, self._keys + 1)]
        return [key for key in keys if find_by_key(statements, RUNTIME, key) is not None]

    def _check_whole(self, machine: Machine, neighbours: Neighbours) -> None:
        neighbours.end_after(None, lambda: None)
        if neighbours.trouble is not None:
            raise neighbours.trouble
        neighbours.vanish()
        machine.disk.faults = None
        if self._disk is not machine.disk:
            return  # its power was cut
        db = apsw.Connection(machine.path(), apsw.SQLITE_OPEN_READWRITE, machine.vfs_name)
        try:
            found = db.execute("PRAGMA integrity_check").get
            assert found == "ok", found
        finally:
            db.close()


async def _own(store: Store) -> int:
    result = await store.commit(Commit(changes=(owning(store, RUNTIME),)))
    token: int = result.values[0].fence_token
    return token


_FROM_NOTHING = 0.02
_SHARES = (0.0, 0.02, 0.06, 0.2)
_SOMEBODY_FIRST = 0.4
_WHILE_OPENING = 0.6
_MINTED = 0.1
_TRIES = 4
