"""The public names are exactly those of public_names.txt, in both directions."""

from __future__ import annotations

import ast
import importlib
from pathlib import Path

import pytest

from tests.architecture.tree import ROOT

FACADES = ("tenure", "tenure.asyncio", "tenure.sync", "tenure.testing")
ADAPTERS = (
    "tenure.adapters.a2a",
    "tenure.adapters.adk",
    "tenure.adapters.langgraph",
    "tenure.adapters.mcp",
    "tenure.adapters.openai_agents",
    "tenure.adapters.pydantic_ai",
    "tenure.adapters.webhooks",
)
PUBLIC = (*FACADES, "tenure.errors", *ADAPTERS)
LIST = Path(__file__).with_name("public_names.txt")


def source(module: str) -> ast.Module:
    """The file of a public module; an empty one for a module that is not written yet."""
    stem = ROOT.joinpath(*module.split("."))
    for path in (stem.with_suffix(".py"), stem / "__init__.py"):
        if path.is_file():
            return ast.parse(path.read_text(encoding="utf-8"))
    return ast.parse("")


def public_names(tree: ast.Module) -> set[str]:
    """What a module defines or gives on as `X as X`; a plain import stays its own affair."""
    names: set[str] = set()
    tried = [node for outer in tree.body if isinstance(outer, ast.Try) for node in outer.body]  # what an extra brings
    for node in [*tree.body, *tried]:
        match node:
            case ast.ClassDef() | ast.FunctionDef() | ast.AsyncFunctionDef():
                names.add(node.name)
            case ast.Import() | ast.ImportFrom():
                names |= {alias.name for alias in node.names if alias.name == alias.asname}
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                names.add(name)
            case _:
                pass
    return {name for name in names if not name.startswith("_")}


def test_the_public_names_are_the_listed_ones() -> None:
    listed = LIST.read_text(encoding="utf-8").split()
    found = [f"{module}.{name}" for module in PUBLIC for name in public_names(source(module))]

    assert sorted(found) == listed, f"what is public has changed: mend {LIST.name} or the module"


@pytest.mark.parametrize("module", FACADES)
def test_help_lists_what_is_public_and_nothing_else(module: str) -> None:
    assert importlib.import_module(module).__all__ == sorted(public_names(source(module)))


def test_every_listed_name_can_be_had() -> None:
    for line in LIST.read_text(encoding="utf-8").split():
        module, _, name = line.rpartition(".")
        if module in ADAPTERS:  # their frameworks are not there; tests/adapters imports them
            continue

        assert hasattr(importlib.import_module(module), name), line


@pytest.mark.parametrize("module", FACADES)
def test_a_facade_gives_on_every_name_that_it_imports(module: str) -> None:
    plain = [
        f"line {node.lineno}: {alias.name}"
        for node in source(module).body
        if isinstance(node, ast.Import | ast.ImportFrom)
        and not (isinstance(node, ast.ImportFrom) and node.module == "__future__")
        for alias in node.names
        if alias.name != alias.asname and not (alias.asname or "").startswith("_")
    ]

    assert not plain, "write `X as X`, or give what is not public an underscore"
