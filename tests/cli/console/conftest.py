"""One store and two consoles for all that is asked of them."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest

from tests.cli.console.worlds import Served, fill, served
from tests.kit.browsers import browser

__all__ = ["browser"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("console") / "agents.db"
    fill(path)
    return path


@pytest.fixture(scope="module")
def console(store: Path) -> Generator[Served]:
    with served(store, "--allow-verbs") as found:
        found.let_in()
        yield found


@pytest.fixture(scope="module")
def reader(store: Path) -> Generator[Served]:
    """One that only reads, and shows no content."""
    with served(store, "--no-content") as found:
        found.let_in()
        yield found
