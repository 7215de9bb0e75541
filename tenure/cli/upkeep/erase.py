"""``tenure erase``: everything that a destroyed runtime has ever held goes."""

from __future__ import annotations

from functools import partial

import click

from tenure.cli.exits import REFUSED
from tenure.cli.output import Output
from tenure.cli.upkeep.keys import seams
from tenure.persistence.contracts.erasing import Erasure, count_content
from tenure.persistence.model.values import check_runtime_id
from tenure.persistence.opening import open_store
from tenure.persistence.upkeep.look import look_into


def shown(erasure: Erasure) -> dict[str, object]:
    """An erasure, as commands print it."""
    return {
        "runtime_id": erasure.runtime_id,
        "gone": erasure.gone,
        "pending": list(erasure.pending),
        "stays": list(erasure.stays),
        "counts": dict(erasure.counts),
    }


@click.option("--peers", is_flag=True, help="What other runtimes have from it too.")
@click.option("--yes", is_flag=True, help="Yes, for ever.")
@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime")
async def erase(output: Output, target: str, runtime: str, *, peers: bool, yes: bool) -> int | None:
    """Erase everything that the destroyed RUNTIME has ever held; without --yes, only say how much that is.

    Ends with 1 where not all of it is gone yet: the erasure ends by itself, when the store is next opened.
    """
    async with look_into(target, seams=seams()) as look:  # nothing is made, and nothing migrated
        if not yes:
            counts = await look.read(partial(count_content, runtime_id=check_runtime_id(runtime), peers=peers))
            output.facts("Would erase", {"runtime_id": runtime, "counts": counts, "say": "--yes"})
            return None
    async with open_store(target, seams=seams()) as store:
        erasure = await store.erase(runtime, peers=peers)
    output.facts("Erased", shown(erasure))
    return None if erasure.gone else REFUSED
