"""examples/README.md names every program beside it, in the words with which that begins."""

from __future__ import annotations

import ast

from tests.architecture.tree import ROOT

FOLDER = ROOT / "examples"
SHARED = {"scratch.py"}


def test_the_index_has_every_program_with_its_first_sentence() -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    programs = [path for folder in (FOLDER, FOLDER / "adapters") for path in folder.glob("*.py")]
    lines: list[str] = []
    for path in programs:
        name = path.relative_to(FOLDER).as_posix()
        told = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
        first = told.partition("\n\n")[0].replace("\n", " ")
        lines += [] if name in SHARED else [f"| [{name}]({name}) | {first} | "]

    assert len(lines) > len(SHARED)
    assert [line for line in lines if line not in page] == []
    assert page.count("| [") == len(lines)
