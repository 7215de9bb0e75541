"""An agent, killed by SIGKILL at every point: each task has the end of its message, which is worked on once."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.adapters.mortal import EVERY, lives_of


@pytest.mark.slow
@pytest.mark.process
def test_tasks_whose_agent_is_killed_at_every_point_have_the_ends_of_their_messages(tmp_path: Path) -> None:
    lives = lives_of(Path(__file__).with_name("mortal.py"), tmp_path)
    assert len(lives) > 20 // EVERY
    for life in lives:
        tasks, *world = life["said"].split()
        assert int(tasks) <= 3, life  # one more where an answer was not heard
        assert set(world) == {"first", "waits"}, life
        assert len(world) <= 3, life  # a step that the kill has cut off is taken again
