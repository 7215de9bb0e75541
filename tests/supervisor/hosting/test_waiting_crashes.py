"""Runs that wait for days are not charged with the crashes of their host in the meantime."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT
from tests.kit.hosting import peek

HOST = """
import os, signal, sys
import trio
import tenure

reached = {"steered": trio.Event(), "sleeps": trio.Event()}

async def steered(run):
    reached["steered"].set()
    await run.wait_steered()

async def sleeps(run):
    reached["sleeps"].set()
    await run.sleep(1e6)

async def nothing(run):
    pass

async def main():
    behaviours = {"steered": steered, "sleeps": sleeps, "other": nothing}
    async with tenure.open_supervisor(sys.argv[1], behaviours=behaviours) as supervisor:
        for kind in reached:
            await (await supervisor.spawn(kind, kind)).accept("work", idempotency_key="work")
        for event in reached.values():
            await event.wait()
        other = await supervisor.spawn("other", "other")
        for _ in range(3):  # commits land in the order in which they were given: those of the waits stand before these
            await (await other.accept("work")).wait_outcome()
        os.kill(os.getpid(), signal.SIGKILL)

trio.run(main)
"""


DYING = """
import os, signal, sys
import trio
import tenure

async def dies(run):
    await run.sleep(0.001)
    os.kill(os.getpid(), signal.SIGKILL)

async def main():
    async with tenure.open_supervisor(sys.argv[1], behaviours={"dies": dies}) as supervisor:
        await (await supervisor.spawn("dies", "dies")).accept("work", idempotency_key="work")
        await trio.sleep_forever()

trio.run(main)
"""


def run_until_killed(program: str, database: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", program, str(database)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )

    assert done.returncode == -signal.SIGKILL, done.stderr


@pytest.mark.turns(4)
@pytest.mark.slow
@pytest.mark.process
def test_a_run_that_waits_is_charged_with_no_crash_once_it_waits_again(tmp_path: Path) -> None:
    database = tmp_path / "agents.db"
    for _ in range(3):
        run_until_killed(HOST, database)

    assert peek(database, "SELECT runtime_id, crashes, held FROM runtimes WHERE kind <> 'other' ORDER BY 1") == [
        ["sleeps", 0, None],
        ["steered", 0, None],
    ]


@pytest.mark.turns(4)
@pytest.mark.slow
@pytest.mark.process
def test_a_run_that_kills_its_host_behind_a_wait_is_charged(tmp_path: Path) -> None:
    database = tmp_path / "agents.db"
    for _ in range(3):
        run_until_killed(DYING, database)

    assert peek(database, "SELECT crashes FROM runtimes") == [[2]]
