"""What pyproject.toml lists is what the tree holds."""

from __future__ import annotations

import tomllib
from typing import Any

import pytest

from tests.architecture.tree import FLOORS, HOUSE, ROOT, packages, python_files


def setuptools_table() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)["tool"]["setuptools"]


def test_pyproject_lists_exactly_the_packages_of_the_tree() -> None:
    listed = setuptools_table()["packages"]

    assert sorted(listed) == sorted(packages())
    assert len(listed) == len(set(listed))


def test_pyproject_maps_each_top_level_folder_of_the_house() -> None:
    folders = {"tenure": "tenure"} | {f"tenure.{floor}": floor for floor in FLOORS}

    assert setuptools_table()["package-dir"] == folders


def test_every_module_stands_in_a_package() -> None:
    known = set(packages().values())

    strays = [path for path in python_files(*HOUSE) if path.parent.as_posix() not in known]

    assert not strays


@pytest.mark.parametrize("floor", FLOORS)
def test_tenure_holds_a_link_to_each_floor(floor: str) -> None:
    link = ROOT / "tenure" / floor

    assert link.is_symlink()
    assert link.readlink().as_posix() == f"../{floor}"
