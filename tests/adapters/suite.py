"""A suite that another project tests its own store with: downloaded, run over ours in its own process, and counted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path
from xml.etree import ElementTree as ET

import attrs
import pytest

ROOT = Path(__file__).parents[2]
REFUSED = re.compile(
    r"HTTP error 5\d\d|50\d Server Error|Max retries exceeded|ConnectionError|Read timed out|NewConnectionError"
)
"""What pip says where the index itself refused, or was not to be reached."""


@attrs.frozen(kw_only=True)
class Counted:
    """How the cases of a suite ended, each by its name."""

    outcomes: dict[str, str]

    def named(self, outcome: str) -> set[str]:
        return {name for name, ended in self.outcomes.items() if ended == outcome}

    def __str__(self) -> str:
        counts = Counter(self.outcomes.values())
        return ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))


def sdist(name: str, version: str, folder: Path) -> Path:
    """Download the sdist of a package and unpack it; skips the test where the index refused, else fails it."""
    command = [
        "pip",
        "download",
        "--quiet",
        "--no-deps",
        "--no-binary",
        name,
        "--no-build-isolation",
        f"{name}=={version}",
    ]
    done = subprocess.run(
        [sys.executable, "-m", *command, "--dest", str(folder)], capture_output=True, text=True, check=False
    )
    if done.returncode and REFUSED.search(done.stdout + done.stderr):
        pytest.skip(f"the package index refused {name} {version}")
    assert done.returncode == 0, done.stderr
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as packed:
        packed.extractall(folder, filter="data")
    (unpacked,) = [path for path in folder.iterdir() if path.is_dir()]
    return unpacked


def run_suite(folder: Path, *names: str, shim: Path, options: tuple[str, ...] = ()) -> Counted:
    """Run files of a suite with pytest in a process of its own.

    Args:
        folder: Where it is started; the settings of the suite stand there.
        names: Its files.
        shim: A module that is loaded as a plugin before the suite, and puts ours in place of theirs.
        options: Further ones of pytest.
    """
    report = folder / "report.xml"
    command = [sys.executable, "-m", "pytest", "-p", shim.stem, "-q", "--no-header", f"--junitxml={report}", *options]
    path = os.pathsep.join([str(shim.parent), str(ROOT)])
    done = subprocess.run(
        [*command, *names],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert report.exists(), done.stdout + done.stderr
    outcomes: dict[str, str] = {}
    for case in ET.parse(report).iter("testcase"):
        kinds = [child.tag for child in case]
        ended = next((kind for kind in ("failure", "error", "skipped") if kind in kinds), "passed")
        outcomes[f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"] = ended
    assert outcomes, done.stdout + done.stderr
    return Counted(outcomes=outcomes)
