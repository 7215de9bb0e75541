"""The main job: a host of agents that is killed at random points loses nothing and counts nothing twice."""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.architecture.tree import ROOT
from tests.kit.hosting import peek
from tests.kit.shares import TURN

pytestmark = pytest.mark.process

STANDARD_LIBRARY = Path(sysconfig.get_path("stdlib"))
PACKAGES = ("json", "html", "wsgiref", "dbm")
MODULES = ("abc.py", "bisect.py", "glob.py", "heapq.py", "keyword.py", "sched.py", "stat.py", "this.py")
KILLS = int(os.environ.get("TENURE_KILLS", "2"))
"""Of hosts at random points; the documented proof takes 20."""

KILLS_OF_ONE_DATABASE = 4
"""At the fifth crash in a row a run is held, and waits for a person."""

INPUTS = """
    SELECT r.runtime_id, i.idempotency_key, i.input_id, i.payload_digest FROM inputs i
    JOIN runtimes r ON r.runtime = i.runtime WHERE i.idempotency_key NOT LIKE 'tenure:%'
"""
MESSAGES = """
    SELECT CAST(n.payload AS TEXT) FROM nodes n JOIN sessions s ON s.session = n.session
    JOIN runtimes r ON r.session = s.session WHERE r.runtime_id = 'librarian' ORDER BY n.node
"""


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some thirty files of the standard library, and one that no agent can parse."""
    folder = tmp_path_factory.mktemp("source")
    for package in PACKAGES:
        shutil.copytree(STANDARD_LIBRARY / package, folder / package, ignore=shutil.ignore_patterns("__pycache__"))
    for module in MODULES:
        shutil.copy(STANDARD_LIBRARY / module, folder / module)
    (folder / "broken.py").write_text("def half(:\n")
    return folder


@pytest.fixture(scope="module")
def undisturbed(source: Path, tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The report of a host that was never killed."""
    folder = tmp_path_factory.mktemp("undisturbed")
    return finish(source, folder / "agents.db")


def run_host(source: Path, database: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(ROOT / "examples" / "agent_host.py"), "--source", str(source), "--db", str(database)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [*command, *options], env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def report_of(database: Path) -> Path:
    return database.with_suffix(".report.md")


def finish(source: Path, database: Path) -> bytes:
    """Run a host to its end and return the report; each file was counted once."""
    done = run_host(source, database)

    assert done.returncode == 0, done.stdout + done.stderr
    messages = [json.loads(text) for [text] in peek(database, MESSAGES)]
    counted = Counter(message["path"] for message in messages if "path" in message)
    assert counted == Counter(path.relative_to(source).as_posix() for path in source.rglob("*.py"))
    return report_of(database).read_bytes()


def acknowledged(database: Path) -> set[tuple[Any, ...]]:
    """Every input that is on disk, with the id that its ticket had."""
    return {tuple(row) for row in peek(database, INPUTS)}


def kill_at(source: Path, database: Path, points: Sequence[int]) -> int:
    """Kill hosts of one database after so many commits each. Returns how many died before the work was done."""
    for killed, commits in enumerate(points):
        before: set[tuple[Any, ...]] = acknowledged(database) if database.exists() else set()
        done = run_host(source, database, "--kill-after", str(commits))
        if done.returncode == 0:
            return killed

        assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
        assert not report_of(database).exists()
        # Nothing that was acknowledged before this kill has changed or gone.
        assert before <= acknowledged(database)
    return len(points)


@pytest.mark.turns(4)
@pytest.mark.slow
def test_a_host_that_is_killed_at_random_points_writes_the_report_of_one_that_never_was(
    source: Path, undisturbed: bytes, tmp_path: Path
) -> None:
    seed = TURN
    draw = random.Random(seed)
    kills = 0
    for attempt in range(KILLS + 3):  # a host may be done before its point
        database = tmp_path / f"{attempt}.db"
        points = [draw.randrange(1, 60) for _ in range(min(KILLS - kills, KILLS_OF_ONE_DATABASE))]
        kills += kill_at(source, database, points)

        assert finish(source, database) == undisturbed, f"seed {seed}, database {attempt}, points {points}"
        if kills == KILLS:
            break

    assert kills == KILLS


@pytest.mark.turns(4)
@pytest.mark.slow
def test_one_kill_changes_nothing(source: Path, undisturbed: bytes, tmp_path: Path) -> None:
    database = tmp_path / "agents.db"

    assert kill_at(source, database, [40]) == 1
    assert finish(source, database) == undisturbed


@pytest.mark.turns(4)
@pytest.mark.slow
def test_a_host_that_was_done_gives_the_same_report_again_from_disk(
    source: Path, undisturbed: bytes, tmp_path: Path
) -> None:
    database = tmp_path / "agents.db"
    first = finish(source, database)
    report_of(database).unlink()
    inputs = acknowledged(database)

    assert finish(source, database) == first == undisturbed
    assert acknowledged(database) == inputs


@pytest.mark.turns(4)
@pytest.mark.slow
def test_a_part_of_the_source_can_be_read_first(source: Path, undisturbed: bytes, tmp_path: Path) -> None:
    database = tmp_path / "agents.db"
    part = run_host(source, database, "--limit", "5", "--agents", "2")

    assert part.returncode == 0, part.stderr
    assert report_of(database).read_bytes() != undisturbed
    assert finish(source, database) == undisturbed


@pytest.mark.turns(4)
@pytest.mark.slow
def test_another_source_under_the_same_database_is_refused(source: Path, tmp_path: Path) -> None:
    database = tmp_path / "agents.db"
    other = tmp_path / "other"
    other.mkdir()
    for name in ("one.py", "two.py"):
        (other / name).write_text("x = 1\n")
    first = run_host(other, database)
    (other / "one.py").write_text("x = 2\n")
    second = run_host(other, database)

    assert first.returncode == 0, first.stderr
    assert second.returncode == 1
    assert "one.py is not what this --db was given" in second.stderr


@pytest.mark.turns(4)
@pytest.mark.slow
def test_a_host_that_is_ended_by_sigterm_says_how_to_go_on(tmp_path: Path) -> None:
    database = tmp_path / "agents.db"
    command = [sys.executable, str(ROOT / "examples" / "agent_host.py"), "--db", str(database)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        _, errors = process.communicate(timeout=300)

    assert lines[1].startswith("read ")
    assert process.returncode == 1, errors
    assert errors == f"HostError: stopped; the same command with --db {database} continues\n"
