"""Files beside a store that lose their names under hosts: nothing is damaged, and no acknowledgement is false."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
LONGEST_S = 300
"""Seconds after which the sweep is taken to hang; nothing here depends on how long it takes."""

pytestmark = pytest.mark.process


def sweep(*arguments: str) -> str:
    command = [sys.executable, "-m", "proof.names", *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=LONGEST_S, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_thinned_sweep_over_names_that_go() -> None:
    assert "no file was damaged, and no acknowledgement was false" in sweep("--every", "401")


@pytest.mark.slow
def test_a_closer_sweep_over_names_that_go() -> None:
    assert "no acknowledgement was false" in sweep("--every", "149", "--seed", "2")
