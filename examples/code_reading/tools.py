"""The tools that an agent calls on one file: parse, measure functions, resolve imports.

Every tool answers with a small JSON value, since tenure stores a step's result before anyone sees
it. A syntax tree is not a JSON value, so a `Toolbox` keeps what it took from the tree in memory. A run
that enters again after a crash has the recorded results but an empty toolbox: the first tool that
it really calls parses once more.

Parsing warns about doubtful literals. Warning filters belong to the process and not to a thread, so
the caller silences them once; where warnings are errors, such a file counts as unparsable.
"""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import Final, Literal, final

import attrs

from .findings import Function, Imports, Measures, Outline, Status
from .sources import digest_of, read_bytes

MAX_SOURCE_BYTES: Final = 4 * 1024 * 1024
"""A larger file is reported and not parsed: the parser holds the GIL, and the host waits."""
MAX_NOTABLE_FUNCTIONS: Final = 3
"""How many functions of one file are named, in each order."""
MAX_NAMES: Final = 100
"""How many imported names of one file are named, in each group."""

Tool = Literal["measure", "resolve"]


class SourceChanged(Exception):
    """The file is no longer the one that the recorded steps of this run have read."""


def plan(outline: Outline) -> tuple[Tool, ...]:
    """Decide which tools are worth calling for a file, from what parsing it showed."""
    measure: tuple[Tool, ...] = ("measure",) if outline["functions"] else ()
    resolve: tuple[Tool, ...] = ("resolve",) if outline["imports"] else ()
    return measure + resolve


@final
class Toolbox:
    """The tools for files under `root`. Made for one run and used by one thread at a time."""

    def __init__(self, root: str) -> None:
        self._root = Path(root)
        self._surveys: dict[str, _Survey] = {}

    def parse(self, path: str, digest: str) -> Outline:
        """Parse a file and outline it. A file that cannot be parsed is an answer, not an error."""
        data = read_bytes(self._root / path)
        if data is None:
            return _failed("unreadable", "the file cannot be opened", 0)
        lines = data.count(b"\n") + (not data.endswith(b"\n") and bool(data))
        if digest_of(data) != digest:
            return _failed("changed", "the file changed after it was found", lines)
        if len(data) > MAX_SOURCE_BYTES:
            return _failed("too_large", f"more than {MAX_SOURCE_BYTES} bytes", lines)
        try:
            survey = _survey(ast.parse(data))
        except SyntaxError as exc:
            # The message and the line, not str(exc), which names a file.
            where = f"line {exc.lineno}: " if exc.lineno else ""
            return _failed("unparsable", f"{where}{_one_line(exc.msg)}", lines)
        except (ValueError, RecursionError, MemoryError) as exc:
            # A NUL before 3.12, nesting that the parser's own stack does not hold.
            return _failed("unparsable", _one_line(str(exc) or type(exc).__name__), lines)
        self._surveys[path] = survey
        return Outline(
            status="parsed",
            problem="",
            lines=lines,
            functions=len(survey.functions),
            classes=survey.classes,
            imports=len(survey.imports),
            documented=survey.documented,
        )

    def measure(self, path: str, digest: str) -> Measures:
        """Count and measure the functions of a file that was parsed.

        Raises:
            SourceChanged: The file is another one than at its recorded parsing.
        """
        measured = self._survey_of(path, digest).functions
        functions = [facts for facts, _ in measured]
        longest = sorted(functions, key=lambda each: (-each["lines"], each["line"], each["name"]))
        most_complex = sorted(functions, key=lambda each: (-each["complexity"], each["line"], each["name"]))
        return Measures(
            functions=len(functions),
            documented=sum(documented for _, documented in measured),
            lines=sum(each["lines"] for each in functions),
            arguments=sum(each["arguments"] for each in functions),
            complexity=sum(each["complexity"] for each in functions),
            longest=longest[:MAX_NOTABLE_FUNCTIONS],
            most_complex=most_complex[:MAX_NOTABLE_FUNCTIONS],
        )

    def resolve(self, path: str, digest: str) -> Imports:
        """Say of each imported top name where it comes from.

        Cases, the first that fits: a relative import or a folder on the file's own path is its own
        package; then the standard library; then a folder or module of the same source, beside the
        file or beside one of its folders, or in `src`; the rest is third party.

        Raises:
            SourceChanged: The file is another one than at its recorded parsing.
        """
        folders = path.split("/")[:-1]
        own: set[str] = set()
        standard: set[str] = set()
        same: set[str] = set()
        third: set[str] = set()
        for level, name in self._survey_of(path, digest).imports:
            top = name.partition(".")[0]
            if level:
                own.add("." * level + top)
            elif top in folders:
                own.add(top)
            elif top in sys.stdlib_module_names:
                standard.add(top)
            elif self._is_beside(folders, top):
                same.add(top)
            else:
                third.add(top)
        return Imports(
            own_package=sorted(own)[:MAX_NAMES],
            standard_library=sorted(standard)[:MAX_NAMES],
            same_source=sorted(same)[:MAX_NAMES],
            third_party=sorted(third)[:MAX_NAMES],
        )

    def _is_beside(self, folders: list[str], name: str) -> bool:
        levels = [self._root.joinpath(*folders[:depth]) for depth in range(len(folders) + 1)]
        levels.append(self._root / "src")
        return any((at / name).is_dir() or (at / f"{name}.py").is_file() for at in levels)

    def _survey_of(self, path: str, digest: str) -> _Survey:
        if path not in self._surveys:
            outline = self.parse(path, digest)
            if outline["status"] != "parsed":
                raise SourceChanged(path, outline["problem"])
        return self._surveys[path]


@final
@attrs.define(slots=True, kw_only=True)
class _Survey:
    """What one pass over a tree's statements collects; functions come with "has a docstring"."""

    documented: bool
    classes: int = 0
    functions: list[tuple[Function, bool]] = attrs.field(factory=list[tuple[Function, bool]])
    imports: list[tuple[int, str]] = attrs.field(factory=list[tuple[int, str]])


def _survey(tree: ast.Module) -> _Survey:
    """Walk the statements of a tree, and no expression: seven of eight nodes are expressions.

    So complexity is McCabe's number over statements: 1, and 1 more for each if, elif, for, while,
    except and case. The walk keeps its own stack, because a long chain of elif nests deeper than
    Python recurses.
    """
    survey = _Survey(documented=_has_docstring(tree.body))
    pending: list[tuple[list[ast.stmt], str, Function | None]] = [(tree.body, "", None)]
    while pending:
        body, prefix, owner = pending.pop()
        for node in body:
            match node:
                case ast.FunctionDef() | ast.AsyncFunctionDef():
                    function = _function(node, prefix)
                    survey.functions.append((function, _has_docstring(node.body)))
                    pending.append((node.body, f"{prefix}{node.name}.", function))
                case ast.ClassDef():
                    survey.classes += 1
                    pending.append((node.body, f"{prefix}{node.name}.", owner))
                case ast.Import():
                    survey.imports += [(0, alias.name) for alias in node.names]
                case ast.ImportFrom():
                    survey.imports.append((node.level, node.module or ""))
                case _:
                    branches, blocks = _blocks(node)
                    pending += [(block, prefix, owner) for block in blocks]
                    if owner is not None:
                        owner["complexity"] += branches
    return survey


def _blocks(node: ast.stmt) -> tuple[int, list[list[ast.stmt]]]:
    """Give how many branches a statement opens, and the blocks of statements inside it."""
    match node:
        case ast.If() | ast.For() | ast.AsyncFor() | ast.While():
            return 1, [node.body, node.orelse]
        case ast.With() | ast.AsyncWith():
            return 0, [node.body]
        case ast.Try() | ast.TryStar():
            handled = [handler.body for handler in node.handlers]
            return len(handled), [node.body, *handled, node.orelse, node.finalbody]
        case ast.Match():
            return len(node.cases), [case.body for case in node.cases]
        case _:
            return 0, []


def _function(node: ast.FunctionDef | ast.AsyncFunctionDef, prefix: str) -> Function:
    takes = node.args
    arguments = len(takes.posonlyargs) + len(takes.args) + len(takes.kwonlyargs)
    return Function(
        name=prefix + node.name,
        line=node.lineno,
        lines=(node.end_lineno or node.lineno) - node.lineno + 1,
        arguments=arguments + (takes.vararg is not None) + (takes.kwarg is not None),
        complexity=1,
    )


def _has_docstring(body: list[ast.stmt]) -> bool:
    match body:
        case [ast.Expr(value=ast.Constant(value=str())), *_]:
            return True
        case _:
            return False


def _failed(status: Status, problem: str, lines: int) -> Outline:
    return Outline(
        status=status,
        problem=problem,
        lines=lines,
        functions=0,
        classes=0,
        imports=0,
        documented=False,
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]
