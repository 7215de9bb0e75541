"""Where the hosts of these tests keep what they store: in a file, and on a server."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.kit import alone, engines

engine = engines.engine
open_host = alone.open_host


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What hosts and runs promise is asked of both engines; of a server by a quarter of the tests a turn."""
    engines.on_both_engines(metafunc, turns=4)


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "agents.db"


@pytest.fixture(params=["file", "memory"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path | str:
    return ":memory:" if request.param == "memory" else tmp_path / "agents.db"
