"""Schedules while their host dies: each instant stands once, and what it became is done once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import attrs
import pytest

from proof.simulated.clockwork import clockwork
from tenure.persistence.facets.schedules import schedules, terms
from tenure.testing.simulation import SimulationFailure
from tests.kit.shares import share


@pytest.mark.slow
@pytest.mark.parametrize("seed", share(range(100), 50))
def test_each_instant_comes_once_over_every_death(seed: int) -> None:
    assert clockwork(seed).run(seed).lives > 1


@pytest.mark.turns(3)
@pytest.mark.slow
@pytest.mark.parametrize("change", ["lost", "early"])
def test_a_look_that_decides_wrongly_is_seen(monkeypatch: pytest.MonkeyPatch, change: str) -> None:
    monkeypatch.setattr(schedules, "decide", {"lost": lose_one, "early": decide_early}[change])
    with pytest.raises(SimulationFailure, match="stands twice or not at all"):
        clockwork(0).run(0)


def lose_one(*arguments: Any, **more: Any) -> terms.Decided:
    """What comes in some seconds is left out."""
    found = terms.decide(*arguments, **more)
    return attrs.evolve(found, instants=()) if int(arguments[1]) % 5 == 0 else found


def decide_early(
    record: terms.ScheduleRecord, now: float, draw: Callable[[], float], new_id: Callable[[], str], **more: Any
) -> terms.Decided:
    """The one after next is the next one."""
    found = terms.decide(record, now, draw, new_id, **more)
    after = None if found.next_at is None else record.terms.first(found.next_at)
    return attrs.evolve(found, next_at=after, fires_at=after)
