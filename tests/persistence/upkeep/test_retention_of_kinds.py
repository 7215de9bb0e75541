"""What is kept of each kind: a store that is pruned by drawn retentions, against a plain model of what it must still have."""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Final, final

import pytest
from attrs import define, field

from tenure import InputId, LogicalRuntimeId, Retention, RunApplyBoundary, Seams, Store
from tenure.persistence.commits.upkept import PAGE
from tenure.persistence.facets import prunable
from tenure.persistence.facets.inbox.cancelling import CancelInput
from tenure.persistence.facets.prunable import Pruned
from tenure.persistence.model.lifecycles.retention import Ages
from tenure.persistence.upkeep.prune import prune
from tenure.persistence.upkeep.verify import verify_runtime
from tests.kit.clocks import Clock
from tests.kit.seen import open_seen_store
from tests.kit.shares import share
from tests.persistence.contracts.owners.owned import Owner

DAY_S: Final = 86_400.0
KINDS: Final = ("chat", "audit", "plain")
NAMES: Final = tuple([f"{kind} {number}" for kind in KINDS for number in range(2)])


@pytest.fixture
def clock() -> Clock:
    return Clock(1_700_000_000.0, step=0.001)


@pytest.fixture
async def store(tmp_path: Path, clock: Clock) -> AsyncGenerator[Store]:
    async with open_seen_store(
        tmp_path / "agents.db", durability="memory", seams=Seams(wall_clock=clock)
    ) as opened:  # output goes where the test prunes
        yield opened


@final
@define
class Input:
    """An input as the model has it, with the run that took it, if one did."""

    kind: str
    name: str
    ended_at: float | None = None
    dead: bool = False
    receipts: bool = False
    key: str | None = None
    run: bool = True
    said_at: list[float] = field(factory=list[float])
    there: bool = True
    pruned_at: float | None = None

    @property
    def row(self) -> tuple[str, bool]:
        """Its id, and whether its payload is there."""
        return self.name, self.pruned_at is None


@final
class Model:
    """What a store has, by runtime, in the order in which it came."""

    def __init__(self) -> None:
        self.inputs: dict[str, list[Input]] = {name: [] for name in NAMES}

    def all(self) -> Iterator[Input]:
        for each in self.inputs.values():
            yield from each

    def prune(self, ages: Ages, now: float) -> None:
        """Let go of what may go, as the docstrings of `Retention` say it."""
        newest = max([at for each in self.all() for at in each.said_at], default=0.0)
        for inputs in self.inputs.values():
            kept = False  # a receipt that stays keeps those after it
            for each in inputs:
                mine = ages.of(each.kind)
                said_before = mine.output_before if each.ended_at is not None else 0.0
                each.said_at = [at for at in each.said_at if at >= said_before or at == newest]
                goes = each.ended_at is not None and each.ended_at < (mine.dead_before if each.dead else mine.before)
                if each.run and goes and not (each.receipts and kept):
                    self._leave(each, now)
                elif each.run:
                    kept = kept or each.receipts
                elif each.pruned_at is None and goes:
                    self._leave(each, now)
                elif each.pruned_at is not None and each.ended_at is not None:
                    each.there = each.there and not (each.ended_at < mine.before and each.pruned_at <= mine.keys_before)

    def _leave(self, each: Input, now: float) -> None:
        each.there, each.run = each.key is not None, False
        if each.there:
            each.pruned_at = now


@final
class Life:
    """Runtimes of each kind that work, fail and speak, each time some days later."""

    def __init__(self, store: Store, clock: Clock, source: random.Random) -> None:
        self.store, self.clock, self.source = store, clock, source
        self.model = Model()
        self.owners = {name: Owner(store, name) for name in NAMES}
        self.busy = set[str]()
        self.number = 0

    async def begin(self) -> None:
        for name, owner in self.owners.items():
            await owner.own(name.split()[0])

    async def happen(self) -> None:
        self.clock.now += self.source.random() * 4 * DAY_S
        free = [name for name in NAMES if name not in self.busy]
        if not free:
            return
        name = self.source.choice(free)
        way = self.source.choice(("done", "done", "keyed", "dead", "dead with a receipt", "cancelled", "stays"))
        if way == "stays" and self.source.random() < 0.5:
            return
        self.number += 1
        await self.live(self.owners[name], name, f"of {self.number}", way)

    async def live(self, owner: Owner, name: str, text: str, way: str) -> None:
        one = Input(
            kind=name.split(maxsplit=1)[0], name=owner.named(text), key=text if way in {"keyed", "cancelled"} else None
        )
        self.model.inputs[name].append(one)
        await owner.accept(text, idempotency_key=one.key)
        if way == "cancelled":
            await owner.write(CancelInput(runtime_id=owner.runtime_id, input_id=InputId(one.name)))
            one.run, one.dead, one.ended_at = False, True, self.clock.now
            return
        await owner.begin(text)
        if self.source.random() < 0.5:
            await owner.write(owner.say(text, b'"word"'))
            one.said_at.append(self.clock.now)
        self.clock.now += self.source.random() * 2 * DAY_S
        if way == "stays":
            self.busy.add(name)
            return
        one.receipts = way != "dead"
        one.dead = way.startswith("dead")
        if one.dead:
            changes = (owner.fail(text),)
            if one.receipts:
                await owner.write(owner.receipt(text))
        else:
            changes = (owner.receipt(text, RunApplyBoundary.RUN_START), owner.finish(text))
        await owner.write(*changes)
        one.ended_at = self.clock.now
        if one.said_at:
            one.said_at.append(self.clock.now)  # that it has ended

    async def compare(self) -> None:
        model = list(self.model.all())
        ids = "SELECT input_id, EXISTS (SELECT 1 FROM payloads p WHERE p.input = i.input) FROM inputs i"
        assert {(name, bool(whole)) for name, whole in await self._rows(ids)} == {
            each.row for each in model if each.there
        }
        assert {name for (name,) in await self._rows("SELECT run_id FROM runs")} == {
            each.name for each in model if each.run
        }
        said = sorted([at for each in model for at in each.said_at])
        chunks = await self._rows("SELECT said_at FROM output_chunks ORDER BY chunk")
        assert [at for (at,) in chunks] == pytest.approx(said, abs=0.5)
        for name in NAMES:
            found = await self.store.read(partial(verify_runtime, runtime_id=LogicalRuntimeId(name)))
            assert found.is_sound, found.problems

    async def _rows(self, sql: str) -> list[tuple[Any, ...]]:
        async with self.store.read_connection() as connection:
            return await connection.query(sql)


def drawn(source: random.Random, kinds: Mapping[str, Retention] | None = None) -> Retention:
    days = partial(source.choice, (1, 5, 20, 60, 1_000))
    runs_s = None if source.random() < 0.2 else days() * DAY_S
    dead_letters_s = None if runs_s is None or source.random() < 0.3 else days() * DAY_S
    return Retention(
        runs_s=runs_s,
        dead_letters_s=dead_letters_s,
        keys_s=days() * DAY_S,
        output_s=days() * DAY_S,
        kinds=kinds or {},
    )


@pytest.mark.slow
@pytest.mark.parametrize("seed", share(range(60), 12))
async def test_each_kind_keeps_what_its_retention_says_and_no_other_row(store: Store, clock: Clock, seed: int) -> None:
    source = random.Random(seed)
    life = Life(store, clock, source)
    await life.begin()
    retention = drawn(source, {kind: drawn(source) for kind in source.sample(KINDS[:2], source.randrange(3))})
    many = source.randrange(20, 60)
    for number in range(many):
        await life.happen()
        if source.random() < 0.15 or number == many - 1:
            clock.now += DAY_S / 10
            ages = retention.ages(clock.now)
            await prune(store, ages)
            life.model.prune(ages, clock.now)
            await life.compare()


async def test_by_hand_only_the_kinds_that_are_named_are_pruned(store: Store, clock: Clock) -> None:
    life = Life(store, clock, random.Random(1))
    await life.begin()
    for name in NAMES:
        await life.live(life.owners[name], name, "one", "done")
    clock.now += DAY_S

    assert (await store.prune(0, kinds=["chat", "unheard of"])).runs == 2
    assert await store.prune(0, kinds=[]) == Pruned()
    assert (await store.prune(0)).runs == 4


@pytest.mark.slow
async def test_rows_that_stay_for_their_kind_are_passed_in_several_looks(
    store: Store, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More of them than one read looks through, before the first one that may go."""
    monkeypatch.setattr(prunable, "PAGES_AT_ONCE", 2)
    life = Life(store, clock, random.Random(1))
    await life.begin()
    for name, count in (("audit 0", 3 * PAGE), ("chat 0", 1)):
        for number in range(count):
            await life.live(life.owners[name], name, str(number), "cancelled")
    clock.now += DAY_S

    assert (await store.prune(0, dead_letters=True, kinds=["chat"])).payloads_of_keys == 1
