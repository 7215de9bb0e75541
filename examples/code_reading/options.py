"""The command line of `agent_host.py`."""

from __future__ import annotations

import argparse
import sysconfig
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import cast, final

import attrs


@final
@attrs.frozen(slots=True, kw_only=True)
class Options:
    """What the command line asks for."""

    source: Path
    db: Path
    report: Path
    agents: int | None
    limit: int | None
    kill_after: int | None


def read_options(arguments: Sequence[str] | None = None) -> Options:
    """Read the command line; a mistake in it ends the process with code 2 and one clear line."""
    parser = argparse.ArgumentParser(description="Agents read source code; kill the host, lose nothing.")
    add = parser.add_argument
    add("--source", type=_folder, metavar="DIR", help="what to read (default: standard library)")
    add("--db", type=_file_to_be, metavar="FILE", help="the store (default: in a fresh folder)")
    add("--report", type=_file_to_be, metavar="FILE", help="where to write (default: beside it)")
    add("--agents", type=_count, metavar="N", help="at most N agents, the first by name")
    add("--limit", type=_count, metavar="N", help="at most N files, the first by path")
    add("--kill-after", type=_count, metavar="N", help="kill this process after N commits")
    given = parser.parse_args(arguments)
    source = cast("Path | None", given.source)
    db = cast("Path | None", given.db)
    report = cast("Path | None", given.report)
    if db is not None and db == report:
        parser.error("--db and --report are the same file")
    db = db or Path(tempfile.mkdtemp(prefix="tenure-")) / "agents.db"
    return Options(
        source=source or Path(sysconfig.get_path("stdlib")),
        db=db,
        report=report or db.with_suffix(".report.md"),
        agents=cast("int | None", given.agents),
        limit=cast("int | None", given.limit),
        kill_after=cast("int | None", given.kill_after),
    )


def _folder(text: str) -> Path:
    path = Path(text).resolve()
    if not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is not a folder")
    return path


def _file_to_be(text: str) -> Path:
    path = Path(text).resolve()
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text} is a folder")
    if not path.parent.is_dir():
        raise argparse.ArgumentTypeError(f"the folder of {text} does not exist")
    return path


def _count(text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a whole number from 1")
    return number
