"""An adapter whose framework is not installed says what to install."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from typing import Final

from .conftest import FRAMEWORKS
from .suite import ROOT

PROGRAM: Final = """
import importlib, sys

ABSENT = {"a2a", "agents", "google", "langchain_core", "langgraph", "mcp", "pydantic_ai", "starlette"}

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ABSENT:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Absent())
for name in sys.argv[1:]:
    try:
        importlib.import_module(f"tenure.adapters.{name}")
    except ModuleNotFoundError as exc:
        print(name, *exc.__notes__)
"""


def test_an_adapter_whose_framework_is_absent_says_what_to_install() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *FRAMEWORKS], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for line in done.stdout.splitlines():
        name, _, said = line.partition(" ")
        extra = name.replace("_", "-")
        assert extra in extras
        assert said == f"this adapter needs more: pip install 'tenure[{extra}]'"
    assert len(done.stdout.splitlines()) == len(FRAMEWORKS)
