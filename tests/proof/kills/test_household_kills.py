"""Real hosts whose agents ask, wait, are put aside, on hold and erased, killed by SIGKILL: each hears what it had to."""

from __future__ import annotations

from pathlib import Path

import pytest

from proof.household import kills
from proof.household.agents import told
from proof.household.kills import POINTS, run
from proof.killed.killing import PromiseNotKept
from tests.kit.shares import TURN, share

pytestmark = [pytest.mark.process, pytest.mark.slow]


def test_a_household_hears_does_and_says_what_it_had_to_over_kills_at_points_that_take_turns(tmp_path: Path) -> None:
    points = share(POINTS, 8)

    assert "nothing lost, doubled or stuck" in run(len(points), TURN, tmp_path, points=points)


@pytest.mark.turns(3)
def test_it_sees_that_a_secret_is_not_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = (tmp_path / "agents.db-kept").write_bytes
    live = kills.live

    def beside(*arguments: object) -> int:
        code = live(*arguments)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType] - handed on as they come
        kept(told("keeper-1-").encode())
        return code

    monkeypatch.setattr(kills, "live", beside)

    with pytest.raises(PromiseNotKept, match="keeper-1- is gone"):
        run(0, 0, tmp_path)
