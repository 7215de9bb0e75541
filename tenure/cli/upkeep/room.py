"""``tenure prune`` and ``shrink``: let go of what has ended long ago, and give room back, host running or not."""

from __future__ import annotations

import attrs
import click

from tenure.cli.exits import REFUSED
from tenure.cli.output import Output
from tenure.cli.upkeep.keys import seams
from tenure.persistence.opening import open_store
from tenure.persistence.upkeep.look import look_into

_DAY_S = 86_400.0
_MIB = 1024 * 1024


@click.option("--older-than", "days", type=float, required=True, metavar="DAYS", help="Only what ended before.")
@click.option("--dead-letters", is_flag=True, help="Abandoned inputs and refused sends too.")
@click.option(
    "--kind", "kinds", multiple=True, metavar="KIND", help="Only of runtimes of this kind; may be given again."
)
@click.argument("target", type=click.Path(readable=False))
async def prune(output: Output, target: str, days: float, kinds: tuple[str, ...], *, dead_letters: bool) -> None:
    """Delete from the store TARGET what has ended more than DAYS days ago.

    Runs go with their receipts, steps and inputs, conversations keep their messages, idempotency keys stay known for 30 days
    longer. The file does not shrink: its room is used again.
    """
    await _prune(output, target, days, dead_letters=dead_letters, kinds=kinds or None)


@click.option("--older-than", "days", type=float, required=True, metavar="DAYS", help="Only what ended before.")
@click.option("--dead-letters", is_flag=True, help="Abandoned inputs and refused sends too.")
@click.argument("target", type=click.Path(readable=False))
async def vacuum(output: Output, target: str, days: float, *, dead_letters: bool) -> None:
    """The name that ``prune`` had; it goes with the next release."""
    await _prune(output, target, days, dead_letters=dead_letters, kinds=None)


async def _prune(
    output: Output, target: str, days: float, *, dead_letters: bool, kinds: tuple[str, ...] | None
) -> None:
    async with look_into(target, seams=seams()):
        pass  # nothing is made, and nothing migrated
    async with open_store(target, seams=seams()) as store:
        pruned = await store.prune(days * _DAY_S, dead_letters=dead_letters, kinds=kinds)
        output.facts("Pruned", attrs.asdict(pruned))


@click.option("--most-mib", type=click.IntRange(min=1), metavar="MIB", help="Also where it is larger than 256 MiB.")
@click.argument("target", type=click.Path(readable=False))
async def shrink(output: Output, target: str, *, most_mib: int | None) -> int | None:
    """Give what is free in the file of the store TARGET back to the disk; commits wait meanwhile.

    Ends with 1 where it was not written anew: it is too large, there is no room, or another process writes.
    """
    async with look_into(target, seams=seams()):
        pass
    async with open_store(target, seams=seams()) as store:
        shrunk = await store.shrink(most_bytes=None if most_mib is None else most_mib * _MIB)
    output.facts("Shrunk" if shrunk.written else "Not shrunk", attrs.asdict(shrunk))
    return None if shrunk.written else REFUSED
