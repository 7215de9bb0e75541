"""What workers promise is asked of both engines: claims are judged, and an order kept, by the same SQL."""

from __future__ import annotations

import pytest

from tests.kit import engines

engine = engines.engine


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of workers on SQLite and on a server."""
    engines.on_both_engines(metafunc)
