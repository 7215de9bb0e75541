"""The programs of LangGraph in docs/adapters.md are run, as they stand there; the others ask a model, or are a server."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.adapters.suite import ROOT

PAGE = (ROOT / "docs" / "adapters.md").read_text(encoding="utf-8")


def programs(heading: str) -> list[str]:
    """The Python programs below a heading of the page."""
    section = PAGE.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    return re.findall(r"```python\n(.*?)```", section, flags=re.DOTALL)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("heading", "printed"),
    [("LangGraph: checkpointer", "{'text': 'HELLO'}\n"), ("LangGraph: store", "[{'likes': 'pears'}]\n")],
)
def test_a_program_of_the_page_runs_twice(tmp_path: Path, heading: str, printed: str) -> None:
    (program,) = programs(heading)

    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-c", program],
            cwd=tmp_path,
            env={"PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.stdout == printed, done.stderr
