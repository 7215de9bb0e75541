"""A replicator beside hosts that are killed and started again; the whole of it is a command in docs/testing.md."""

from __future__ import annotations

from pathlib import Path

import pytest

from proof import replicator


@pytest.mark.turns(2)
@pytest.mark.slow
@pytest.mark.process
def test_beside_a_replicator_nothing_is_lost_over_kills_and_restarts(tmp_path: Path) -> None:
    report = replicator.run(tmp_path, kills=3, restarts=2, seed=7)

    assert report.acknowledged > 100


@pytest.mark.slow
@pytest.mark.process
def test_a_machine_that_is_lost_comes_back_from_its_replica(tmp_path: Path) -> None:
    """Host and replicator are killed at once, and their files are gone; `tenure restore` takes what the replica has."""
    report = replicator.lose(tmp_path, inputs=50)

    assert 50 <= report.restored <= report.acknowledged
