"""Retention: what has ended goes by itself, at its age and not before; the rest stays."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import trio
from attrs import evolve
from trio.testing import MockClock

import tenure
from tenure import Retention
from tenure.persistence.upkeep.verify import verify_runtime
from tenure.supervisor.timing.looking import OLD_S
from tests.kit.hosting import forever, nothing, virtual_seams
from tests.kit.seen import open_seen_supervisor
from tests.persistence.contracts.damage import execute

DAY_S = 86_400.0
SHORT = Retention(runs_s=DAY_S, dead_letters_s=3 * DAY_S, keys_s=2 * DAY_S, output_s=DAY_S / 2)
SLOW = tenure.Limits(poll_s=7_200.0, lease_s=72_000.0, renew_s=7_200.0)
"""A host that looks and renews seldom: of many virtual days these would be all."""

ONE_ATTEMPT = tenure.RestartPolicy(max_attempts=1, budget=1_000, period_s=1.0)
"""A busy day has more failures than a runtime is allowed by default before it is held."""


async def work(run: tenure.Run) -> None:
    await run.step("look", lambda: "x" * 200, repeat="freely")
    await run.emit("said")


async def breaks(run: tenure.Run) -> None:
    raise ValueError("for good")


def behaviours() -> dict[str, Any]:
    failing = tenure.Behaviour(breaks, restart=ONE_ATTEMPT)
    return {"work": work, "breaks": failing, "busy": forever, "quiet": nothing}


async def done(supervisor: tenure.Supervisor, name: str, kind: str, key: str | None = None) -> tenure.Outcome:
    ticket = await supervisor.accept(name, {"of": name}, kind=kind, idempotency_key=key)
    return await ticket.wait_outcome()


async def counted(store: tenure.Store, table: str) -> int:
    async with store.read_connection() as connection:
        ((count,),) = await connection.query(f"SELECT count(*) FROM {table}")
    assert isinstance(count, int)
    return count


@pytest.mark.slow
async def test_each_sort_goes_at_its_age_and_what_is_unfinished_or_held_stays(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    async with tenure.open_supervisor(
        tmp_path / "a.db",
        behaviours=behaviours(),
        retention=SHORT,
        seams=virtual_seams(),
        limits=SLOW,
        durability="memory",
    ) as supervisor:
        store = supervisor.store
        await supervisor.accept("busy", 1, kind="busy")
        await supervisor.hold("kept")
        await supervisor.accept("kept", 1, kind="quiet")
        await done(supervisor, "ann", "work", key="k")
        await done(supervisor, "ben", "breaks")

        async def left() -> tuple[int, ...]:
            return tuple([await counted(store, each) for each in ("runs", "entries", "inputs", "payloads")])

        assert await left() == (3, 1, 4, 4)
        await trio.sleep(0.9 * DAY_S)
        assert await left() == (3, 1, 4, 4)
        await trio.sleep(0.3 * DAY_S)  # the run of ann goes, and its key stays
        assert await left() == (2, 0, 4, 3)
        assert (await supervisor.accept("ann", {"of": "ann"}, idempotency_key="k")).deduplicated
        await trio.sleep(1.5 * DAY_S)  # its key has been kept from then on for two days
        assert (await left())[2] == 4
        await trio.sleep(0.6 * DAY_S)
        assert await left() == (1, 0, 2, 2)  # and the dead letter has gone after three
        assert [line.inputs for line in await supervisor.list()] == [0, 0, 1, 1]
        for name in ("ann", "ben", "busy", "kept"):
            assert (
                await store.read(lambda each, name=name: verify_runtime(each, tenure.LogicalRuntimeId(name)))
            ).is_sound


@pytest.mark.slow
@pytest.mark.turns(4)
async def test_without_a_retention_what_has_ended_stays(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with tenure.open_supervisor(
        tmp_path / "a.db", behaviours=behaviours(), seams=virtual_seams(), limits=SLOW, durability="memory"
    ) as supervisor:
        await done(supervisor, "ann", "work")
        await trio.sleep(40 * DAY_S)
        assert await counted(supervisor.store, "runs") == await counted(supervisor.store, "inputs") == 1


@pytest.mark.slow
async def test_output_of_a_kind_goes_at_its_own_age(tmp_path: Path, autojump_clock: MockClock) -> None:
    async with tenure.open_supervisor(
        tmp_path / "a.db",
        behaviours={"work": work, "records": work},
        seams=virtual_seams(),
        limits=SLOW,
        retention=Retention(output_s=DAY_S, kinds={"records": Retention(output_s=9 * DAY_S)}),
        durability="memory",
    ) as supervisor:
        for kind in ("records", "work", "records", "work"):
            await done(supervisor, f"of {kind}", kind)
        await trio.sleep(2 * DAY_S)
        assert await _entries(supervisor.store, "of records") == 6
        assert await _entries(supervisor.store, "of work") <= 3  # the newest of the store stays
        await trio.sleep(8 * DAY_S)
        assert await counted(supervisor.store, "output_chunks") == 1


@pytest.mark.slow
async def test_a_kind_is_kept_for_its_own_time_beside_one_that_goes(tmp_path: Path, autojump_clock: MockClock) -> None:
    kinds = {"records": Retention(output_s=100 * DAY_S, output_entries=4)}
    async with tenure.open_supervisor(
        tmp_path / "a.db",
        behaviours={"work": work, "records": work},
        retention=evolve(SHORT, kinds=kinds),
        seams=virtual_seams(),
        limits=SLOW,
        durability="memory",
    ) as supervisor:
        store = supervisor.store
        for kind in ("work", "records"):
            await done(supervisor, f"of {kind}", kind, key="k")
        await trio.sleep(5 * DAY_S)

        async with store.read_connection() as connection:
            runs = await connection.query("SELECT kind FROM runs JOIN runtimes USING (runtime)")
            inputs = await connection.query("SELECT runtimes.kind FROM inputs JOIN runtimes USING (runtime)")
            said = await connection.query("SELECT DISTINCT kind FROM output_chunks JOIN runtimes USING (runtime)")
        # The kind that is named keeps what has ended for ever, and of the other one not even the key is known any more.
        assert runs == said == [("records",)]
        assert [kind for (kind,) in inputs].count("work") == 0

        for number in range(5):
            await done(supervisor, "of records", "records", key=f"{number}")
        # Begun, said and ended for each run; the bound of entries is its own too.
        assert await _entries(store, "of records") <= 4 + 3
        await done(supervisor, "of work", "work")
        await done(supervisor, "of work", "work")
        assert await _entries(store, "of work") == 6


async def _entries(store: tenure.Store, name: str) -> int:
    async with store.read_connection() as connection:
        ((count,),) = await connection.query(
            "SELECT sum(entries) FROM output_chunks JOIN runtimes USING (runtime) WHERE runtime_id = ?", (name,)
        )
    assert isinstance(count, int)
    return count


@pytest.mark.parametrize("retention", [None, SHORT], ids=["output alone", "all sorts"])
async def test_a_clock_that_raises_in_a_look_for_what_is_old_does_not_end_the_host(
    tmp_path: Path, autojump_clock: MockClock, *, retention: Retention | None
) -> None:
    seams = virtual_seams()
    broken = False

    def wall_clock() -> float:
        if broken:
            raise ZeroDivisionError
        return seams.wall_clock()

    async with tenure.open_supervisor(
        tmp_path / "a.db",
        behaviours=behaviours(),
        retention=retention,
        limits=SLOW,
        seams=evolve(seams, wall_clock=wall_clock),
    ) as supervisor:
        broken = True
        await trio.sleep(2.5 * OLD_S)
        broken = False

        assert await done(supervisor, "a", "work")


A_DAY = int(os.environ.get("TENURE_INPUTS_A_DAY", "40"))
"""Inputs of one day; docs/testing.md has the command with the 10,000 of a busy store."""

WAVES = 40
"""How often inputs come in a day: those of one wave at once, over eight runtimes."""

DAY_LONG = Retention(runs_s=DAY_S, dead_letters_s=DAY_S, keys_s=DAY_S, output_s=DAY_S)


@pytest.mark.sqlite("pages of a file")
@pytest.mark.slow
@pytest.mark.turns(4)
async def test_after_24_days_the_file_uses_no_more_pages_than_after_4(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    pages = await pages_of_24_days(tmp_path, DAY_LONG)

    assert pages[24] <= 1.1 * pages[4], pages


@pytest.mark.sqlite("pages of a file")
@pytest.mark.slow
@pytest.mark.turns(8)
async def test_without_a_retention_24_days_use_many_more_pages_than_4(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    pages = await pages_of_24_days(tmp_path, None)

    assert pages[24] > 1.5 * pages[4], pages


async def pages_of_24_days(folder: Path, retention: Retention | None) -> dict[int, int]:
    """The pages in use at the end of each day."""
    pages: dict[int, int] = {}
    async with open_seen_supervisor(
        folder / "a.db",
        behaviours=behaviours(),
        retention=retention,
        seams=virtual_seams(),
        limits=SLOW,
        durability="memory",
    ) as supervisor:
        for day in range(1, 25):
            for wave in range(WAVES):
                async with trio.open_nursery() as nursery:
                    for number in range(wave, A_DAY, WAVES):
                        kind = "breaks" if number % 4 == 0 else "work"
                        nursery.start_soon(done, supervisor, f"{kind} {number % 8}", kind, f"{day} {number}")
                await trio.sleep(DAY_S / WAVES)
            pages[day] = await _in_use(supervisor.store)
    return pages


async def _in_use(store: tenure.Store) -> int:
    ((count,),) = await execute(store, "PRAGMA page_count")
    ((free,),) = await execute(store, "PRAGMA freelist_count")
    return int(count) - int(free)
