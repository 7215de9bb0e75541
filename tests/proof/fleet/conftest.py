"""A database of a server for a fleet of processes."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.kit import postgres


def pytest_itemcollected(item: pytest.Item) -> None:
    """What has a database needs a server."""
    if "url" in getattr(item, "fixturenames", ()):
        item.add_marker(pytest.mark.postgres)


@pytest.fixture
def url() -> Generator[str]:
    """A database with the tables of a store that nobody has opened."""
    postgres.needs_server()
    url = postgres.new_database()
    yield url
    postgres.drop([postgres.name_of(url)])
