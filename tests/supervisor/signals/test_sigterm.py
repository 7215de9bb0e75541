"""SIGTERM is a normal exit."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import trio

import tenure
from tests.supervisor.signals.scripts import ROOT, run_script


@pytest.mark.slow
@pytest.mark.process
def test_sigterm_lets_the_run_come_to_its_end_and_leaves_the_rest_in_the_inbox(tmp_path: Path) -> None:
    database = tmp_path / "agents.db"
    script = Path(__file__).with_name("sigterm_host.py")
    host = subprocess.Popen(
        [sys.executable, str(script), str(database)],
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with host:
        assert host.stdout is not None
        assert host.stdout.readline() == "running\n"
        host.send_signal(signal.SIGTERM)
        assert host.stdout.read() == "ended in order\n"
    assert host.returncode == 0

    assert trio.run(what_is_left, database) == (["came to its end"], 2)


async def what_is_left(database: Path) -> tuple[list[object], int]:
    left: list[int] = []

    async def look(run: tenure.Run) -> None:
        left.append(run.inputs[0].payload)
        run.stop()

    async with tenure.open_supervisor(database, behaviours={"k": look}) as supervisor:
        # No spawn: where the run has stopped it already, a spawn would bring it back to life.
        await supervisor.runtime("a").wait_state("stopped")
        return await supervisor.read_session("a"), left[0]


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("front", ["trio", "asyncio"])
def test_sigterm_at_any_work_of_the_disk_is_a_normal_exit_also_while_a_host_opens_or_closes(
    front: str, tmp_path: Path
) -> None:
    said = run_script(Path(__file__).with_name("sigterm_sweep.py"), str(tmp_path), front)

    places, _, rest = said.partition(" ")
    assert int(places) >= 8
    assert rest == "places, all in order\n"
