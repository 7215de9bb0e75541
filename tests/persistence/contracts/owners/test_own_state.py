"""The own state of runtimes against a model that forgets nothing: what runs see, over dead letters, retries and restarts."""

from __future__ import annotations

import random
from typing import Any, final

import pytest

import tenure
from tenure import RunApplyBoundary, RunId, Store
from tenure.errors import Corrupt, InvalidTransition, StaleFence
from tenure.persistence.facets.runs import restarting
from tenure.persistence.facets.state import own_state
from tenure.persistence.upkeep.verify_store import verify_part
from tests.kit.seen import open_seen_store
from tests.kit.shares import share
from tests.persistence.contracts.damage import execute
from tests.persistence.contracts.owners.owned import Owner

NAMES = ("a", "b", "c")
STEPS = 60

Values = dict[str, bytes]


@final
class Oracle:
    """Every write that there ever was, in order; nothing is deleted."""

    def __init__(self) -> None:
        self.writes: list[tuple[dict[str, bytes | None], str | None, bool]] = []
        self.bases: dict[str, int] = {}

    def write(self, values: dict[str, bytes | None], run: str | None) -> None:
        self.writes.append((values, run, False))

    def at(self, place: int, *, without: str | None = None) -> Values:
        found: dict[str, bytes | None] = {}
        for values, run, taken_back in self.writes[:place]:
            if not taken_back and (without is None or run != without):
                found.update(values)
        return {name: value for name, value in found.items() if value is not None}

    def seen_at(self, place: int) -> Values:
        """As `at`, with what was taken back later: it stood there then."""
        found: dict[str, bytes | None] = {}
        for values, _, _ in self.writes[:place]:
            found.update(values)
        return {name: value for name, value in found.items() if value is not None}

    def take_back(self, run: str) -> None:
        last: dict[str, str | None] = {}
        for values, by, _ in self.writes:
            last.update(dict.fromkeys(values, by))
        replaced = [name for name, by in last.items() if by == run]
        before = self.at(len(self.writes), without=run)
        self.writes = [(values, by, gone or by == run) for values, by, gone in self.writes]
        if replaced:
            self.write({name: before.get(name) for name in replaced}, None)


@final
class Life:
    """One runtime whose runs fail, are retried, restarted and finished, in an order that is drawn."""

    def __init__(self, store: Store, seed: int) -> None:
        self.owner = Owner(store, "alice")
        self.store = store
        self.source = random.Random(seed)
        self.oracle = Oracle()
        self.run = ""
        self.dead: dict[str, str] = {}
        self.inputs: dict[str, str] = {}
        self.count = 0

    async def begin(self) -> None:
        self.count += 1
        name = f"input {self.count}"
        await self.owner.accept(name)
        await self.enter(name, f"run {self.count}")

    async def enter(self, of_input: str, run: str) -> None:
        begun = await self.owner.begin(run)
        self.run = run
        assert begun.run_id == self.owner.named(run)
        self.inputs[run] = of_input
        self.oracle.bases.setdefault(run, len(self.oracle.writes))

    async def look(self) -> None:
        """What the run sees beside its own writes, name by name and as a whole; and what stands now."""
        (row,) = (await execute(self.store, "SELECT run FROM runs WHERE run_id = ?", self.owner.named(self.run)))[0]
        wanted = self.oracle.seen_at(self.oracle.bases[self.run])
        for name in NAMES:
            found = await self.store.read(lambda statements, name=name: own_state.find_seen(statements, row, name))
            assert found == wanted.get(name)
        assert await self.store.read(lambda statements: own_state.all_seen(statements, row)) == wanted
        written = await self.store.read(lambda statements: own_state.written_by(statements, row))
        mine = [values for values, run, _ in self.oracle.writes if run == self.run]
        assert list(written.values()) == mine

    async def compare(self) -> None:
        now = await self.store.read(lambda statements: own_state.find(statements, self.owner.runtime_id))
        assert now is not None
        assert now.values == self.oracle.seen_at(len(self.oracle.writes))
        assert now.revision == len(self.oracle.writes) + own_state.NOTHING_YET
        assert not (await verify_part(self.store, "state")).problems
        assert not (await verify_part(self.store, "rows")).problems

    def draw(self) -> dict[str, bytes | None]:
        names = self.source.sample(NAMES, self.source.randrange(1, 3))
        return {name: self.source.choice((None, b"%d" % self.source.randrange(100))) for name in names}

    async def keep(self) -> None:
        values = self.draw()
        await self.owner.write(self.owner.keep(self.run, **values), self.owner.receipt(self.run))
        self.oracle.write(values, self.run)

    async def keep_beside(self) -> None:
        values = self.draw()
        change = own_state.WriteOwnState(runtime_id=self.owner.runtime_id, values=tuple(values.items()))
        await self.owner.write(change)
        self.oracle.write(values, None)

    async def finish(self) -> None:
        last = self.owner.receipt(self.run, RunApplyBoundary.RUN_START)
        await self.owner.write(self.owner.settle(self.run), last, self.owner.finish(self.run))
        self.run = ""

    async def die(self) -> None:
        await self.owner.write(self.owner.fail(self.run))
        self.dead[self.run], self.run = self.inputs[self.run], ""

    async def retry(self) -> None:
        run = self.source.choice(sorted(self.dead))
        of_input = self.dead.pop(run)
        await self.owner.write(self.owner.retry(of_input))
        await self.enter(of_input, run)

    async def retry_fresh(self) -> None:
        run = self.source.choice(sorted(self.dead))
        of_input = self.dead.pop(run)
        await self.owner.write(self.owner.retry(of_input), restarting.AmendRun(runtime_id=self.owner.runtime_id))
        await self.owner.begin(run)
        await self.owner.write(restarting.AmendRun(runtime_id=self.owner.runtime_id, restart=True))
        self.oracle.take_back(run)
        self.count += 1
        await self.enter(of_input, f"run {self.count}")

    async def step(self) -> None:
        if self.run:
            await self.look()
            verbs = [self.keep, self.keep, self.keep_beside, self.finish, self.die]
        else:
            verbs = [self.begin, self.keep_beside, *[self.retry, self.retry_fresh] * bool(self.dead)]
        await self.source.choice(verbs)()
        await self.compare()


@pytest.mark.parametrize("seed", share(range(12), 2))
async def test_every_run_sees_what_stood_when_it_first_began_whatever_became_of_it_and_of_others(seed: int) -> None:
    async with open_seen_store(":memory:") as store:
        life = Life(store, seed)
        await life.owner.own()
        for _ in range(STEPS):
            await life.step()
        # What nothing sees any more goes with the runs that saw it.
        while life.run or life.dead:
            await (life.finish() if life.run else life.retry())
        await store.prune(0, dead_letters=True)
        for _ in range(2):
            await life.begin()
            await life.owner.write(life.owner.keep(life.run, a=b"1", b=None, c=b"3"), life.owner.receipt(life.run))
            life.oracle.write({"a": b"1", "b": None, "c": b"3"}, life.run)
            await life.finish()
        await life.compare()

        assert await execute(store, "SELECT name FROM own_values ORDER BY name") == [("a",), ("c",)]
        assert await execute(store, "SELECT * FROM own_writes") == []


async def test_a_stale_token_and_a_run_that_is_over_write_nothing(store: Store) -> None:
    owner = Owner(store, "alice")
    await owner.own()
    await owner.accept("one")
    await owner.begin("run")
    stale, owner.token = owner.token, (await owner.own()).fence_token
    change = own_state.WriteOwnState(runtime_id=owner.runtime_id, values=(("a", b"1"),))
    owner.token, fresh = stale, owner.token

    with pytest.raises(StaleFence):
        await owner.write(owner.keep("run", a=b"1"), owner.receipt("run"))
    with pytest.raises(StaleFence):
        await owner.write(change)
    owner.token = None
    with pytest.raises(StaleFence):
        await owner.write(change)
    owner.token = fresh
    with pytest.raises(InvalidTransition):
        await owner.write(owner.keep("another run", a=b"1"))

    assert await execute(store, "SELECT * FROM own_values") == []
    assert await execute(store, "SELECT * FROM own_states") == []


async def test_what_a_refused_boundary_wrote_is_not_there(store: Store) -> None:
    owner = Owner(store, "alice")
    await owner.own()
    await owner.accept("one")
    await owner.begin("run")
    with pytest.raises(InvalidTransition):
        await owner.write(owner.keep("run", a=b"1"), owner.finish("another run"))

    assert await execute(store, "SELECT * FROM own_values") == []


@pytest.mark.parametrize("column", ["value", "revision", "name", "digest"])
async def test_a_value_that_was_changed_is_corrupt_where_it_is_read(store: Store, column: str) -> None:
    owner = Owner(store, "alice")
    await owner.own()
    await owner.write(own_state.WriteOwnState(runtime_id=owner.runtime_id, values=(("a", b"1"), ("b", b"2"))))
    changed: dict[str, Any] = {"value": b"3", "revision": 0, "name": "c", "digest": bytes(32)}
    await execute(store, f"UPDATE own_values SET {column} = ? WHERE name = 'a'", changed[column])

    with pytest.raises(Corrupt):
        await store.read(lambda statements: own_state.find(statements, owner.runtime_id))
    assert (await verify_part(store, "state")).problems


def test_a_run_id_is_part_of_no_value() -> None:
    change = own_state.WriteOwnState(
        runtime_id=tenure.LogicalRuntimeId("a"), values=(("n", b"secret"),), run_id=RunId("r")
    )

    assert "secret" not in repr(change)
