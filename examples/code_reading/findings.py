"""The JSON values that steps answer with and that agents send, the same for the same file."""

from __future__ import annotations

from typing import Literal, TypedDict, final

Status = Literal["parsed", "unparsable", "unreadable", "changed", "too_large"]


class Outline(TypedDict):
    """What `Toolbox.parse` saw of a file. All counts but the lines are 0 unless it was parsed."""

    status: Status
    problem: str
    lines: int
    functions: int
    classes: int
    imports: int
    documented: bool


class Function(TypedDict):
    """One function or method; complexity leaves out the functions nested in it."""

    name: str
    line: int
    lines: int
    arguments: int
    complexity: int


class Measures(TypedDict):
    """What `Toolbox.measure` found: sums over all functions of a file and the few worth a name."""

    functions: int
    documented: int
    lines: int
    arguments: int
    complexity: int
    longest: list[Function]
    most_complex: list[Function]


class Imports(TypedDict):
    """The top names that a file imports, each in one group, sorted."""

    own_package: list[str]
    standard_library: list[str]
    same_source: list[str]
    third_party: list[str]


@final  # so that a key distinguishes it from other messages of a session
class Finding(TypedDict):
    """Everything that an agent reports to the librarian about one file."""

    path: str
    agent: str
    outline: Outline
    measures: Measures | None
    imports: Imports | None
