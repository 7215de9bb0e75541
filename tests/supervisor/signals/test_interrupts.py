"""Ctrl-C leaves as plain KeyboardInterrupt, at once, wherever it comes, and charges nothing."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import trio

import tenure
from tenure.persistence.seams.interrupts import came_by_signal, protect_library
from tests.kit.shares import TURN
from tests.supervisor.signals.scripts import ROOT, WATCHDOG_S

COMPUTING = Path(__file__).with_name("computing_host.py")


def interrupted(database: Path, kind: str) -> str:
    """What a host says that gets Ctrl-C as soon as its behaviour computes."""
    command = [sys.executable, str(COMPUTING), str(database), kind]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        try:
            assert process.stdout is not None
            first = "" if kind == "raises" else process.stdout.readline()
            if first:
                process.send_signal(signal.SIGINT)
            rest, _ = process.communicate(timeout=WATCHDOG_S)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, process.returncode
    return first + rest


@pytest.mark.turns(2)
@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("kind", ["computes", "in_step"])
def test_ctrl_c_while_a_behaviour_computes_is_no_crash_however_often(kind: str, tmp_path: Path) -> None:
    database = tmp_path / "agents.db"

    assert [interrupted(database, kind) for _ in range(3)] == ["computing\ninterrupted\n"] * 3


@pytest.mark.turns(2)
@pytest.mark.slow
@pytest.mark.process
def test_a_behaviour_that_raises_keyboard_interrupt_by_itself_is_charged_with_a_crash(tmp_path: Path) -> None:
    database = tmp_path / "agents.db"

    assert [interrupted(database, "raises") for _ in range(3)] == ["interrupted\n"] * 2 + ["held\n"]


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize(("front", "every", "least"), [("trio", 320, 3), ("asyncio", 60, 1)])
def test_ctrl_c_at_places_all_over_the_library_does_no_harm(front: str, every: int, least: int, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "proof.interrupts", f"--every={every}", f"--first={TURN % every}", "--front", front],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=WATCHDOG_S * 4,
        env={**os.environ, "TMPDIR": str(tmp_path)},
    )

    assert done.returncode == 0, done.stdout + done.stderr
    found = re.search(r"Ctrl-C at (\d+) places of \d+ .*: 0 failed", done.stdout)
    assert found is not None, done.stdout
    assert int(found[1]) >= least


def test_the_library_is_protected_and_what_users_hand_over_is_not() -> None:
    seen: list[bool] = []

    async def behaviour(run: tenure.Run) -> None:
        seen.append(trio.lowlevel.currently_ki_protected())
        await run.step("step", step, repeat="freely")

    async def step() -> None:
        seen.append(trio.lowlevel.currently_ki_protected())

    async def main() -> None:
        async with tenure.open_supervisor(":memory:", behaviours={"k": behaviour}) as supervisor:
            seen.append(trio.lowlevel.currently_ki_protected())
            await (await (await supervisor.spawn("a", "k")).accept(1)).wait_outcome()

    trio.run(main)
    assert seen == [False, False, False]
    protect_library()  # twice is allowed


def test_an_interrupt_that_the_program_raises_did_not_come_by_a_signal() -> None:
    with pytest.raises(KeyboardInterrupt) as raised:
        raise KeyboardInterrupt

    assert not came_by_signal(raised.value)
