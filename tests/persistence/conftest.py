"""A store on every engine mode."""

from __future__ import annotations

import os
import subprocess
from collections.abc import AsyncGenerator, Generator
from pathlib import Path

import pytest

from tenure.persistence.store import Store
from tests.kit import engines, postgres
from tests.kit.faulty_vfs import FaultyVfs
from tests.kit.stores import (
    MODES,
    OpenMode,
)

engine = engines.engine

ON_SERVER = ("contracts", "facets", "reading", "sealing", "upkeep", "writing")
"""Folders whose tests run on both engines, but for what is marked as SQLite's alone."""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Run the tests of these folders on SQLite and on a server."""
    folder = metafunc.definition.path.relative_to(Path(__file__).parent).parts[0]
    # A server that is named is a second one, beside the one that pip brings: it has half of the contracts, each turn another.
    is_second = folder == "contracts" and postgres.NAMED in os.environ
    has_turns = metafunc.definition.get_closest_marker("turns") is not None
    engines.on_both_engines(metafunc, chosen=folder in ON_SERVER, turns=2 if is_second and not has_turns else 1)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """No test twice for the modes of a file."""
    engines.without_repeats(config, items)


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
