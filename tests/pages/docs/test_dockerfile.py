"""The Dockerfile, without docker: what it runs is run in a fresh environment, then its command, health check and signal."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT
from tests.kit.processes import PATIENCE_S, running

LINES = [
    line
    for line in (ROOT / "deploy" / "Dockerfile").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]
SHIPPED = (
    "actors",
    "persistence",
    "supervisor",
    "tenure",
    "pytest_tenure.py",
    "pyproject.toml",
    "README.md",
    "LICENSE",
)
OF_A_CONTAINER = "RUN useradd "
"""The one command that changes the machine: it is not run here."""


def of(word: str) -> list[str]:
    return [line.removeprefix(f"{word} ") for line in LINES if line.startswith(f"{word} ")]


def command(line: str, root: Path) -> list[str]:
    """The list of a CMD, below another root."""
    (found,) = re.findall(r"\[.*\]$", line)
    listed: list[str] = json.loads(found)
    return [f"{root}{each}" if each.startswith("/") else each for each in listed]


def copied(root: Path) -> None:
    """What the lines COPY bring."""
    assert of("COPY") == [". /usr/src/tenure", "agents.py /opt/agents/agents.py"]
    source = root / "usr/src/tenure"
    source.mkdir(parents=True)
    for name in SHIPPED:
        if (ROOT / name).is_dir():
            ignore = shutil.ignore_patterns("__pycache__")
            shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=ignore)
        else:
            shutil.copy(ROOT / name, source / name)


def agents() -> str:
    """The program of docs/operations.md."""
    page = (ROOT / "docs" / "operations.md").read_text(encoding="utf-8")
    (program,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return str(program)


def test_every_line_is_of_a_kind_that_is_tried_here_or_says_nothing_of_tenure() -> None:
    tried = ("COPY", "RUN", "CMD", "HEALTHCHECK", "STOPSIGNAL")
    others = [line.split()[0] for line in LINES if not line.startswith(tried)]

    assert others == ["FROM", "USER", "WORKDIR", "VOLUME"]
    assert len([line for line in LINES if line.startswith(OF_A_CONTAINER)]) == 1


@pytest.mark.slow
@pytest.mark.process
@pytest.mark.turns(6)
def test_what_it_runs_gives_a_host_that_is_well_and_ends_with_its_signal(tmp_path: Path) -> None:
    copied(tmp_path)
    env = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "VIRTUAL_ENV"))}
    env["PATH"] = f"{Path(sys.executable).parent}:{env['PATH']}"
    for line in of("RUN"):
        if f"RUN {line}".startswith(OF_A_CONTAINER):
            continue
        here = re.sub(r"(?<![\w.])/(opt|usr/src)/", rf"{tmp_path}/\1/", line)
        assert here != line
        done = subprocess.run(["sh", "-ec", here], env=env, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
    (tmp_path / "opt/agents/agents.py").write_text(agents(), encoding="utf-8")
    folder = tmp_path / "var/lib/agents"
    folder.mkdir(parents=True)

    (healthcheck,), (start,) = of("HEALTHCHECK"), of("CMD")
    with running(command(start, tmp_path), cwd=folder, env=env) as host:
        asked = command(healthcheck, tmp_path)
        while subprocess.run(asked, cwd=folder, env=env, capture_output=True, check=False).returncode != 0:
            assert host.poll() is None
        (stop,) = of("STOPSIGNAL")
        host.send_signal(signal.Signals[stop])
        assert host.wait(PATIENCE_S) == 0
