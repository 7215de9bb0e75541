"""Running an example as a reader would."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import AbstractContextManager
from pathlib import Path

from tests.architecture.tree import ROOT
from tests.kit.processes import running

PATIENCE_S = 120.0


def start(name: str, *arguments: object) -> AbstractContextManager[subprocess.Popen[str]]:
    """Start an example in its own process; tenure is found as in a checkout."""
    return running(
        [sys.executable, ROOT / "examples" / name, *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"},
        stderr=subprocess.PIPE,
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
