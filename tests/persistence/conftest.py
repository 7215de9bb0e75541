"""A store on every engine mode."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from tenure.persistence.store import Store
from tests.kit import postgres
from tests.kit.faulty_vfs import FaultyVfs
from tests.kit.stores import (
    MODES,
    OpenMode,
)

ON_SERVER = ("contracts", "facets", "reading", "upkeep", "writing")
"""Folders whose tests run on both engines, but for what is marked as SQLite's alone."""


OF_SQLITE = frozenset({"vfs", "disk", "small_disk"})
"""Fixtures that have the file's disk fail, hang or run full."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of these folders on SQLite and on a server."""
    if "engine" in metafunc.fixturenames:
        on_server = metafunc.definition.path.relative_to(Path(__file__).parent).parts[0] in ON_SERVER
        marked = metafunc.definition.get_closest_marker("sqlite") is not None
        alone = marked or bool(OF_SQLITE & {*metafunc.fixturenames})
        engines = [pytest.param("postgresql", marks=pytest.mark.postgres)] if on_server and not alone else []
        metafunc.parametrize("engine", ["sqlite", *engines], indirect=True)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the modes that only SQLite has: on a server a path and ``:memory:`` lead to the same."""
    twice = [item for item in items if is_twice(item)]
    config.hook.pytest_deselected(items=twice)
    items[:] = [item for item in items if item not in set(twice)]


def is_twice(item: pytest.Item) -> bool:
    given = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return given.get("engine") == "postgresql" and bool({"memory", "one connection"} & {*map(str, given.values())})


@pytest.fixture(autouse=True)
def engine(request: pytest.FixtureRequest) -> Generator[str]:
    """The engine that a path leads to. A state machine is a `unittest.TestCase`, which takes no parameter: it has SQLite's."""
    engine: str = getattr(request, "param", "sqlite")
    if engine == "sqlite":
        yield "sqlite"
        return
    postgres.needs_server()
    with postgres.on_server():
        yield engine


@pytest.fixture(params=MODES)
def open_mode(request: pytest.FixtureRequest, tmp_path: Path) -> OpenMode:
    return OpenMode(request.param, tmp_path / "agents.db")


@pytest.fixture(params=["file", "one connection"])
def open_file(request: pytest.FixtureRequest, tmp_path: Path) -> OpenMode:
    return OpenMode(request.param, tmp_path / "agents.db")


@pytest.fixture
async def store(open_mode: OpenMode) -> AsyncGenerator[Store]:
    async with open_mode() as store:
        yield store


@pytest.fixture
def vfs() -> Generator[FaultyVfs]:
    vfs = FaultyVfs()
    yield vfs
    vfs.heal()
    vfs.unregister()


@pytest.fixture
def small_disk(tmp_path: Path) -> Generator[Path]:
    """A file system of its own with 576 KiB, where we may mount one: a new store just does not fit."""
    yield from mounted(tmp_path / "small", "576k")


@pytest.fixture
def disk(tmp_path: Path) -> Generator[Path]:
    """A file system of its own with 3 MiB, where we may mount one."""
    yield from mounted(tmp_path / "disk", "3m")


def mounted(folder: Path, size: str) -> Generator[Path]:
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size},mode=0755", "tmpfs", str(folder)]
    try:
        subprocess.run(mount, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("no permission to mount a small file system")
    yield folder
    subprocess.run(["umount", str(folder)], check=True)
