"""Named SQL, loaded from files.

A file holds statements, each under a line ``-- name: facet.verb``; further comment lines say why. Parameters are written
``:name``. An engine may override a statement by name in a file of its own (design §16).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\S+)\s*$", re.MULTILINE)


def parse_statements(text: str) -> dict[str, str]:
    """Split a file into its statements by name. Comments and blank lines are left out of the SQL."""
    parts = _NAME.split(text)[1:]
    found: dict[str, str] = {}
    for name, body in zip(parts[::2], parts[1::2], strict=True):
        lines = [line.rstrip() for line in body.splitlines() if not line.lstrip().startswith("--")]
        if name in found:
            message = f"the statement {name} stands twice"
            raise ValueError(message)
        found[name] = "\n".join(line for line in lines if line).removesuffix(";")
    return found


def load_statements(facets: Iterable[str], overrides: str | None = None) -> Mapping[str, str]:
    """The statements of all facets, with those that an engine overrides.

    Args:
        facets: Names of facets; each has a file ``facets/<name>.sql``.
        overrides: Name of a file in ``engines/``, None for none. What it overrides must exist.

    Raises:
        ValueError: A name stands twice, or an override has no statement to override.
    """
    return _load(tuple(facets), overrides)


@cache  # the files do not change, and reading them is a quarter of an open
def _load(facets: tuple[str, ...], overrides: str | None) -> Mapping[str, str]:
    statements: dict[str, str] = {}
    folder = files("tenure.persistence")
    for facet in facets:
        for name, sql in parse_statements((folder / "facets" / f"{facet}.sql").read_text("utf-8")).items():
            if name in statements:
                message = f"the statement {name} stands twice"
                raise ValueError(message)
            statements[name] = sql
    if overrides is not None:
        for name, sql in parse_statements((folder / "engines" / overrides).read_text("utf-8")).items():
            if name not in statements:
                message = f"{overrides} overrides {name}, which no facet has"
                raise ValueError(message)
            statements[name] = sql
    return statements
