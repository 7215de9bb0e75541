"""``tenure cut-log``: go on without what a damaged log holds after the damage."""

from __future__ import annotations

import attrs
import click

from tenure.cli.output import Output
from tenure.persistence.upkeep.cut_log import cut_log as cut_damaged_log


@click.option("--yes", is_flag=True, required=True, help="Lose what was written after the damage.")
@click.argument("target", type=click.Path(readable=False))
async def cut_log(output: Output, target: str, *, yes: bool) -> None:  # noqa: ARG001 - click asks for it
    """Cut the log of the store TARGET off where it is damaged, and raise the fence tokens.

    For a store that no host has open and that says its log is damaged. What was acknowledged after the damage is lost: a
    backup may have more. Copy the files away before. A log that is not damaged stays as it is.
    """
    done = await cut_damaged_log(target)
    output.facts("Cut" if done.cut else "Not damaged", attrs.asdict(done))
