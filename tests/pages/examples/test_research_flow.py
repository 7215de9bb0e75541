"""The research flow, killed at points drawn from a seed: the same report, and no step done twice."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

import tenure

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "persistence" / "facets"
KILLS = 4


def run(db: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / "research_flow.py"), str(FOLDER), "--db", str(db), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.process
@pytest.mark.parametrize("seed", [7])
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
    async with tenure.open_store(tmp_path / "killed.db") as store:
        events = [each.event async for each in store.journal.stream("research")]
    done = Counter(each["measured"] for each in events if "measured" in each)
    assert set(done.values()) == {1}
    assert sorted(done) == sorted(each["planned"] for each in events if "planned" in each)
    assert sum("reduced" in each for each in events) == 1
