"""The example with two hosts on one server: one is killed, one is drained, and each agent answers once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.kit import postgres

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.turns(2)
@pytest.mark.postgres
@pytest.mark.slow
@pytest.mark.process
def test_a_kill_and_a_drain_leave_each_question_with_one_answer() -> None:
    postgres.needs_server()
    url = postgres.new_database(tables=False)
    played = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "two_hosts.py"), url],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    postgres.drop([postgres.name_of(url)])

    assert played.returncode == 0, played.stdout + played.stderr
    *_, last = [line for line in played.stdout.splitlines() if "answers after" in line]
    assert last.endswith(": 6 by cora")
    assert "bert left in order, with code 0" in played.stdout
    assert "6 agents remember four answers each, none twice" in played.stdout
