"""The research flow, killed at points drawn from a seed: the same report, and no step done twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from time import perf_counter

import pytest

import tenure
from tests.kit.processes import running

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "persistence" / "facets"
KILLS = 4
ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT)}


SEEDS = [int(each) for each in os.environ.get("TENURE_FLOWS", "7").split(",")]
"""Of the points; ``TENURE_FLOWS=1,2,3`` draws others."""


def command(db: Path, *arguments: str) -> list[str]:
    return [sys.executable, str(ROOT / "examples" / "research_flow.py"), str(FOLDER), "--db", str(db), *arguments]


def run(db: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command(db, *arguments), env=ENVIRONMENT, capture_output=True, text=True, timeout=60, check=False
    )


def run_until_killed(db: Path, after_s: float) -> int:
    """Start the flow, and kill it from outside at a moment of no meaning; its exit code."""
    with running(command(db), env=ENVIRONMENT) as child:
        try:
            return child.wait(timeout=after_s)
        except subprocess.TimeoutExpired:
            child.kill()
            return child.wait(timeout=60)


async def judge(db: Path) -> None:
    """Each file of the plan was measured once, and the flow was reduced once."""
    async with tenure.open_store(db) as store:
        events = [each.event async for each in store.journal.stream("research")]
    done = Counter(each["measured"] for each in events if "measured" in each)
    assert set(done.values()) == {1}
    assert sorted(done) == sorted(each["planned"] for each in events if "planned" in each)
    assert sum("reduced" in each for each in events) == 1


@pytest.mark.turns(4)
@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("seed", SEEDS)
async def test_a_flow_that_is_killed_gives_the_same_report_and_measures_no_file_twice(
    tmp_path: Path, seed: int
) -> None:
    whole = run(tmp_path / "whole.db")
    source = random.Random(seed)

    killed = [run(tmp_path / "killed.db", "--kill-at", str(source.randrange(1, 25))) for _ in range(KILLS)]
    ended = run(tmp_path / "killed.db")

    assert whole.returncode == ended.returncode == 0, (whole.stderr, ended.stderr)
    assert whole.stdout == ended.stdout
    assert sum(each.returncode < 0 for each in killed) == KILLS, [each.stderr for each in killed]
    await judge(tmp_path / "killed.db")


@pytest.mark.turns(4)
@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("seed", SEEDS)
async def test_a_flow_that_is_killed_from_outside_at_any_moment_goes_on_to_the_same_report(
    tmp_path: Path, seed: int
) -> None:
    began = perf_counter()
    whole = run(tmp_path / "whole.db")
    longest_s = perf_counter() - began  # so that the kills fall into the flow, however slow the machine is
    source = random.Random(seed)

    codes = [run_until_killed(tmp_path / "killed.db", source.uniform(0.2, 1.0) * longest_s) for _ in range(2 * KILLS)]
    ended = run(tmp_path / "killed.db")

    assert set(codes) <= {0, -signal.SIGKILL}
    assert -signal.SIGKILL in codes
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == whole.stdout
    await judge(tmp_path / "killed.db")
