"""Named SQL: what a file of statements may say."""

from __future__ import annotations

import re

import pytest

from tenure.persistence.engines.statements import parse_statements

TWO = """\
-- part: own
-- Of one runtime.
SELECT node FROM nodes WHERE runtime = :runtime;

-- name: nodes.keys
{own}
ORDER BY 1;

-- name: nodes.count
-- How many.
SELECT count(*) FROM ({own}) AS own;
"""


def test_a_part_stands_in_each_statement_that_names_it() -> None:
    own = "SELECT node FROM nodes WHERE runtime = :runtime"

    assert parse_statements(TWO) == {
        "nodes.keys": f"{own}\nORDER BY 1",
        "nodes.count": f"SELECT count(*) FROM ({own}) AS own",
    }


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("-- name: a.b\nSELECT 1;\n-- name: a.b\nSELECT 2;\n", "the statement a.b stands twice"),
        ("-- part: a\nSELECT 1;\n-- part: a\nSELECT 2;\n", "the part a stands twice"),
        (
            "-- name: a.b\nSELECT 1 FROM ({own}) AS o;\n-- part: own\nSELECT 1;\n",
            "no part own stands before what names it",
        ),
    ],
)
def test_a_file_that_says_a_name_twice_or_lacks_a_part_is_refused(text: str, wrong: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(wrong)}$"):
        parse_statements(text)


def test_braces_of_a_value_are_not_a_part() -> None:
    assert parse_statements("-- name: a.b\nSELECT '{}';\n") == {"a.b": "SELECT '{}'"}
