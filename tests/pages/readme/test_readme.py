"""The README: its example runs and prints what it says, its commands and its links are there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = ("pip install '.[cli]' && python examples/agent_host.py", "pip install '.[test]' && pytest")
LINES_OF_THE_EXAMPLE = 20


def blocks(language: str) -> list[str]:
    """The fenced blocks of one language, in order; an empty name for those without one."""
    fences = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    return [text for name, text in fences.findall(README) if name == language]


def run_in(folder: Path, program: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )

    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.slow
@pytest.mark.process
def test_the_example_run_twice_prints_what_the_readme_says(tmp_path: Path) -> None:
    [program] = blocks("python")
    promised = next(text for text in blocks("") if text.startswith("consumed"))

    printed = [run_in(tmp_path, program) for _ in range(2)]

    assert "".join(printed) == promised


def test_the_example_has_at_most_twenty_lines() -> None:
    [program] = blocks("python")

    assert len([line for line in program.splitlines() if line.strip()]) <= LINES_OF_THE_EXAMPLE


@pytest.mark.parametrize("command", COMMANDS)
def test_the_two_commands_stand_in_it_alone_and_whole(command: str) -> None:
    assert f"{command}\n" in blocks("")


def test_every_file_that_it_links_to_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]

    assert links
    assert [link for link in links if not (ROOT / link).exists()] == []


def test_what_it_calls_on_a_machine_is_what_pyproject_asks_for() -> None:
    assert 'requires-python = ">=3.11"' in (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    assert "Python 3.11 or later" in README


def test_the_architecture_names_every_dependency_and_only_files_that_exist() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    with (ROOT / "pyproject.toml").open("rb") as file:
        dependencies = [re.split(r"[<>=\[]", each)[0] for each in tomllib.load(file)["project"]["dependencies"]]
    named = re.findall(r"`((?:actors|persistence|supervisor|tenure|tests|docs|examples|benchmarks)/[\w/.]*)`", page)

    assert [name for name in dependencies if f"| `{name}` |" not in page] == []
    assert named
    assert [name for name in named if not (ROOT / name).exists()] == []
