"""Running an example as a reader would."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.architecture.tree import ROOT

PATIENCE_S = 120.0


def start(name: str, *arguments: object) -> subprocess.Popen[str]:
    """Start an example in a process of its own; tenure is found as in a checkout."""
    return subprocess.Popen(
        [sys.executable, str(ROOT / "examples" / name), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def tell(name: str, *arguments: object) -> str:
    """Run an example to its end, and give what it printed."""
    with start(name, *arguments) as process:
        printed, errors = process.communicate(timeout=PATIENCE_S)

    assert process.returncode == 0, printed + errors
    assert not errors
    return printed


def after_folder(printed: str, folder: Path) -> str:
    """What an example printed behind the line that names its folder."""
    first, _, rest = printed.partition("\n")

    assert first == f"folder: {folder}"
    return rest
