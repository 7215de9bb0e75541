"""A suite that another project tests its own store with: downloaded, run over ours in its own process, and counted."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from collections.abc import Mapping
from fcntl import LOCK_EX, flock
from pathlib import Path
from xml.etree import ElementTree as ET

import attrs

ROOT = Path(__file__).parents[2]
Otherwise = Mapping[str, tuple[str, str]]
"""Cases that fail, and must, by the beginnings of their names: what the failure says, and why it is one."""


@attrs.frozen(kw_only=True)
class Counted:
    """How the cases of a suite ended, and what each that did not pass said, by their names."""

    outcomes: dict[str, str]
    said: dict[str, str]

    def named(self, outcome: str) -> set[str]:
        return {name for name, ended in self.outcomes.items() if ended == outcome}

    def check(self, otherwise: Otherwise) -> None:
        """Every case passes but those that fail otherwise, and each of these fails for its reason."""
        left = self.named("passed")
        for beginning, (said, _) in otherwise.items():
            cases = {name for name in self.outcomes if name.startswith(beginning)}
            assert cases, f"no case is named {beginning}"
            for name in cases:
                assert (self.outcomes[name], said in self.said.get(name, "")) == ("failure", True), (
                    name,
                    self.said.get(name),
                )
            left |= cases
        assert left == set(self.outcomes), {name: self.said.get(name) for name in self.outcomes if name not in left}

    def __str__(self) -> str:
        counts = Counter(self.outcomes.values())
        return ", ".join(f"{count} {outcome}" for outcome, count in sorted(counts.items()))


def sdist(name: str, version: str, folder: Path) -> Path:
    """The unpacked sdist of a package in a folder of a test: downloaded once for all workers and tests of a run."""
    run = folder.parents[1 if "PYTEST_XDIST_WORKER" in os.environ else 0]
    shared = run / "sdists" / f"{name}-{version}"
    shared.mkdir(parents=True, exist_ok=True)
    with (shared.parent / f"{name}.lock").open("w") as lock:
        flock(lock, LOCK_EX)  # the first one downloads, and who comes meanwhile waits for it
        unpacked = next((path for path in shared.iterdir() if path.is_dir()), None) or downloaded(name, version, shared)
    return Path(shutil.copytree(unpacked, folder / unpacked.name))


def downloaded(name: str, version: str, folder: Path) -> Path:
    """Download the sdist of a package into a folder, and unpack it there."""
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
    outcomes, said = dict[str, str](), dict[str, str]()
    for case in ET.parse(report).iter("testcase"):
        name = f"{case.get('classname', '').rpartition('.')[2]}::{case.get('name')}"
        outcomes[name] = "passed"
        for child in case:
            if child.tag in {"failure", "error", "skipped"}:
                outcomes[name], said[name] = child.tag, child.get("message", "")
    assert outcomes, done.stdout + done.stderr
    return Counted(outcomes=outcomes, said=said)
