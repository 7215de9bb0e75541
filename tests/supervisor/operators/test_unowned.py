"""The look for work that no living host owns: what it finds, page by page, and that runtimes at rest cost it nothing."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any, cast

import apsw
import pytest
from trio.testing import MockClock

import tenure
from tenure.persistence.store import ground_of
from tenure.supervisor.operators import unowned
from tests.kit.hosting import cut_off, host
from tests.persistence.contracts.damage import execute

AT_REST = 20_000

COPIES = """
WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
INSERT INTO {table} ({key}, {columns}) SELECT 1000 + i, {values} FROM n CROSS JOIN {table} WHERE {key} = 1
"""


async def forever(run: tenure.Run) -> None:
    run.session.append("begun")
    await run.checkpoint()
    await run.wait_steered()


async def consumed(run: tenure.Run) -> None:
    """A run that goes on although nothing of its inbox is unfinished."""
    run.reject(run.inputs[0], "no")
    await run.checkpoint()
    await run.wait_steered()


async def leave(supervisor: tenure.Supervisor, count: int) -> None:
    await (await supervisor.spawn("a", "emptied")).accept("go")
    for number in range(count):
        await (await supervisor.spawn(f"a{number}", "kind")).accept("go")
        await supervisor.spawn(f"b{number}", "kind")
        await (await supervisor.spawn(f"c{number}", "kind")).accept("later", after_s=1e6)


async def test_all_pages_together_have_what_has_work_and_nothing_else(
    database: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    monkeypatch.setattr(unowned, "PAGE", 2)
    await cut_off(database, {"kind": forever, "emptied": consumed}, partial(leave, count=5))

    async with host(database, {"other": forever}) as supervisor:
        found = await supervisor.unowned()

    names = ["a", *(f"a{number}" for number in range(5))]
    assert [(each.runtime_id, each.reason) for each in found] == [(each, "kind") for each in names]


async def test_what_has_work_on_many_pages_is_taken_over(
    database: Path, monkeypatch: pytest.MonkeyPatch, autojump_clock: MockClock
) -> None:
    monkeypatch.setattr(unowned, "PAGE", 2)
    await cut_off(database, {"kind": forever, "emptied": consumed}, partial(leave, count=5))

    async with host(database, {"kind": forever, "emptied": consumed}) as supervisor:
        for number in range(5):
            await supervisor.runtime(f"a{number}").wait_state("running")
        assert await supervisor.unowned() == []


@pytest.mark.sqlite("counts steps of SQLite")
async def test_a_look_costs_what_is_open_however_many_runtimes_are_at_rest(
    database: Path, autojump_clock: MockClock
) -> None:
    steps = 0

    def step() -> bool:
        nonlocal steps
        steps += 1
        return False

    await cut_off(database, {"kind": forever, "emptied": consumed}, partial(leave, count=3))
    async with host(database, {"other": forever}) as supervisor:
        await multiply(supervisor.store)
        reader = partial(unowned.unfinished, offers={}, after=unowned.FIRST)

        def look(connection: Any) -> tuple[list[tenure.UnownedRuntime], int | None]:
            db = cast("apsw.Connection", vars(connection)["_db"])
            db.set_progress_handler(step, 10)
            try:
                return reader(connection)
            finally:
                db.set_progress_handler(None)

        page, after = await ground_of(supervisor.store).between_groups(look)

    assert [each.runtime_id for each in page] == ["a", "a0", "a1", "a2"]
    assert after is None
    assert steps * 10 < 3_000, steps


async def multiply(store: tenure.Store) -> None:
    """Many runtimes at rest."""
    same = "kind, record_version, state, generation, fence_token, crashes, failures, boundaries, chain"
    times = "created_at, updated_at"
    filled = COPIES.format(
        table="runtimes", key="runtime", columns=f"runtime_id, {same}, {times}", values=f"'rest/' || i, {same}, {times}"
    )
    await execute(store, filled, AT_REST)
