"""What becomes of inputs and runs is asked of both engines: on a server the owner numbers it."""

from __future__ import annotations

import pytest

from tests.kit import engines

engine = engines.engine

ON_SERVER = ("test_events.py",)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of events on SQLite and on a server."""
    engines.on_both_engines(metafunc, chosen=metafunc.definition.path.name in ON_SERVER)
