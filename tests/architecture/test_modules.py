"""How every module is laid out."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

from tests.architecture.tree import AROUND, HOUSE, ROOT, python_files

LINES = 400
MODULES = 12
"""Most modules of one folder: a newcomer reads its names at one glance."""


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


HOUSE_FILES = [path.as_posix() for path in python_files(*HOUSE)]
ALL_FILES = [path.as_posix() for path in python_files(*HOUSE, *AROUND)]


FUTURE = "from __future__ import annotations"


def head(name: str) -> list[ast.stmt]:
    """The first statements of a module: its docstring, and what it imports from the future."""
    above, separator, _ = read(name).partition(FUTURE)
    return ast.parse(above + separator).body


def test_a_module_has_a_docstring() -> None:
    assert ALL_FILES
    assert not [name for name in ALL_FILES if not (ast.get_docstring(ast.Module(head(name), [])) or "").strip()]


def test_a_module_with_code_postpones_its_annotations() -> None:
    # A docstring alone needs nothing.
    assert not [name for name in ALL_FILES if len(body := head(name)) > 1 and ast.unparse(body[1]) != FUTURE]


def test_a_module_of_the_house_has_one_job_and_a_bounded_length() -> None:
    assert not [name for name in HOUSE_FILES if len(read(name).splitlines()) > LINES]


def test_a_folder_of_the_package_and_of_the_proof_holds_few_modules() -> None:
    names = [*HOUSE_FILES, *(path.as_posix() for path in python_files("proof"))]
    folders = Counter(str(Path(name).parent) for name in names if not name.endswith("__init__.py"))
    crowded = {folder: found for folder, found in folders.items() if found > MODULES}

    assert not crowded
