"""What is to be sealed and unsealed of each named statement, found out from its text and its tables.

Writes have one form: ``INSERT INTO t (columns) VALUES (...)`` and ``UPDATE t SET column = :parameter``. What a read gives back
SQLite says (`origins`). A test holds that no statement has a content anywhere else.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final, final

from attrs import frozen

from tenure.persistence.engines.sqlite.origins import Origins, origins_of
from tenure.persistence.engines.statements import load_statements
from tenure.persistence.engines.tables import PREFIX as CARRYING

from .columns import CONTENTS, DIGESTS, Column
from .rows import PREFIX

PASSED: Final = (PREFIX, CARRYING)
"""How the names of statements begin whose rows are passed as they are stored."""

EXPRESSIONS: Final[Mapping[tuple[str, int], tuple[Column, ...]]] = {
    ("dead_letters.page", 5): (("payloads", "payload"), ("sends", "payload")),  # either of two parts of a union
    ("entries.outline", 9): (("entries", "result"),),  # or NULL, where it is long
    ("sessions.path_page", 7): (("nodes", "payload"),),  # or NULL, before the page
    ("verification.entries", 13): (("entries", "result"),),  # or NULL, where it is not asked for
    ("verification.entries", 14): (("entries", "error"),),
}
"""Contents that come out of an expression: the statement and the place in its rows, and where they may stand."""

_INSERT: Final = re.compile(r"INSERT INTO (\w+) \(([^)]*)\)\s*(?:VALUES\s*\(|SELECT\s)")
_UPDATE: Final = re.compile(r"UPDATE (\w+)\s+SET\s")
_ASSIGNED: Final = re.compile(r"(?:\w+\.)?\b(\w+) = :(\w+)\b")
_PARAMETER: Final = re.compile(r":(\w+)")

Source = tuple[bool, str | int] | None
"""Where a part of a row's key is: among the parameters by name, or in the row by its place; None: neither."""


@final
@frozen(kw_only=True, slots=True)
class SealedParameter:
    """A parameter whose value is sealed: for which column, and which parameters are the key of its row."""

    name: str
    column: Column
    key: tuple[str | None, ...]


@final
@frozen(kw_only=True, slots=True)
class SealedResult:
    """A place in a row whose value is unsealed: from which columns, and where the key of its row is."""

    at: int
    columns: tuple[Column, ...]
    key: tuple[Source, ...]


@final
@frozen(kw_only=True, slots=True)
class Plan:
    """What happens to the parameters and the rows of one statement.

    Attributes:
        table: Whose key an insert draws; None for anything else.
        contents: Parameters that are contents.
        digests: Parameters that are digests.
        results: Contents in its rows.
        digest_results: Digests in its rows, by place.
    """

    table: str | None
    contents: tuple[SealedParameter, ...]
    digests: tuple[str, ...]
    results: tuple[SealedResult, ...]
    digest_results: tuple[int, ...]

    @property
    def is_empty(self) -> bool:
        """Whether nothing happens."""
        return not (self.contents or self.digests or self.results or self.digest_results)


@cache  # the statements do not change; 40 ms
def plans() -> Mapping[str, Plan]:
    """Of each statement that has contents or digests, by name. Raises `Unsupported`: see `origins_of`."""
    statements = {name: sql for name, sql in load_statements().items() if not name.startswith(PASSED)}
    origins = origins_of(statements)
    found = {name: plan_of(name, sql, origins[name]) for name, sql in statements.items()}
    return {name: plan for name, plan in found.items() if not plan.is_empty}


def plan_of(name: str, sql: str, origins: Origins) -> Plan:
    """The plan of one statement."""
    written = dict(_written(sql))
    asked = _asked(sql)
    contents = [
        SealedParameter(name=parameter, column=column, key=_key_parameters(column, written, asked))
        for column, parameter in written.items()
        if column in CONTENTS
    ]
    digests = {parameter for column, parameter in written.items() if column in DIGESTS}
    names = {column for table, column in origins.read if (table, column) in DIGESTS}
    digests |= {parameter for column, parameter in asked.items() if column in names}
    given = list(enumerate(origins.given))
    insert = _INSERT.match(sql)
    return Plan(
        table=insert[1] if insert is not None else None,
        contents=tuple(contents),
        digests=tuple(sorted(digests)),
        results=tuple(_results(name, origins, asked if sql.count("SELECT") == 1 else {})),
        digest_results=tuple([at for at, column in given if column in DIGESTS]),
    )


def _written(sql: str) -> Iterator[tuple[Column, str]]:
    """Columns that take a parameter as it is, and which."""
    if (insert := _INSERT.match(sql)) is not None:
        columns = [column.strip() for column in insert[2].split(",")]
        for column, expression in zip(columns, _list_at(sql, insert.end()), strict=False):
            if (parameter := _PARAMETER.fullmatch(expression)) is not None:
                yield (insert[1], column), parameter[1]
    elif (update := _UPDATE.match(sql)) is not None:
        for column, parameter in _ASSIGNED.findall(sql):
            yield (update[1], column), parameter


def _list_at(sql: str, start: int) -> list[str]:
    """The expressions of a list that begins there, up to its end."""
    parts, depth = [""], 0
    for mark in sql[start:]:
        if mark == "," and depth == 0:
            parts.append("")
            continue
        depth += (mark == "(") - (mark == ")")
        if depth < 0:
            break
        parts[-1] += mark
    return [part.strip() for part in parts]


def _asked(sql: str) -> dict[str, str]:
    """Columns that are compared with a parameter, by name without table."""
    conditions = sql[sql.index("WHERE") :] if "WHERE" in sql else ""
    return dict(_ASSIGNED.findall(conditions))


def _key_parameters(column: Column, written: Mapping[Column, str], asked: Mapping[str, str]) -> tuple[str | None, ...]:
    return tuple([written.get((column[0], part)) or asked.get(part) for part in CONTENTS[column]])


def _results(name: str, origins: Origins, asked: Mapping[str, str]) -> Iterator[SealedResult]:
    alone = len({table for table, _ in origins.read}) == 1
    for at, column in enumerate(origins.given):
        columns = EXPRESSIONS.get((name, at), () if column is None or column not in CONTENTS else (column,))
        if columns:
            parts = CONTENTS[columns[0]] if len(columns) == 1 else ()
            sources = [_source(columns[0][0], part, origins, asked if alone else {}) for part in parts]
            yield SealedResult(at=at, columns=columns, key=tuple(sources))


def _source(table: str, part: str, origins: Origins, asked: Mapping[str, str]) -> Source:
    if (table, part) in origins.given:
        return False, origins.given.index((table, part))
    return (True, asked[part]) if part in asked else None
