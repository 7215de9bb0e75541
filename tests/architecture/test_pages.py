"""The pages name files that are there."""

from __future__ import annotations

import re

import pytest

from tests.architecture.tree import ROOT

PAGES = sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "docs").glob("*.md"))
FLOORS = r"`((?:persistence|actors|supervisor|tenure|proof|tests|examples|benchmarks)/[\w/.-]*\.\w+)`"


@pytest.mark.parametrize("page", PAGES)
def test_every_file_that_a_page_names_is_there(page: str) -> None:
    named = set(re.findall(FLOORS, (ROOT / page).read_text(encoding="utf-8")))

    assert {name for name in named if not (ROOT / name).is_file()} == set()
