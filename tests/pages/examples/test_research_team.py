"""The research team, killed at moments drawn from a seed: the same report, one question and one answer for each specialist."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import pytest
import trio

from tenure.testing.observing import inside_of
from tests.kit.processes import running
from tests.kit.seen import open_seen_store

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "persistence" / "facets"
KILLS = 2
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


def command(db: Path) -> list[str]:
    return [sys.executable, str(ROOT / "examples" / "research_team.py"), str(FOLDER), "--db", str(db)]


def run_until_killed(db: Path, after_s: float) -> None:
    with running(command(db), env=ENVIRONMENT) as child:
        try:
            child.wait(timeout=after_s)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait(timeout=60)


async def judge(db: Path, specialists: int) -> None:
    """Each specialist was asked once and answered once, and is gone; the budget was spent once."""
    async with open_seen_store(db) as store:
        inside = inside_of(store)
        for kind in ("peer_request", "peer_response_terminal"):
            query = "SELECT count(*) FROM inputs WHERE kind = ? AND phase = 'consumed'"
            [(count,)] = inside.rows(query, kind)
            assert count == specialists, kind
        assert inside.rows("SELECT count(*) FROM inputs WHERE finished_at IS NULL") == [(0,)]
        states = inside.rows("SELECT r.state FROM children c JOIN runtimes r ON r.runtime = c.child")
        assert states == [("destroyed",)] * specialists


@pytest.mark.slow
@pytest.mark.process
def test_a_team_that_is_killed_again_and_again_gives_the_same_report(tmp_path: Path) -> None:
    begun = perf_counter()
    whole = subprocess.run(
        command(tmp_path / "whole.db"), env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=True
    )
    took_s = perf_counter() - begun
    draw = random.Random(7)
    for _ in range(KILLS):
        run_until_killed(tmp_path / "killed.db", draw.uniform(0.3, 1.0) * took_s)
    again = subprocess.run(
        command(tmp_path / "killed.db"), env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=True
    )

    assert again.stdout == whole.stdout
    assert "failed: []" in again.stdout
    parts = next(line for line in whole.stdout.splitlines() if line.startswith("parts"))
    trio.run(judge, tmp_path / "killed.db", parts.count(":") - 1)
