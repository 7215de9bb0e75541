"""The example of an agent on the package `openai`, beside a model server that fails in every way."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.kit.processes import running

ROOT = Path(__file__).parents[3]


@pytest.mark.slow
@pytest.mark.process
def test_the_example_has_its_answer_once(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "examples" / "adapters" / "openai_agent.py", tmp_path]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("OPENAI")}
    with running(command, env=environment | {"PYTHONPATH": str(ROOT)}) as story:
        assert story.stdout is not None
        told = story.stdout.read().splitlines()
        assert story.wait() == 0

    broken = ["  'Well, '", "  'thank '", "  restarted"]
    assert (
        told
        == [
            "  begun",
            *broken,  # the one that stalls
            *broken,  # the one that breaks off
            *broken[:2],
            "  'you.'",
            "  ended",
            *["'Well, thank you.', known: True"] * 2,
            "user: How do you do?",
            "assistant: Well, thank you.",
        ]
    )
