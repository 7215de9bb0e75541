"""Where the hosts of these tests keep what they store."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit import alone

open_host = alone.open_host


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "agents.db"


@pytest.fixture(params=["file", "memory"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    return ":memory:" if request.param == "memory" else tmp_path / "agents.db"
