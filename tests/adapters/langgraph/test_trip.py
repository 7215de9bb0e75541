"""examples/adapters/langgraph_trip.py: killed in each of its nodes, it goes on, and calls nothing again of the steps before."""

from __future__ import annotations

import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.adapters.suite import ROOT

STEPS = (("plan",), ("weather", "trains", "hotels"), ("report",))


def run(db: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / "adapters" / "langgraph_trip.py"), "--db", str(db), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("killed_in", ["plan", "hotels", "report"])
def test_a_graph_that_is_killed_goes_on_and_repeats_no_step(tmp_path: Path, killed_in: str) -> None:
    assert run(tmp_path / "trip.db", "--kill-in", killed_in).returncode == -9

    done = run(tmp_path / "trip.db")

    assert done.returncode == 0, done.stderr
    first, *answers, last = done.stdout.splitlines()
    assert first.startswith("goes on with:")
    assert killed_in in first
    knowing = [(name, sum(map(len, STEPS[:place]))) for place, step in enumerate(STEPS) for name in step]
    assert sorted(answers) == sorted(f"{name}, knowing {count} answers" for name, count in knowing)
    calls = Counter(last.removeprefix("called: ").split())
    before = [name for step in STEPS[: [killed_in in step for step in STEPS].index(True)] for name in step]
    assert [calls[name] for name in before] == [1] * len(before)
    assert calls[killed_in] == 1
    assert set(calls) == {name for name, _ in knowing}
