"""A text that is not UTF-8, where a look over all runtimes meets it first: the look goes on for the others."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

import tenure
from tests.kit.hosting import host, nothing
from tests.kit.past import write_past

DAMAGED = {
    "schedules.fires_at": "TRUE",
    "schedules.schedule_id": "TRUE",
    "schedules.runtime_id": "TRUE",
    "inputs.input_id": "input = (SELECT max(input) FROM inputs)",
    "inputs.due_at": "due_at IS NOT NULL",
    "inputs.deadline": "deadline IS NOT NULL",
    "asides.wake_at": "TRUE",
    "asides.kind": "TRUE",
    "runtimes.runtime_id": "runtime_id = 'victim'",
    "runtimes.kind": "runtime_id = 'victim'",
    "holds.since": "TRUE",
    "holds.runtime_id": "TRUE",
    "holds.kind": "TRUE",
    "hosts.host_name": "closed_at IS NOT NULL",
    "requests.verb": "TRUE",
    "followed_kinds.kind": "TRUE",
    "versions.kind": "TRUE",
}
"""Columns, and in which rows."""


async def sleeping(run: tenure.Run) -> None:
    await run.sleep(50_000.0)


BEHAVIOURS = {"kind": nothing, "sleeps": tenure.Behaviour(sleeping, aside_after_s=1.0)}


@pytest.mark.sqlite("a server has types of its own")
@pytest.mark.parametrize("where", DAMAGED)
async def test_a_text_that_cannot_be_read_keeps_no_news_from_other_runtimes(
    tmp_path: Path, autojump_clock: MockClock, where: str
) -> None:
    path = tmp_path / "agents.db"
    table, column = where.split(".")
    async with host(path, BEHAVIOURS):
        pass
    async with host(path, BEHAVIOURS) as one, host(path, {}) as other:
        await one.spawn("alice", "kind")
        victim = await one.spawn("victim", "sleeps")
        await victim.accept("go")
        await one.hold("nobody")
        await one.schedules.create("s", "victim", tenure.Every(3_000), None, "sleeps")
        await victim.accept("late", after_s=4_000.0)
        await victim.accept("ends", deadline_s=5_000.0)
        await trio.sleep(10)
        write_past(path, f"UPDATE {table} SET {column} = CAST(? AS TEXT) WHERE {DAMAGED[where]}", b"\xff")

        for number in range(3):
            with trio.fail_after(200):
                outcome = await (await other.accept("alice", number)).wait_outcome()
                assert outcome.phase == "consumed"
            await trio.sleep(30)
