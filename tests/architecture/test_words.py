"""The prose is plain English: nine turns of phrase that make it hard stand in no docstring, comment, message or page."""

from __future__ import annotations

import io
import re
import tokenize
from collections.abc import Iterable

import pytest

from tests.architecture.tree import HOUSE, ROOT, python_files

HARD = re.compile(
    r"\b(nobody|somebody|whoever|tells?|told|behind|of its own|comes? to|came to|in hand"
    r"|(?<!there )is no(?! (longer|more|one)\b) \w+)\b",
    re.IGNORECASE,
)
"""The turns of phrase. "Come to" is hard where it means "amount to"; `PLAIN` has the places where something arrives."""

PLAIN = (
    "has come to this host",
    "came to this host",
    "requests.tell",
)

TEXTS = {number for number, name in tokenize.tok_name.items() if name in {"STRING", "FSTRING_MIDDLE"}}
"""Tokens of strings; those of an f-string are whole before Python 3.12."""

FILES = [path.as_posix() for path in python_files(*HOUSE)]


def prose(source: str) -> list[str]:
    """Every text of a file: docstrings, comments (lines that follow one another are one), and messages."""
    found: list[str] = []
    lines: list[str] = []
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            lines.append(token.string.lstrip("# "))
            continue
        if token.type not in (tokenize.NL, tokenize.INDENT, tokenize.DEDENT) and lines:
            found.append(" ".join(lines))
            lines = []
        if token.type in TEXTS:
            found.append(token.string)
    return found


@pytest.mark.slow
def test_no_text_has_a_hard_turn_of_phrase() -> None:
    found: list[str] = []
    for name in FILES:
        source = (ROOT / name).read_text(encoding="utf-8")
        if HARD.search(" ".join(source.split())) or "#" in source:  # a comment may break a turn over two lines
            found += [f"{name}: {text}" for text in hard(prose(source))]

    assert not found


PAGES = [
    "README.md",
    "CHANGELOG.md",
    *sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").rglob("*.md")),
]


def test_no_page_has_a_hard_turn_of_phrase() -> None:
    found: list[str] = []
    for name in PAGES:
        outside = re.sub(
            r"^```.*?^```", "\n", (ROOT / name).read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE
        )
        found += [f"{name}: {text}" for text in hard(outside.split("\n\n"))]

    assert not found


def hard(texts: Iterable[str]) -> list[str]:
    """The hard turns of phrase, with what stands around them."""
    found: list[str] = []
    for text in texts:
        line = " ".join(text.split())
        for plain in PLAIN:
            line = line.replace(plain, "")
        found += [line[max(0, each.start() - 40) : each.end() + 20] for each in HARD.finditer(line)]
    return found
