"""Stores on a server by their URL, and servers that a test stops."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from proof.fleet.server import OwnServer
from tests.kit import postgres


def pytest_itemcollected(item: pytest.Item) -> None:
    """What stands here needs a server, but for what is pure."""
    names = {*getattr(item, "fixturenames", ())}
    if {"url", "empty_url", "own_server"} & names:
        item.add_marker(pytest.mark.postgres)
    if "own_server" in names:
        item.add_marker(pytest.mark.process)


@pytest.fixture
def url() -> Generator[str]:
    """A database with the tables of a store that nobody has opened."""
    yield from _database(tables=True)


@pytest.fixture
def empty_url() -> Generator[str]:
    """A database without any table."""
    yield from _database(tables=False)


def _database(*, tables: bool) -> Generator[str]:
    postgres.needs_server()
    url = postgres.new_database(tables=tables)
    yield url
    postgres.drop([postgres.name_of(url)])


@pytest.fixture
def own_server() -> Generator[OwnServer]:
    """A server that runs for this test alone."""
    postgres.needs_own_server()
    server = OwnServer()
    try:
        server.start()
        yield server
    finally:
        server.end()
