"""What is tested on SQLite alone says why, and is counted: it may not grow unseen."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from tests.architecture.tree import ROOT

ALONE = 96
"""Tests and files of tests that are marked as SQLite's."""

SHORTEST_REASON = 2
"""Words."""


def reasons(path: Path) -> Iterator[str]:
    """The reason of every `pytest.mark.sqlite` of a file."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "pytest.mark.sqlite":
            (reason,) = node.args
            yield ast.literal_eval(reason)


def test_what_is_tested_on_sqlite_alone_says_why_and_is_counted() -> None:
    found = [reason for path in sorted((ROOT / "tests").rglob("*.py")) for reason in reasons(path)]

    assert all(len(reason.split()) >= SHORTEST_REASON for reason in found), found
    assert len(found) == ALONE
