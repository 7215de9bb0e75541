"""The prose is plain English: nine turns of phrase that make it hard stand in no docstring of these rooms."""

from __future__ import annotations

import ast
import re

import pytest

from tests.architecture.tree import ROOT, python_files

HARD = re.compile(
    r"\b(nobody|somebody|whoever|tells?|told|behind|of its own|comes? to|came to|in hand"
    r"|(?<!there )is no(?! (longer|more|one)\b) \w+)\b",
    re.IGNORECASE,
)
"""The turns of phrase. "Come to" is hard where it means "amount to"; `PLAIN` has the places where something arrives."""

PLAIN = (
    "has come to this host",
    "came to this host",
)

ROOMS = (
    "commits",
    "facets",
    "model",
    "reading",
    "seams",
    "writing",
    "engines/engine",
    "engines/door",
    "engines/choice",
    "engines/statements",
    "engines/blobs",
)
"""Of `persistence/`, so far."""

FILES = [
    path.as_posix()
    for path in python_files("actors", "supervisor", "persistence")
    if path.parts[0] != "persistence" or path.as_posix().startswith(tuple([f"persistence/{room}" for room in ROOMS]))
]


def docstrings(source: str) -> list[str]:
    """Every docstring of a file, those under constants and attributes too."""
    return [
        node.value.value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
    ]


@pytest.mark.parametrize("name", FILES)
def test_no_docstring_has_a_hard_turn_of_phrase(name: str) -> None:
    found: list[str] = []
    for text in docstrings((ROOT / name).read_text(encoding="utf-8")):
        line = " ".join(text.split())
        for plain in PLAIN:
            line = line.replace(plain, "")
        found += [line[max(0, each.start() - 40) : each.end() + 20] for each in HARD.finditer(line)]

    assert not found
