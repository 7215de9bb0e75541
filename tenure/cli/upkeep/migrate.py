"""``tenure migrate --print``: the SQL of the tables, for who may make some where the host may not."""

from __future__ import annotations

import click

from tenure.cli.output import Output
from tenure.persistence.engines.choice import door_to


@click.option("--print", "prints", is_flag=True, required=True, help="Print it, and touch nothing.")
@click.argument("target")
async def migrate(output: Output, target: str, *, prints: bool) -> None:  # noqa: ARG001 - click asks for it
    """Print the SQL that makes the tables of a store on the server TARGET, which is not connected to.

    A host runs it itself where its role may; where it may not, another one runs it once, as the role of the hosts or
    with grants to it.
    """
    output.text(door_to(target).tables())
