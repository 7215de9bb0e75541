"""Imports go down only, and drivers are imported by their engines alone."""

from __future__ import annotations

from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

from tests.architecture.tree import (
    AROUND,
    FLOORS,
    HOUSE,
    ROOT,
    Import,
    imports,
    module_name,
    python_files,
    within,
)

FACADE = len(FLOORS) + 1
ROOM = FACADE + 1
ADAPTER = ROOM + 1
BENEATH = "portals"
"""The room beside the facade that the others may use: both fronts stand on it."""

DRIVERS = {
    "apsw": ("persistence/engines/sqlite", "tenure/testing/"),
    "greenlet": ("persistence/engines/postgres/strands",),
    "psycopg": ("persistence/engines/postgres",),
    "psycopg_pool": ("persistence/engines/postgres",),
}
"""Which files may import a driver, by how their path begins."""

ROOMS = {
    "persistence": (
        "entering",
        "model",
        "model/inputs",
        "model/events",
        "model/lifecycles",
        "model/contracts",
        "model/conversation",
        "seams",
        "engines/sealing/columns",
        "engines/sealing/rows",
        "engines",
        "engines/sqlite/errors",
        "engines/sqlite/system",
        "engines/sqlite/opening",
        "engines/sqlite/log",
        "engines/sqlite/files",
        "engines/sqlite",
        "engines/sealing",
        "engines/sqlite/copies",
        "engines/sqlite/door",
        "engines/choice",
        "commits",
        "facets/records",
        "facets/journal",
        "facets/state",
        "facets/conversation",
        "facets/inbox",
        "facets/output",
        "facets/runs",
        "facets/schedules",
        "facets/ownership",
        "facets/graph",
        "facets/queue",
        "facets/attachments",
        "facets/erasing",
        "facets",
        "reading",
        "writing",
        "contracts/access",
        "contracts/journals",
        "contracts/gone",
        "contracts/queued",
        "contracts",
        "upkeep",
        "store",
        "opening",
    ),
    "supervisor": (
        "operators",
        "accepting",
        "output",
        "runs/resting",
        "runs/recording",
        "runs/stepping",
        "runs/inputs",
        "runs/keeping",
        "runs",
        "serving",
        "hosting",
        "timing",
        "fleet",
        "handles",
        "statistics",
        "host",
        "metrics",
        "monitoring",
        "sharing",
        "owning",
        "supervisor",
        "process_signals",
        "collector",
        "service_manager",
        "opening",
        "visiting",
    ),
}
"""The rooms of a floor from the ground up: each imports from those before it, and from itself.

A room is a folder, or one module where that is named; a module counts to the longest name that fits.
"""

PURE = ("persistence/model/", "supervisor/runs/recording/restart.py")
"""Values, tables and decisions: what they reach performs nothing."""

IMPURE = (
    "trio",
    "trio_util",
    "apsw",
    "psycopg",
    "tenure.persistence.engines",
    "tenure.persistence.seams",
    *("asyncio", "io", "os", "pathlib", "secrets", "socket", "subprocess", "tempfile", "threading", "time"),
)


def rank(module: str) -> int:
    """How high a module of the house stands.

    errors 0, persistence 1, actors 2, supervisor 3, the facade 4, rooms built on the facade
    (testing, cli) 5, adapters 6.
    """
    if within(module, "tenure.adapters"):
        return ADAPTER
    if within(module, "tenure.errors"):
        return 0
    for height, floor in enumerate(FLOORS, start=1):
        if within(module, f"tenure.{floor}"):
            return height
    return FACADE if module == "tenure" else ROOM


def fault(path: Path, used: Import) -> str | None:
    """What is wrong with an import in this file, or None."""
    if used.level > 1:
        return "climbs with more than one dot"
    if used.level == 0 and used.target.split(".")[0] in FLOORS:
        return "names a bare floor, which would be a second copy of it"
    if path.parts[0] in HOUSE and within(used.target, "tenure"):
        return misdirection(module_name(path), used)
    return None


def misdirection(own: str, used: Import) -> str | None:
    """What is wrong with the way that an import takes from one module of the house to another."""
    # `from tenure import errors` runs through the facade, whatever it fetches.
    if rank(own) < FACADE and used.source == "tenure":
        return "goes through the facade"
    # Of `from tenure.cli import main` the module decides, and not the name behind it.
    aim = used.target if used.source == "tenure" else used.source
    if rank(own) == rank(aim) == ROOM and aim.split(".")[1] not in {own.split(".")[1], BENEATH}:
        return "reaches into another room beside the facade"
    return "goes up" if rank(aim) > rank(own) else None


@cache
def modules() -> dict[str, Path]:
    """Every module of the house by the name it is imported under."""
    return {module_name(each): each for each in python_files(*HOUSE)}


@cache
def read(path: Path) -> str:
    return (ROOT / path).read_text(encoding="utf-8")


def closure(path: Path) -> dict[str, str]:
    """All that a file imports, also through the house; each target with the file that names it."""
    files = modules()
    found: dict[str, str] = {}
    waiting, seen = [path], {path}
    while waiting:
        here = waiting.pop()
        for used in imports(here, read(here)):
            found.setdefault(used.target, here.as_posix())
            for name in (used.target, used.source):
                # The facade's own imports are not the table's: importing any submodule runs them.
                step = files.get(name) if name != "tenure" else None
                if step is not None and step not in seen:
                    seen.add(step)
                    waiting.append(step)
    return found


@pytest.mark.slow
def test_imports_go_down_only() -> None:
    faults = [
        f"{path}:{used.line} {used.target} {wrong}"
        for path in python_files(*HOUSE, *AROUND)
        for used in imports(path, read(path))
        if (wrong := fault(path, used)) is not None
    ]

    assert not faults, "\n".join(faults)


def test_adapters_use_what_is_public_and_nothing_else() -> None:
    public = ("tenure", "tenure.asyncio", "tenure.errors", "tenure.sync")
    faults = [
        f"{path}:{used.line} {used.target}"
        for path in python_files("tenure/adapters")
        for used in imports(path, read(path))
        if within(used.target, "tenure") and not within(used.source, "tenure.adapters") and used.source not in public
    ]

    assert not faults, "\n".join(faults)


def test_a_driver_is_imported_by_its_engine_alone() -> None:
    faults = [
        f"{path}:{used.line} {used.target}"
        for path in python_files(*HOUSE)
        for used in imports(path, read(path))
        for driver, homes in DRIVERS.items()
        if within(used.target, driver) and not path.as_posix().startswith(homes)
    ]

    assert not faults, "\n".join(faults)


BACK = {("tenure.persistence.contracts.runtime_persistence", "tenure.persistence.contracts.sessions")}
"""Who may import back: what makes it, for its type alone. Each of its verbs is one of that."""


def test_no_modules_import_one_another_in_a_circle() -> None:
    files = {module_name(path): path for path in python_files(*HOUSE, "proof")}
    graph: dict[str, set[str]] = {}
    for name, path in files.items():
        named = [used.target if used.target in files else used.source for used in imports(path, read(path))]
        graph[name] = {each for each in named if each in files and each != name and (name, each) not in BACK}

    TopologicalSorter(graph).prepare()  # raises, and names the circle


def room(path: Path) -> tuple[int, str] | None:
    """Which room of its floor a module stands in, with its height; None for the floor's own package."""
    name = path.with_suffix("").as_posix().partition("/")[2]
    if path.name == "__init__.py":
        return None
    fitting = [each for each in ROOMS[path.parts[0]] if name == each or name.startswith(f"{each}/")]
    assert fitting, f"{path} stands in no room: add it to ROOMS, or move it"
    longest = max(fitting, key=len)
    return ROOMS[path.parts[0]].index(longest), longest


def climbs(path: Path, used: Import) -> str | None:
    """What is wrong with an import between the rooms of one floor, or None."""
    files = modules()
    own = room(path)
    for name in (used.target, used.source):
        target = files.get(name)
        other = room(target) if target is not None and target.parts[0] == path.parts[0] else None
        if own is not None and other is not None and other[0] > own[0]:
            return f"goes from {own[1]} up to {other[1]}"
    return None


@pytest.mark.parametrize("floor", ROOMS)
def test_rooms_of_a_floor_import_downward_only(floor: str) -> None:
    faults = [
        f"{path}:{used.line} {used.target} {wrong}"
        for path in python_files(floor)
        for used in imports(path, read(path))
        if (wrong := climbs(path, used)) is not None
    ]

    assert not faults, "\n".join(faults)


@pytest.mark.parametrize("floor", ROOMS)
def test_every_room_has_someone_in_it(floor: str) -> None:
    lived_in = {found[1] for path in python_files(floor) if (found := room(path)) is not None}

    assert lived_in == set(ROOMS[floor])


@pytest.mark.parametrize("path", [path for path in python_files(*FLOORS) if path.as_posix().startswith(PURE)], ids=str)
def test_what_is_pure_performs_no_io(path: Path) -> None:
    faults = [
        f"{where} imports {target}"
        for target, where in closure(path).items()
        if any(within(target, other) for other in IMPURE)
    ]

    assert not faults, "\n".join(faults)


@pytest.mark.parametrize(
    ("file", "statement", "wrong"),
    [
        ("persistence/model/values.py", "from tenure.persistence.seams.limits import Limits", True),
        ("persistence/facets/inbox/inputs.py", "from tenure.persistence.facets.runs import sends", True),
        ("persistence/facets/runs/sends.py", "from tenure.persistence.facets.inbox import inputs", False),
        ("persistence/writing/writer.py", "from tenure.persistence.store import Store", True),
        ("persistence/writing/writer.py", "from .group import GroupRunner", False),
    ],
)
def test_the_judge_of_rooms_knows_up_from_down(file: str, statement: str, *, wrong: bool) -> None:
    path = Path(file)

    verdicts = [climbs(path, used) for used in imports(path, statement)]

    assert any(verdicts) is wrong, verdicts


@pytest.mark.parametrize(
    ("file", "statement", "refused"),
    [
        ("persistence/store.py", "from .writer import Writer", False),
        ("persistence/store.py", "from . import writer", False),
        ("persistence/store.py", "from tenure.errors import Closed", False),
        ("persistence/facets/inbox/inputs.py", "from tenure.persistence.model.values import RunId", False),
        ("persistence/facets/inbox/inputs.py", "from ..values import RunId", True),
        ("persistence/store.py", "from tenure.actors.facts import RuntimeFacts", True),
        ("persistence/store.py", "import tenure.supervisor", True),
        ("persistence/store.py", "from tenure import errors", True),
        ("persistence/store.py", "import tenure", True),
        ("persistence/store.py", "import tenure.errors", False),
        ("persistence/store.py", "from tenure.testing import Power", True),
        ("actors/facts.py", "from tenure.persistence.commits.commit import Commit", False),
        ("actors/facts.py", "def late():\n    from tenure.supervisor import run", True),
        ("supervisor/runs/run.py", "from tenure.actors import facts", False),
        ("supervisor/runs/run.py", "from persistence.values import RunId", True),
        ("tenure/errors/base.py", "from tenure.persistence.model.values import RunId", True),
        ("tenure/errors/base.py", "import supervisor.run", True),
        ("tenure/__init__.py", "from tenure.supervisor.runs.run import Run as Run", False),
        ("tenure/__init__.py", "from tenure.cli import main", True),
        ("tenure/cli/__init__.py", "import tenure", False),
        ("tenure/cli/__init__.py", "from tenure.cli.show import show", False),
        ("tenure/cli/__init__.py", "from tenure.testing import Power", True),
        ("tenure/testing/power.py", "from tenure.persistence.engines import sqlite", False),
        ("tests/test_store.py", "import tenure.persistence.store", False),
        ("tests/test_store.py", "import persistence.store", True),
    ],
)
def test_the_judge_of_imports_knows_good_from_bad(file: str, statement: str, *, refused: bool) -> None:
    path = Path(file)

    verdicts = [fault(path, used) for used in imports(path, statement)]

    assert any(verdicts) is refused, verdicts
