"""A statement for many sets of parameters at once, made of its text. Pure.

Each parameter comes as an array, one element for each set, and is a column of `given`; the statement is carried out beside
the rows of that. What answers says first of which set a row is.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Final, final

from attrs import frozen

from tenure.persistence.engines.engine import SqlValue

from .translation import Statement
from .values import BYTEA, FLOAT8, INT4, INT8, TEXT_TYPE, encoded

_TYPES: Final = {INT8: "bigint", INT4: "integer", TEXT_TYPE: "text", BYTEA: "bytea", FLOAT8: "double precision"}
"""Types that parameters of such a statement may have."""

_TOKEN: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|[()]|\w+")
_PLACE: Final = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|\$(\d+)")
_CLAUSES: Final = frozenset({"SET", "FROM", "USING", "WHERE", "VALUES", "ON", "RETURNING", "FOR"})
_CHOOSES: Final = re.compile(r"\bIN \(SELECT\b")
_ROW_KEY: Final = re.compile(r"WHERE \w+ = \$(\d+)")


@final
@frozen(kw_only=True, slots=True)
class Many:
    """A statement that is carried out for many sets of parameters.

    Attributes:
        statement: Its text; its parameters are arrays.
        types: The type of the elements of each.
        answers: Whether it says of which set each of its rows is, in their first column: places, from 1 on.
        key: The parameter by which an update finds its one row, where it does: no two sets may have the same.
        same: It has no parameters: all have the same answer.
    """

    statement: Statement
    types: tuple[int, ...]
    answers: bool
    key: str | None = None
    same: bool = False


@cache  # of the statements of the package, of which there are as many as stand in its files
def many_of(statement: Statement, types: tuple[int, ...]) -> Many | None:
    """A statement, whose parameters have these types, for many sets of them; None where there is no such form.

    It has one where it selects without a lock, inserts values, updates or deletes. It may only be carried out for sets whose
    statements neither read nor write what another one of them writes.
    """
    if any(each not in _TYPES for each in types):
        return None
    sql = statement.sql
    clauses = _clauses(sql)
    if not types:
        is_same = sql.startswith("SELECT") and "FOR" not in clauses
        return Many(statement=statement, types=(), answers=True, same=True) if is_same else None
    arrays = ", ".join([f"CAST(${at} AS {_TYPES[each]}[])" for at, each in enumerate(types, 1)])
    columns = ", ".join([f"g{at}" for at in range(1, len(types) + 1)])
    # The planner takes a limit that it does not know for a tenth of ten rows: so a statement goes by the index that it goes by
    # for one set, and not over all that is open, of which there are few where it is planned.
    rows = (
        f"unnest({arrays}) WITH ORDINALITY AS each({columns}, g0) LIMIT cardinality(CAST($1 AS {_TYPES[types[0]]}[]))"
    )
    given = f"(SELECT * FROM {rows}) AS given"  # noqa: S608 - names of types and numbers
    key: str | None = None
    if sql.startswith("SELECT") and "FOR" not in clauses:
        text = f"SELECT given.g0, one.* FROM {given} CROSS JOIN LATERAL ({_of_given(sql)}) AS one"  # noqa: S608 - of a statement of ours
    elif sql.startswith("INSERT") and "VALUES" in clauses and "RETURNING" not in clauses:
        text = _inserted(sql, clauses, given)
    elif sql.startswith(("UPDATE", "DELETE")) and "WHERE" in clauses:
        text = _changed(sql, clauses, given)
        found = _ROW_KEY.fullmatch(sql, clauses["WHERE"])
        key = None if found is None else statement.names[int(found[1]) - 1]
    else:
        text = ""
    if not text or any(found[1] for found in _PLACE.finditer(text.replace(given, ""))):
        return None
    answers = sql.startswith("SELECT") or "RETURNING" in clauses
    made = Statement(sql=text, names=statement.names, writes=statement.writes)
    return Many(statement=made, types=types, answers=answers, key=key)


def array_of_all(kind: int, values: Sequence[SqlValue]) -> bytes:
    """Values of one parameter, as an array in binary form.

    Raises:
        InvalidInput, TypeError, ValueError, struct.error: One of them is of another type, or cannot be stored.
    """
    element = _ELEMENTS[kind]
    head = _HEAD.pack(
        1, 1, kind, len(values), 1
    )  # one dimension, perhaps with NULL, so many elements, the first is number 1
    return head + b"".join([_NULL if value is None else element(value) for value in values])


def _clauses(sql: str) -> Mapping[str, int]:
    """Where each clause of a statement begins, of those outside of parentheses; the first of its word."""
    depth = 0
    found: dict[str, int] = {}
    for token in _TOKEN.finditer(sql):
        if token[0] == "(":
            depth += 1
        elif token[0] == ")":
            depth -= 1
        elif depth == 0 and token[0] in _CLAUSES:
            found.setdefault(token[0], token.start())
    return found


def _of_given(sql: str) -> str:
    return _PLACE.sub(lambda found: found[0] if found[1] is None else f"given.g{found[1]}", sql)


def _inserted(sql: str, clauses: Mapping[str, int], given: str) -> str:
    at = clauses["VALUES"]
    opens = sql.index("(", at)
    closes = _closing(sql, opens)
    rest = sql[closes + 1 :]
    if rest and not rest.lstrip().startswith("ON CONFLICT"):
        return ""
    return f"{sql[:at]}SELECT {_of_given(sql[opens + 1 : closes])} FROM {given}{rest}"  # noqa: S608 - as above


def _changed(sql: str, clauses: Mapping[str, int], given: str) -> str:
    word = "FROM" if sql.startswith("UPDATE") else "USING"
    where, returning = clauses["WHERE"], clauses.get("RETURNING", len(sql))
    if _CHOOSES.search(sql, where) is not None:
        return ""  # beside what is given, servers before 17 ask that of every row of the table
    head, source = sql[:where].rstrip(), f"{word} {given}"
    if clauses.get(word, where) < where:
        # What is chosen for each is chosen beside it.
        head, chosen = sql[: clauses[word]].rstrip(), sql[clauses[word] + len(word) : where].strip()
        if not chosen.startswith("("):
            return ""
        source += f" CROSS JOIN LATERAL {_of_given(chosen)}"
    answer = "" if returning == len(sql) else f"RETURNING given.g0, {_of_given(sql[returning + len('RETURNING ') :])}"
    return f"{_of_given(head)} {source} {_of_given(sql[where:returning])}{answer}".rstrip()


def _closing(sql: str, opens: int) -> int:
    depth = 0
    for token in _TOKEN.finditer(sql, opens):
        depth += (token[0] == "(") - (token[0] == ")")
        if depth == 0:
            return token.start()
    message = f"a parenthesis is not closed: {sql}"
    raise ValueError(message)


_HEAD: Final = struct.Struct(">iiIii")
_LENGTH: Final = struct.Struct(">i")
_NULL: Final = _LENGTH.pack(-1)
_integer: Final = struct.Struct(">iq").pack
_short: Final = struct.Struct(">ii").pack
_double: Final = struct.Struct(">id").pack


def _of_bytes(value: SqlValue) -> bytes:
    if not isinstance(value, bytes):
        message = f"a {type(value).__name__} where bytes stand"
        raise TypeError(message)
    return _LENGTH.pack(len(value)) + value


def _of_text(value: SqlValue) -> bytes:
    data = encoded(value)[0] or b""
    return _LENGTH.pack(len(data)) + data


_ELEMENTS: Final[Mapping[int, Callable[[SqlValue], bytes]]] = {
    INT8: lambda value: _integer(8, value),
    INT4: lambda value: _short(4, value),
    FLOAT8: lambda value: _double(8, value),
    TEXT_TYPE: _of_text,
    BYTEA: _of_bytes,
}
