"""``tenure backup`` and ``tenure restore``."""

from __future__ import annotations

import attrs
import click

from tenure.persistence.engines.sqlite.backup import Copy
from tenure.persistence.upkeep.backup import (
    back_up,
    restore as restore_store,
)

from .output import Output


@click.argument("file", type=click.Path())
@click.argument("target", type=click.Path())
async def backup(output: Output, file: str, target: str) -> None:
    """Copy the store FILE, in use or not, into the new file TARGET, checked and complete.

    TARGET may not exist. Hosts go on meanwhile.
    """
    output.facts("Backup", _facts(await back_up(file, target)))


@click.argument("backup", type=click.Path())
@click.argument("file", type=click.Path())
async def restore(output: Output, backup: str, file: str) -> None:
    """Make the new store FILE of the file BACKUP, checked and complete.

    FILE may not exist. Fence tokens that were minted after the backup are stale in the new store.
    """
    output.facts("Restored", _facts(await restore_store(backup, file)))


def _facts(copy: Copy) -> dict[str, object]:
    return attrs.asdict(copy)
