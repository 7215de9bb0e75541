"""The example of a test is itself a test that passes, and that can fail."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.architecture.tree import ROOT

pytestmark = pytest.mark.process


@pytest.mark.turns(4)
@pytest.mark.slow
def test_the_example_of_a_users_own_agent_passes() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "examples/test_my_agent.py"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "3 passed" in done.stdout
