"""Files beside a store that lose their names under hosts: nothing is damaged, and no acknowledgement is false."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit.shares import TURN

ROOT = Path(__file__).parents[3]
LONGEST_S = 300
"""Seconds after which the sweep is taken to hang; nothing here depends on how long it takes."""

EVERY = 601
"""One case of so many; others each turn."""

pytestmark = pytest.mark.process


def sweep(*arguments: str) -> str:
    command = [sys.executable, "-m", "proof.names", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_thinned_sweep_over_names_that_go() -> None:
    first = str(TURN % EVERY)
    assert "no file was damaged, and no acknowledgement was false" in sweep("--every", str(EVERY), "--first", first)
