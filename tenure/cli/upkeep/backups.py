"""``tenure backup`` and ``tenure restore``: one copy, or a series of them in a folder, of which a restore picks one by a time.

A backup of a series is named by the time at which it was whole. So nothing in it is later than its name.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Generator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import attrs
import click
import trio

from tenure.cli.output import Output, time_of
from tenure.errors import CannotOpen, InvalidInput, NotFound
from tenure.persistence.engines.door import (
    Copy,
)
from tenure.persistence.upkeep.backup import (
    back_up,
    restore as restore_store,
)

_NAME: Final = re.compile(r"\d{8}T\d{6}\.\d{6}Z\.db")
_FORM: Final = "%Y%m%dT%H%M%S.%fZ.db"

MAKING: Final = "making.db"
"""Name of a backup of a series until it is whole."""


@click.option(
    "--every", metavar="SECONDS", type=click.FloatRange(min=1), help="Go on: one each so many seconds, in COPY."
)
@click.option(
    "--keep", metavar="COUNT", type=click.IntRange(min=1), help="With --every, remove older ones than so many."
)
@click.argument("target", type=click.Path(readable=False))
@click.argument("copy", type=click.Path(readable=False))
async def backup(output: Output, target: str, copy: str, *, every: float | None, keep: int | None) -> None:
    """Copy the store TARGET, in use or not, into the new file COPY, checked and complete.

    COPY may not exist. Hosts go on meanwhile. With --every COPY is a folder, into which copies go until this is interrupted
    or one fails; each is named by its time, for ``tenure restore --at``.
    """
    if every is None:
        if keep is not None:
            raise InvalidInput(detail="it goes with --every", field="--keep")
        output.facts("Backup", _made(await back_up(target, copy), target))
        return
    if not math.isfinite(every):
        raise InvalidInput(detail="it is a number of seconds", field="--every")
    while True:
        begun = trio.current_time()
        output.line(_made(await _next(target, Path(copy), keep or math.inf), target))
        await trio.sleep_until(begun + every)


@click.argument("copy", type=click.Path(readable=False))
@click.argument("target", type=click.Path(readable=False))
@click.option("--run-unfinished", is_flag=True, help="Let unfinished runs go on; else their runtimes are held.")
@click.option("--at", metavar="TIME", help="COPY is a folder of `backup --every`: the newest that is not after TIME.")
async def restore(output: Output, copy: str, target: str, *, run_unfinished: bool, at: str | None) -> None:
    """Make the new store TARGET of COPY, checked and complete.

    COPY is a backup, or a database file that a replicator brought back. TARGET may not exist. Fence tokens that were
    minted after the copy was made are stale in the new store. TIME is unix seconds, such as the `committed_at` of a receipt,
    or a time with its offset, such as 2027-01-31T08:00+01:00.
    """
    source = copy if at is None else str(_newest(Path(copy), _bookmark(at)))
    restored = await restore_store(source, target, run_unfinished=run_unfinished)
    facts = _facts(restored) | _not_copied(restored, target)
    output.facts("Restored", facts if at is None else {"copy": source, **facts})


def _made(copy: Copy, target: str) -> dict[str, object]:
    return {name: fact for name, fact in _facts(copy).items() if name != "held"} | _not_copied(copy, target)


def _not_copied(copy: Copy, target: str) -> dict[str, object]:
    """How many attachments the copy names, and in which folder their bytes are looked for: no copy has these."""
    count, folder = copy.rows.get("attachments", 0), f"{target.removeprefix('sqlite:///')}-attachments"
    return {"not_copied": {"attachments": count, "folder": folder} if count else None}


def _facts(copy: Copy) -> dict[str, object]:
    return attrs.asdict(copy)


async def _next(target: str, folder: Path, keep: float) -> Copy:
    """Make the next backup of a series, and remove those that are too many."""
    made = folder / MAKING
    ready(made)
    copy = await back_up(target, made)
    return attrs.evolve(copy, path=str(place(made, keep)))


def ready(made: Path) -> None:
    """Make the folder of a series, and remove what one that was interrupted has left. Raises `CannotOpen`."""
    with _mapped(made):
        made.parent.mkdir(parents=True, exist_ok=True)
        made.unlink(missing_ok=True)  # it never had a name of the series


def place(made: Path, keep: float) -> Path:
    """Name a backup that is whole by the time that it is now, and remove all but the newest `keep`. Raises `CannotOpen`."""
    folder = made.parent
    name = folder / datetime.fromtimestamp(time.time(), UTC).strftime(_FORM)
    with _mapped(name):
        made.rename(name)
        _sync(folder)
        # The clock may have been set back since the others were made: the new one stays, wherever it stands among them.
        others = [each for each in _series(folder) if each != name]
        for old in others[: max(len(others) + 1 - int(min(keep, len(others) + 1)), 0)]:
            old.unlink()
    return name


@contextmanager
def _mapped(path: Path) -> Generator[None]:
    try:
        yield
    except OSError as exc:
        raise CannotOpen(path=str(exc.filename or path), detail=str(exc.strerror or exc)) from exc


def _series(folder: Path) -> list[Path]:
    """The backups of a series, the oldest first."""
    return sorted(each for each in folder.iterdir() if _NAME.fullmatch(each.name))


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _newest(folder: Path, at: datetime) -> Path:
    with _mapped(folder):
        found = [each for each in _series(folder) if each.name <= at.strftime(_FORM)]
    if not found:
        raise NotFound(what="backup at or before", key=at.isoformat(), advice="give a later time")
    return found[-1]


def _bookmark(text: str) -> datetime:
    try:
        at = datetime.fromtimestamp(float(text), UTC) if _is_number(text) else time_of(text)
        in_utc = at.astimezone(UTC)
    except (ValueError, OverflowError, OSError) as exc:
        raise InvalidInput(detail="it is unix seconds, or a time such as 2027-01-31T08:00+01:00", field="--at") from exc
    if at.tzinfo is None:
        raise InvalidInput(detail="a time needs its offset, such as 2027-01-31T08:00+01:00", field="--at")
    return in_utc


def _is_number(text: str) -> bool:
    return re.fullmatch(r"\d+(\.\d+)?", text) is not None
