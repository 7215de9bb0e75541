"""Tests that run on every engine: on SQLite, and on a server, where a path leads to a database of its own.

A conftest takes the fixture `engine`, and asks `on_both_engines` for each test and `without_repeats` for all of them.
"""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests.kit import postgres

SERVER = "postgresql"

OF_SQLITE = frozenset({"vfs", "disk", "small_disk"})
"""Fixtures that have the file's disk fail, hang or run full."""

MODES_OF_SQLITE = frozenset({"memory", "one connection"})


def on_both_engines(metafunc: pytest.Metafunc, *, chosen: bool = True, turns: int = 1) -> None:
    """Run a test on SQLite, and on a server where it is `chosen`: there in one of so many turns.

    Not on a server: what is marked as SQLite's, and what has processes of its own, to which a path leads to a file.
    """
    if "engine" in metafunc.fixturenames:
        marked = any(metafunc.definition.get_closest_marker(each) is not None for each in ("sqlite", "process"))
        alone = marked or not chosen or bool(OF_SQLITE & {*metafunc.fixturenames})
        marks = [pytest.mark.postgres, *[pytest.mark.turns(turns)] * (turns > 1)]
        server = [] if alone else [pytest.param(SERVER, marks=marks)]
        metafunc.parametrize("engine", ["sqlite", *server], indirect=True)


def without_repeats(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out the modes that only SQLite has: on a server a path and ``:memory:`` lead to the same."""
    twice = [item for item in items if _is_repeat(item)]
    config.hook.pytest_deselected(items=twice)
    items[:] = [item for item in items if item not in set(twice)]


def _is_repeat(item: pytest.Item) -> bool:
    given = item.callspec.params if isinstance(item, pytest.Function) and hasattr(item, "callspec") else {}
    return given.get("engine") == SERVER and bool(MODES_OF_SQLITE & {*map(str, given.values())})


@pytest.fixture(autouse=True)
def engine(request: pytest.FixtureRequest) -> Generator[str]:
    """The engine that a path leads to."""
    if getattr(request, "param", "sqlite") == SERVER:  # a state machine, which is a TestCase, has no parameter
        postgres.needs_server()
        with postgres.on_server():
            yield SERVER
    else:
        yield "sqlite"
