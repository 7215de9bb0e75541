"""Agents that speak while their host dies: each position once to those who follow, and in the end what was said, once."""

from __future__ import annotations

import pytest

from proof.simulated.talk import talking
from tenure.supervisor.output import saying
from tenure.testing.simulation import SimulationFailure
from tests.kit.shares import share


@pytest.mark.slow
@pytest.mark.parametrize("seed", share(range(100), 50))
def test_those_who_follow_hear_everything_once_over_every_death(seed: int) -> None:
    assert talking(seed).run(seed).lives > 1


@pytest.mark.turns(3)
@pytest.mark.slow
def test_a_run_that_does_not_drop_what_it_said_in_vain_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(saying, "in_vain", nothing)
    with pytest.raises(SimulationFailure, match="has said in"):
        run_five()


def nothing(*_: object) -> list[object]:
    return []


def run_five() -> None:
    for seed in range(5):
        talking(seed).run(seed)
