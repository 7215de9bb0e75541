"""The tutorial: its blocks run from front to back, and print what stands behind them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT

DOCS = ROOT / "docs"
TUTORIAL = (DOCS / "tutorial.md").read_text(encoding="utf-8")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)

RUN = """
import sys
namespace = {"__name__": "tutorial"}
for number, block in enumerate(sys.stdin.read().split("\\0"), 1):
    exec(compile(block, f"block {number} of the tutorial", "exec"), namespace)
    print("\\0", end="", flush=True)
"""


def blocks() -> list[tuple[str, str]]:
    """Each Python block with what is promised to be printed by it."""
    found: list[tuple[str, str]] = []
    end = 0
    for fence in FENCE.finditer(TUTORIAL):
        language, text = fence.groups()
        follows = not TUTORIAL[end : fence.start()].strip()  # nothing but blank lines between the two
        if language == "python":
            found.append((text, ""))
        elif not language and follows and found:
            found[-1] = (found[-1][0], text)
        end = fence.end()
    return found


def test_each_block_can_be_given_to_the_prompt_of_python() -> None:
    for text, _ in blocks():
        assert "\n\n    " not in text, "before Python 3.13 a blank line ends a function there"


@pytest.mark.turns(2)
@pytest.mark.slow
@pytest.mark.process
def test_the_blocks_run_from_front_to_back_and_print_what_stands_behind_them(tmp_path: Path) -> None:
    programs, promised = zip(*blocks(), strict=True)
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"}
    done = subprocess.run(
        [sys.executable, "-c", RUN],
        input="\0".join(programs),
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\0")[:-1] == list(promised)


def test_it_has_blocks_and_most_of_them_print() -> None:
    printing = [promised for _, promised in blocks() if promised]

    assert len(printing) >= 10


def test_every_file_that_it_links_to_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", TUTORIAL) if "://" not in link]

    assert links
    assert [link for link in links if not (DOCS / link).exists()] == []
