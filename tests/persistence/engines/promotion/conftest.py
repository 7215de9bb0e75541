"""Ways from one place to another: between two files, and between a file and a server."""

from __future__ import annotations

import shutil
from collections.abc import Generator
from pathlib import Path

import pytest
import trio

from tests.kit import postgres
from tests.kit.promoting import Way
from tests.kit.seen import open_seen_store
from tests.persistence.contracts.filled import fill_every_table

WAYS = ("file to file", "file to server", "server to file")


@pytest.fixture(scope="session")
def filled_once(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a store that has rows in every table, and attachments."""
    folder = tmp_path_factory.mktemp("filled")

    async def make() -> None:
        async with open_seen_store(folder / "agents.db", durability="os") as store:
            await fill_every_table(store)
            await store.attachments.put("talk", b"", "file:empty")
            await store.attachments.put("talk", bytes(range(256)) * 50, "file:bytes")

    trio.run(make)
    return folder


@pytest.fixture
def filled(filled_once: Path, tmp_path: Path) -> Path:
    """The file of such a store."""
    shutil.copytree(filled_once, tmp_path / "filled")
    return tmp_path / "filled" / "agents.db"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Go each way."""
    if "way" in metafunc.fixturenames:
        ways = [pytest.param(each, marks=[pytest.mark.postgres] if "server" in each else []) for each in WAYS]
        metafunc.parametrize("way", ways, indirect=True)


@pytest.fixture
def way(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[Way]:
    """From where to where; nothing is there."""
    source, target = str(request.param).split(" to ")
    made: list[str] = []

    def place(kind: str, name: str) -> str:
        if kind == "file":
            return str(tmp_path / f"{name}.db")
        postgres.needs_server()
        made.append(postgres.new_database(tables=False))
        return made[-1]

    yield Way(source=place(source, "source"), target=place(target, "target"))
    postgres.drop([postgres.name_of(url) for url in made])


@pytest.fixture
def url() -> Generator[str]:
    """A database of a server without any table."""
    postgres.needs_server()
    url = postgres.new_database(tables=False)
    yield url
    postgres.drop([postgres.name_of(url)])
