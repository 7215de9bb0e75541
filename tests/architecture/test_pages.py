"""The pages name files that are there, lead where they say, and their tables are whole."""

from __future__ import annotations

import re

import pytest

from tests.architecture.tree import ROOT

PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))
READ = ["README.md", "CHANGELOG.md", *PAGES]
CODE = re.compile(r"^```.*?^```$", re.MULTILINE | re.DOTALL)
FLOORS = r"`((?:persistence|actors|supervisor|tenure|proof|tests|examples|benchmarks)/[\w/.-]*\.\w+)`"


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    named = set(re.findall(FLOORS, (ROOT / page).read_text(encoding="utf-8")))

    assert {name for name in named if not (ROOT / name).is_file()} == set()


def prose(page: str) -> str:
    """A page without its blocks of code."""
    return CODE.sub("", (ROOT / page).read_text(encoding="utf-8"))


def headings(page: str) -> set[str]:
    """The names by which links lead to the headings of a page."""
    found = re.findall(r"^#+ (.*)$", prose(page), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", each.lower()).replace(" ", "-") for each in found}


@pytest.mark.parametrize("page", READ)
def test_every_link_of_a_page_leads_to_a_file_and_a_heading_that_are_there(page: str) -> None:
    links = [each for each in re.findall(r"\]\(([^)\s]+)\)", prose(page)) if "://" not in each]
    lost: list[str] = []
    for link in links:
        name, _, heading = link.partition("#")
        target = (ROOT / page).parent / name if name else ROOT / page
        is_there = target.exists() and (
            not heading or heading in headings(target.resolve().relative_to(ROOT).as_posix())
        )
        lost += [] if is_there else [link]

    assert lost == []


@pytest.mark.parametrize("page", READ)
def test_every_row_of_a_table_has_the_cells_of_its_head(page: str) -> None:
    tables = re.findall(r"(?:^\|.*\|$\n?)+", prose(page), re.MULTILINE)
    rows = [[row.replace("\\|", "").count("|") for row in table.splitlines()] for table in tables]
    uneven = [
        row[:80]
        for table, cells in zip(tables, rows, strict=True)
        for row, count in zip(table.splitlines(), cells, strict=True)
        if count != cells[0]
    ]

    assert uneven == []
