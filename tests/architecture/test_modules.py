"""How every module is laid out."""

from __future__ import annotations

import ast
from collections import Counter
from pathlib import Path

import pytest

from tests.architecture.tree import AROUND, HOUSE, ROOT, python_files

LINES = 400
MODULES = 12
"""Most modules of one folder of the package: a newcomer reads its names at one glance."""

CATALOGUES = {"tenure/errors.py"}
"""Read by looking up, not from the top: one tree of many small classes may be long."""


def read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


HOUSE_FILES = [path.as_posix() for path in python_files(*HOUSE)]
ALL_FILES = [path.as_posix() for path in python_files(*HOUSE, *AROUND)]


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_module_has_a_docstring(name: str) -> None:
    docstring = ast.get_docstring(ast.parse(read(name)))

    assert docstring
    assert docstring.strip()


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_module_with_code_postpones_its_annotations(name: str) -> None:
    body = ast.parse(read(name)).body
    # A docstring alone needs nothing.
    if len(body) > 1:
        first = body[1]

        assert isinstance(first, ast.ImportFrom)
        assert first.module == "__future__"
        assert [alias.name for alias in first.names] == ["annotations"]


@pytest.mark.parametrize("name", [name for name in HOUSE_FILES if name not in CATALOGUES])
def test_a_module_of_the_house_has_one_job_and_a_bounded_length(name: str) -> None:
    assert len(read(name).splitlines()) <= LINES


def test_a_folder_of_the_package_holds_few_modules() -> None:
    folders = Counter(str(Path(name).parent) for name in HOUSE_FILES if not name.endswith("__init__.py"))
    crowded = {folder: found for folder, found in folders.items() if found > MODULES}

    assert not crowded
