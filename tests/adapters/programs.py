"""The programs of docs/adapters.md, as they stand there."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from .suite import ROOT

PAGE = (ROOT / "docs" / "adapters.md").read_text(encoding="utf-8")


def program(heading: str) -> str:
    """The Python program below a heading of the page; there is one."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    (found,) = re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)
    return str(found)


def printed(text: str, folder: Path, **environment: str) -> str:
    """What a program prints that is run in a folder, to its end."""
    done = subprocess.run(
        [sys.executable, "-c", text],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": str(ROOT), **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout
