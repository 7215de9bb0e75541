"""docs/testing.md: the code in it runs, and is as short as it says."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT

PAGE = (ROOT / "docs" / "testing.md").read_text(encoding="utf-8")
OWN, TEST = re.findall(r"^```python\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


@pytest.mark.slow
@pytest.mark.process
def test_the_example_of_the_page_finds_every_greeting(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "greeting.py").write_text(OWN)
    (tmp_path / "test_greeting.py").write_text(TEST)
    plugins = ["-p", "pytest_tenure", "-p", "no:cacheprovider"]

    done = subprocess.run(
        [sys.executable, "-m", "pytest", *plugins, "--power-cut-images=30", "test_greeting.py"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": f"{ROOT}{os.pathsep}{tmp_path}"},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )

    assert done.returncode == 0, done.stdout
    assert "test_no_greeting_is_lost: 30 images" in done.stdout


def test_the_example_of_the_page_has_ten_lines() -> None:
    assert len([line for line in TEST.splitlines() if line.strip() and not line.startswith("from")]) == 10
