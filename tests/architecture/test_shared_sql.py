"""The SQL of the facets is taken by every engine as it stands (design §16)."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from tenure.persistence.engines.statements import load_statements
from tests.architecture.tree import ROOT, python_files

FACETS = ROOT / "persistence" / "facets"

FORBIDDEN = {
    "STRICT": r"\bSTRICT\b",
    "WITHOUT ROWID": r"\bWITHOUT\s+ROWID\b",
    "rowid": r"\b_?rowid_?\b",
    "BEGIN IMMEDIATE": r"\bBEGIN\s+(IMMEDIATE|EXCLUSIVE|DEFERRED)\b",
    "INSERT OR": r"\b(INSERT|UPDATE)\s+OR\b|\bREPLACE\s+INTO\b",
    "changes()": r"\b(total_)?changes\s*\(",
    "unixepoch()": r"\bunixepoch\s*\(",
    "ifnull": r"\bifnull\s*\(",
    "GLOB": r"\bGLOB\b",
    "IS 'x'": r"\bIS\s+(?!(NOT\s+)?(NULL|TRUE|FALSE|DISTINCT\s+FROM)\b)",
    "LIMIT -1": r"\bLIMIT\s+-",
    "json_each": r"\bjson_each\b",
    "blob literal": r"\bx''",
    "NUL": r"\x00|\bchar\s*\(\s*0\s*\)",
    "DDL": r"\b(CREATE|ALTER|DROP)\b",
}
"""What one engine takes and another does not. Words in comments and strings do not count."""


def statements(text: str) -> Iterator[str]:
    """The statements of a file, without comments and with every string emptied."""
    text = re.sub(r"^-- (?:name|part):.*$", ";", text, flags=re.MULTILINE)
    # One pass over both, so that neither is looked for inside the other.
    text = re.sub(r"('(?:[^'\x00]|'')*')|--[^\n]*", lambda hit: "''" if hit[1] else "", text)
    yield from (statement for part in text.split(";") if (statement := part.strip()))


def depths(statement: str) -> Iterator[tuple[int, int]]:
    """Each position with the number of parentheses that are open there."""
    depth = 0
    for position, letter in enumerate(statement):
        depth += (letter == "(") - (letter == ")")
        yield position, depth


def has_scalar_extreme(statement: str) -> bool:
    """Whether max() or min() has several arguments, which only SQLite takes."""
    inside = dict(depths(statement))
    for call in re.finditer(r"\b(max|min)\s*\(", statement, re.IGNORECASE):
        own = inside[call.end() - 1]
        for position in range(call.end(), len(statement)):
            if inside[position] < own:
                break
            if inside[position] == own and statement[position] == ",":
                return True
    return False


def has_limited_delete(statement: str) -> bool:
    """Whether a DELETE carries its own LIMIT; a subquery in it may have one."""
    if not re.match(r"DELETE\b", statement, re.IGNORECASE):
        return False
    inside = dict(depths(statement))
    limits = re.finditer(r"\bLIMIT\b", statement, re.IGNORECASE)
    return any(inside[limit.start()] == 0 for limit in limits)


def faults(text: str) -> list[str]:
    """The forbidden constructs of a file, in the order of its statements."""
    found: list[str] = []
    for statement in statements(text):
        found += [word for word, pattern in FORBIDDEN.items() if re.search(pattern, statement, re.IGNORECASE)]
        found += ["scalar max()"] if has_scalar_extreme(statement) else []
        found += ["DELETE ... LIMIT"] if has_limited_delete(statement) else []
    return found


def test_the_sql_of_the_facets_holds_nothing_that_one_engine_refuses() -> None:
    found = {
        path.relative_to(ROOT).as_posix(): wrong
        for path in sorted(FACETS.rglob("*.sql"))
        if (wrong := faults(path.read_text(encoding="utf-8")))
    }

    assert not found


@pytest.mark.parametrize(
    ("fault", "sql"),
    [
        ("STRICT", "SELECT 1 FROM t STRICT"),
        ("rowid", "SELECT rowid FROM t"),
        ("BEGIN IMMEDIATE", "begin immediate"),
        ("INSERT OR", "INSERT OR IGNORE INTO t VALUES (1)"),
        ("INSERT OR", "REPLACE INTO t VALUES (1)"),
        ("changes()", "SELECT changes()"),
        ("unixepoch()", "SELECT unixepoch()"),
        ("scalar max()", "UPDATE t SET a = max(a, coalesce(:b, 0))"),
        ("scalar max()", "UPDATE t SET a = 1 + max(coalesce(:b, 0), a)"),
        ("ifnull", "SELECT ifnull(a, 0) FROM t"),
        ("GLOB", "SELECT 1 FROM t WHERE a GLOB :b"),
        ("IS 'x'", "SELECT 1 FROM t WHERE a IS 'b'"),
        ("IS 'x'", "SELECT 1 FROM t WHERE a IS NOT :b"),
        ("LIMIT -1", "SELECT 1 FROM t LIMIT -1 OFFSET 5"),
        ("DELETE ... LIMIT", "DELETE FROM t WHERE a = :a LIMIT 5"),
        ("json_each", "SELECT value FROM json_each(:a)"),
        ("blob literal", "SELECT x'00ff'"),
        ("NUL", "SELECT char(0)"),
        ("NUL", "SELECT '\x00'"),
        ("DDL", "CREATE TABLE t (a)"),
    ],
)
def test_a_forbidden_construct_is_found(fault: str, sql: str) -> None:
    assert faults(f"-- name: facet.verb\n{sql};\n") == [fault]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT max(a), min(coalesce(b, 0)) FROM t GROUP BY c",
        "SELECT a FROM t WHERE a IS NULL OR b IS NOT NULL OR c IS NOT DISTINCT FROM :c",
        "DELETE FROM t WHERE a IN (SELECT a FROM t ORDER BY a LIMIT 5)",
        "SELECT a FROM t WHERE b = 'INSERT OR IGNORE -- no comment' -- IS 'x' in a comment",
        "INSERT INTO t (a) VALUES (:a) ON CONFLICT (a) DO NOTHING RETURNING a",
    ],
)
def test_sql_that_every_engine_takes_is_left_alone(sql: str) -> None:
    assert faults(f"-- name: facet.verb\n{sql};\n") == []


def test_every_named_statement_is_used() -> None:
    code = "\n".join((ROOT / path).read_text(encoding="utf-8") for path in python_files("persistence", "supervisor"))

    unused = [name for name in load_statements() if f'"{name}"' not in code and not name.startswith(BY_SORT)]

    assert not unused


BY_SORT = (
    *(
        "prunable.old_",
        "prunable.kind_of_",
        "erasing.look_",
        "erasing.delete_",
        "sealing.sizes.",
        "sealing.page.",
        "sealing.update.",
    ),
    *("promotion.sizes.", "promotion.page.", "promotion.add.", "promotion.clear.", "promotion.count."),
)
"""One statement for each sort of rows that is pruned, erased, sealed or promoted; its name is put together from the sort."""
