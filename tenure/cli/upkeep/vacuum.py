"""``tenure vacuum``: let go of what has ended long ago, host running or not."""

from __future__ import annotations

import attrs
import click

from tenure.cli.output import Output
from tenure.persistence.store import open_store
from tenure.persistence.upkeep.look import look_into

_DAY_S = 86_400.0


@click.option("--older-than", "days", type=float, required=True, metavar="DAYS", help="Only what ended before.")
@click.option("--dead-letters", is_flag=True, help="Abandoned inputs and refused sends too.")
@click.argument("target", type=click.Path())
async def vacuum(output: Output, target: str, days: float, *, dead_letters: bool) -> None:
    """Delete from the store TARGET what has ended more than DAYS days ago.

    Runs go with their receipts, steps and inputs, conversations keep their messages, idempotency keys stay known for 30 days
    longer. The file does not shrink: its room is used again.
    """
    async with look_into(target):
        pass  # nothing is made, and nothing migrated
    async with open_store(target) as store:
        output.facts("Pruned", attrs.asdict(await store.prune(days * _DAY_S, dead_letters=dead_letters)))
