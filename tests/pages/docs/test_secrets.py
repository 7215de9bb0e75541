"""The page about secrets: its program and its commands run from front to back, and none prints a key."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT
from tests.kit.processes import PATIENCE_S

PAGE = (ROOT / "docs" / "secrets.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


@pytest.mark.turns(2)
@pytest.mark.slow
@pytest.mark.process
def test_its_program_and_its_commands_run_and_print_no_key(tmp_path: Path) -> None:
    (tmp_path / "tenure").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m tenure.cli "$@"\n', encoding="utf-8")
    (tmp_path / "tenure").chmod(0o755)
    steps = [
        f"{sys.executable} -c '{text}\nimport trio\ntrio.run(main)'" if language == "python" else text
        for language, text in FENCE.findall(PAGE)
    ]
    assert len(steps) >= 4

    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join([*steps, "tenure --key-file agents.keys messages agents.db ann"])],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )

    said = done.stdout + done.stderr
    assert done.returncode == 0, said
    assert (tmp_path / "agents.keys").stat().st_mode & 0o077 == 0, "its owner's alone, also after a rotation"
    keys = [line.split()[1] for line in (tmp_path / "agents.keys").read_text().splitlines()]
    assert len(keys) == 2
    assert not [key for key in keys if key in said or key[:12] in said]
    assert "Rekeyed" in said
    assert "something private" not in "".join(
        each.read_bytes().decode("latin-1") for each in tmp_path.glob("agents.db*") if each.is_file()
    )


def test_every_file_that_it_links_to_exists() -> None:
    links = [link.partition("#")[0] for link in re.findall(r"\]\(([^)]+)\)", PAGE) if "://" not in link]
    assert [link for link in links if not (ROOT / "docs" / link).exists()] == []
