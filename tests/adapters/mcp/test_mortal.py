"""A server of tasks, killed by SIGKILL at every point: a task that its client has heard of has its end."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.adapters.mortal import EVERY, lives_of


@pytest.mark.slow
@pytest.mark.process
def test_tasks_whose_server_is_killed_at_every_point_have_their_ends(tmp_path: Path) -> None:
    lives = lives_of(Path(__file__).with_name("mortal.py"), tmp_path)
    assert len(lives) > 20 // EVERY
    for life in lives:
        known, *world = life["said"].split()
        assert known == "2", life
        # A step that the kill has cut off is taken again, and a call whose answer was not heard is called again: one of all.
        assert set(world) == {"asks", "waits"}, life
        assert len(world) <= 3, life
