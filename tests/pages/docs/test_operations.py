"""The page for operators: its commands run from front to back, against its own program."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT
from tests.kit.processes import PATIENCE_S, running

PAGE = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[str]:
    return [text for found, text in FENCE.findall(PAGE) if found == language]


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.turns(3)
def test_the_commands_of_the_page_run_from_front_to_back(tmp_path: Path) -> None:
    (program,) = blocks("python")
    (tmp_path / "agents.py").write_text(program, encoding="utf-8")
    programs = tmp_path / "bin"
    programs.mkdir()
    for name, module in (("tenure", " -m tenure.cli"), ("python", "")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}"{module} "$@"\n', encoding="utf-8")
        (programs / name).chmod(0o755)
    commands = "".join(f"echo '# block {number}'\n{each}" for number, each in enumerate(blocks("sh"), start=1))
    with running(
        ["bash", "-euo", "pipefail", "-c", commands],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{programs}:{os.environ['PATH']}"},
        stderr=subprocess.STDOUT,
        start_new_session=True,
    ) as shell:
        try:
            said, _ = shell.communicate(timeout=PATIENCE_S)
        finally:
            with suppress(ProcessLookupError):
                os.killpg(shell.pid, signal.SIGKILL)  # the host that a failed block left
    assert shell.returncode == 0, said
    assert f"# block {len(blocks('sh'))}" in said


def test_every_section_but_those_of_tables_has_a_command() -> None:
    assert len(blocks("sh")) >= 9


def test_every_file_that_it_links_to_exists() -> None:
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", PAGE) if "://" not in link]
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
