"""Schedules under SIGKILL: three hosts decide the same instants at once, and none is lost or doubled."""

from __future__ import annotations

import sys

import pytest

from tests.architecture.tree import ROOT
from tests.kit.processes import running
from tests.kit.shares import TURN

pytestmark = [pytest.mark.slow, pytest.mark.process]


def test_each_instant_stands_once_where_hosts_that_fire_it_at_once_are_killed() -> None:
    command = [sys.executable, "-m", "proof.ticking", "--kills", "3", "--seed", TURN]
    with running(command, cwd=ROOT) as process:
        assert process.stdout is not None
        said = process.stdout.read()
        assert process.wait() == 0, said
    assert said.startswith("3 hosts killed")
    assert " done" in said
