"""Runs a script of these tests in a process group of its own, and ends all of it in the end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

ROOT = Path(__file__).parents[3]
WATCHDOG_S = 60.0


def run_script(script: Path, *arguments: str) -> str:
    """What it prints, where it ends with 0. Its children, which it may have left, are killed with it."""
    process = subprocess.Popen(
        [sys.executable, str(script), *arguments],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        try:
            said, _ = process.communicate(timeout=WATCHDOG_S)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, process.returncode
    return said
