"""``tenure backup`` and ``tenure restore``."""

from __future__ import annotations

import attrs
import click

from tenure.cli.output import Output
from tenure.persistence.engines.door import (
    Copy,
)
from tenure.persistence.upkeep.backup import (
    back_up,
    restore as restore_store,
)


@click.argument("target", type=click.Path())
@click.argument("copy", type=click.Path())
async def backup(output: Output, target: str, copy: str) -> None:
    """Copy the store TARGET, in use or not, into the new file COPY, checked and complete.

    COPY may not exist. Hosts go on meanwhile.
    """
    output.facts("Backup", {name: fact for name, fact in _facts(await back_up(target, copy)).items() if name != "held"})


@click.argument("copy", type=click.Path())
@click.argument("target", type=click.Path())
@click.option("--run-unfinished", is_flag=True, help="Let unfinished runs go on; else their runtimes are held.")
async def restore(output: Output, copy: str, target: str, *, run_unfinished: bool) -> None:
    """Make the new store TARGET of COPY, checked and complete.

    COPY is a backup, or a database file that a replicator brought back. TARGET may not exist. Fence tokens that were
    minted after the copy was made are stale in the new store.
    """
    output.facts("Restored", _facts(await restore_store(copy, target, run_unfinished=run_unfinished)))


def _facts(copy: Copy) -> dict[str, object]:
    return attrs.asdict(copy)
