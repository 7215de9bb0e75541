"""``tenure metrics``: numbers about a store for Prometheus, from outside of its hosts."""

from __future__ import annotations

from functools import partial

import click

from tenure.cli.output import Output
from tenure.cli.upkeep.keys import seams
from tenure.persistence.upkeep.look import look_into
from tenure.persistence.upkeep.numbers import read_numbers
from tenure.supervisor.metrics import families_of_store
from tenure.supervisor.operators.exposition import exposition


@click.argument("target", type=click.Path(readable=False))
async def metrics(output: Output, target: str) -> None:
    """Print numbers about the store TARGET as Prometheus reads them: what waits, what is held, which hosts, how large.

    It walks every unfinished input and every runtime. What only a host knows, that host says itself (docs/metrics.md).
    """
    async with look_into(target, seams=seams()) as look:
        numbers = await look.read(partial(read_numbers, held=True))
        families = families_of_store(numbers, look.stored_bytes(), look.free_bytes(), look.now())
    if output.json:
        values = [
            {"name": family.name, "labels": dict(zip(family.labels, labels, strict=True)), "value": value}
            for family in families
            for labels, value in family.values.items()
        ]
        output.document(values)
    else:
        output.text(exposition(families))
