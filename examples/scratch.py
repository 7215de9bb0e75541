"""What the shorter examples share: where their store is."""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import cast


def parser(docstring: str | None) -> argparse.ArgumentParser:
    """A command line with `--db`, described by the first line of an example's docstring."""
    made = argparse.ArgumentParser(description=(docstring or "").partition("\n")[0])
    made.add_argument("--db", type=Path, metavar="FILE", help="the store (default: in a fresh folder)")
    return made


def database(given: argparse.Namespace) -> Path:
    """The store that was asked for, or one in a fresh folder; says which."""
    asked = cast("Path | None", given.db)
    path = (asked or Path(tempfile.mkdtemp(prefix="tenure-")) / "agents.db").resolve()
    if not path.parent.is_dir():
        raise SystemExit(f"the folder of {asked} does not exist")
    print(f"folder: {path.parent}")
    return path
