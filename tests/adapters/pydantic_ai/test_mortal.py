"""A real host of an agent, killed by SIGKILL at every point: nothing that is recorded is called again."""

from __future__ import annotations

import json
import os
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.adapters.mortal import lives_of
from tests.kit.processes import running

ROOT = Path(__file__).parents[3]
BOOKED = ["book Oslo", "book Rome"]
SIDE_BY_SIDE = 2
"""Calls that the agent makes at the same time, so as many may be cut off by one death."""
SAID = "booked Oslo booked Rome paid 700 not yet seen"


@pytest.mark.slow
@pytest.mark.process
def test_an_agent_is_killed_at_every_point_and_calls_nothing_twice(tmp_path: Path) -> None:
    lives = [json.loads(life["said"]) for life in lives_of(Path(__file__).with_name("mortal.py"), tmp_path)]
    whole = lives[0]
    # One that dies of nothing at either end, and one after the checkpoint.
    assert len(lives) == 2 * len(whole["calls"]) + 3
    for life in lives:
        calls = Counter(life["calls"])
        assert life["result"] == SAID, life
        # What may not be repeated was called once, wherever the host died: in a call, its hook has looked.
        assert [calls[each] for each in BOOKED] == [1, 1], life
        # Nothing was called again but what it died in the middle of; and under the same key.
        again = sum(calls.values()) - len(whole["calls"])
        assert again <= SIDE_BY_SIDE, life
        assert len([each for each in calls if each.startswith("pay ")]) == 1, life
        assert set(calls) - {each for each in calls if each.startswith("pay ")} == {
            *BOOKED,
            "look",
            *(f"ask {at}" for at in range(4)),
        }
    # Of the points, those before a call have nothing called again at all.
    assert sum(len(life["calls"]) > len(whole["calls"]) for life in lives) <= len(whole["calls"])


@pytest.mark.slow
@pytest.mark.process
def test_the_example_tells_its_story(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "examples" / "adapters" / "pydantic_agent.py", tmp_path]
    with running(command, env=os.environ | {"PYTHONPATH": str(ROOT)}) as story:
        assert story.stdout is not None
        told = story.stdout.read().splitlines()
        assert story.wait() == 0

    assert told[:3] == [
        "the first process ended by SIGKILL",
        "in doubt: clerk__function_toolset__<agent>.call_tool:book {'city': 'Oslo'}; the airline says: booked",
        "consumed: You fly to Oslo.",
    ]
    assert told[-3:] == ["  model: where to?", "  airline: a seat to Oslo", "  model: what to say?"]
    assert len(told) == 3 + 4 + 1 + 3
