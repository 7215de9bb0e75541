"""The checkout as the architecture tests see it: modules, their names and their imports."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import attrs

ROOT = Path(__file__).resolve().parents[2]
FLOORS = ("persistence", "actors", "supervisor")
"""From the ground up; the facade stands above them and `tenure.errors` below."""

HOUSE = (*FLOORS, "tenure")
"""What installs: `tenure`, and each floor as `tenure.<floor>`."""

AROUND = ("proof", "tests", "examples", "benchmarks")
"""What uses the package and does not install."""


@attrs.frozen(kw_only=True)
class Import:
    """One imported name: `import a.b` and `from a import b` both have the target `a.b`."""

    line: int
    target: str
    source: str
    """The module named after `from`, or the target of a plain import; absolute."""

    level: int
    """The leading dots."""


def python_files(*folders: str, root: Path = ROOT) -> list[Path]:
    """Every Python file of these folders, relative to the checkout and each one once."""
    found: list[Path] = []
    for folder in folders:
        # rglob does not walk through the links in tenure/, so no file comes twice.
        found += (path.relative_to(root) for path in sorted((root / folder).rglob("*.py")))
    return [path for path in found if "__pycache__" not in path.parts]


def module_name(path: Path) -> str:
    """The name under which a file is imported; a floor's files through its link in tenure."""
    parts = path.with_suffix("").parts
    if parts[-1] == "__init__":
        parts = parts[:-1]
    return ".".join(("tenure", *parts) if parts[0] in FLOORS else parts)


@cache
def imports(path: Path, text: str) -> tuple[Import, ...]:
    """Every import of a file, wherever it stands, also in functions and under TYPE_CHECKING."""
    return tuple(_imports(path, text))


def _imports(path: Path, text: str) -> Iterator[Import]:
    # Single-dot imports are resolved from the package that the file stands in.
    package = module_name(path.parent / "__init__.py").split(".")
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(line=node.lineno, target=alias.name, source=alias.name, level=0)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            source = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                target = f"{source}.{alias.name}"
                yield Import(line=node.lineno, target=target, source=source, level=node.level)


def within(name: str, package: str) -> bool:
    """Whether a dotted name is this package or stands in it."""
    return name == package or name.startswith(f"{package}.")


def packages(root: Path = ROOT) -> dict[str, str]:
    """Every package of the house, by import name, with its folder."""
    return {
        module_name(path): path.parent.as_posix()
        for path in python_files(*HOUSE, root=root)
        if path.name == "__init__.py"
    }
