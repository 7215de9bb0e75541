"""A child that is forked while a host is open handles signals as a fresh process does."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.supervisor.signals.scripts import run_script

SCRIPT = Path(__file__).with_name("forking_host.py")


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("front", ["trio", "asyncio"])
def test_a_pool_in_a_sync_step_works_and_ends(front: str, tmp_path: Path) -> None:
    assert run_script(SCRIPT, str(tmp_path / "agents.db"), front, "pool") == "[[1, 2, 3]]\n"


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("front", ["trio", "asyncio"])
def test_a_tool_that_terminates_its_child_ends_the_child_and_not_the_host(front: str, tmp_path: Path) -> None:
    assert run_script(SCRIPT, str(tmp_path / "agents.db"), front, "terminate") == "[[15]]\n"


@pytest.mark.slow
@pytest.mark.process
def test_a_sigterm_that_comes_before_a_child_has_begun_ends_the_child(tmp_path: Path) -> None:
    assert run_script(SCRIPT, str(tmp_path / "agents.db"), "trio", "early") == "[[-15]]\n"


@pytest.mark.slow
@pytest.mark.process
def test_a_handler_of_the_program_stays_in_the_child(tmp_path: Path) -> None:
    assert run_script(SCRIPT, str(tmp_path / "agents.db"), "trio", "own") == "[[0]]\n"
