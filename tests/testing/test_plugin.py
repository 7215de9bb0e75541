"""The pytest plugin, in a pytest of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

TEST = """
import tests.testing.raw_sqlite as raw

def test_right(power_cut):
    options = raw.Options(commits=4)
    power_cut(raw.Scenario(options), raw.reopening(options), images=40)

def test_small(power_cut):
    async def scenario(machine, witness):
        files = machine.files
        for name in "abc":
            files.write(machine.path(name), b"1")

    async def check(machine, history):
        assert set(machine.disk.entries()) <= set("abc")

    power_cut(scenario, check, images=20)

def test_wrong(power_cut):
    options = raw.Options(commits=4, acknowledge_early=True)
    power_cut(raw.Scenario(options), raw.reopening(options))
"""


def run(folder: Path, *arguments: str, module: bool = True) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *(["-m"] if module else []), *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    plugin = ["-p", "pytest_tenure", "-p", "no:randomly"]
    return run(folder, "pytest", *plugin, "-q", *arguments)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "test_it.py").write_text(TEST)
    return tmp_path


@pytest.mark.turns(2)
@pytest.mark.slow
@pytest.mark.process
def test_a_failing_image_is_saved_and_opened_again_by_the_command_it_prints(folder: Path) -> None:
    first = pytest_in(folder, "test_it.py")

    assert "1 failed, 2 passed" in first.stdout
    assert "test_right: 40 images" in first.stdout
    assert "images/s" in first.stdout
    line = next(line for line in first.stdout.splitlines() if "open_image" in line)
    command = line.split("python -m ")[1].split()
    again = run(folder, *command)
    assert again.returncode == 1
    assert "integrity: ok" in again.stdout
    assert "sync agents.db-wal" in again.stdout
    assert "acknowledged and lost" in again.stdout
    assert "1 failed" in again.stdout
    shown = run(folder, *command, "--show")
    assert shown.returncode == 0
    assert "1 failed" not in shown.stdout


@pytest.mark.turns(4)
@pytest.mark.slow
@pytest.mark.process
def test_the_options_say_how_much_is_tried(folder: Path) -> None:
    few = pytest_in(folder, "test_it.py::test_right", "--power-cut-images=12", "--power-cut-seed=8")
    some = pytest_in(folder, "test_it.py::test_small")
    many = pytest_in(folder, "test_it.py::test_small", "--power-cut")

    assert "test_right: 12 images" in few.stdout
    assert "seed 8" in few.stdout
    assert "test_small: 20 images" in some.stdout
    # All that there are: they end before the budget does.
    assert 20 < int(many.stdout.split("test_small: ")[1].split()[0]) < 20_000


@pytest.mark.turns(4)
@pytest.mark.slow
@pytest.mark.process
def test_a_folder_of_ones_own_holds_the_failing_image(folder: Path) -> None:
    pytest_in(folder, "test_it.py::test_wrong", f"--power-cut-folder={folder / 'mine'}")

    assert list(folder.glob("mine/*test_wrong/*/image.pickle"))


@pytest.mark.process
def test_the_plugin_costs_nothing_where_no_test_asks_for_it() -> None:
    loaded = (
        "import sys, pytest_tenure; print([name for name in sys.modules if name.split('.')[0] in ('tenure', 'trio')])"
    )

    assert run(ROOT, "-c", loaded, module=False).stdout.strip() == "[]"
