"""``tenure rekey``: everything that is stored is sealed with the key of today."""

from __future__ import annotations

import attrs
import click

from tenure.cli.exits import REFUSED
from tenure.cli.output import Output
from tenure.cli.upkeep.keys import seams
from tenure.persistence.opening import open_store
from tenure.persistence.upkeep.look import look_into


@click.argument("target", type=click.Path(readable=False))
async def rekey(output: Output, target: str) -> int | None:
    """Seal what is stored in TARGET with the first key that is given, in slices, beside hosts that run.

    Give the new key to every host first. A store that was in the clear is sealed by this; no host may have it open then. Ends
    with 1 where something still has another key, cannot be read, or is left in the file in the clear: call it again.
    """
    async with look_into(target, seams=seams()):
        pass  # nothing is made, and nothing migrated
    async with open_store(target, seams=seams()) as store:
        rekeyed = await store.rekey()
    whole = rekeyed.done and not rekeyed.unreadable and rekeyed.cleared is not False
    output.facts("Rekeyed" if whole else "Not rekeyed", attrs.asdict(rekeyed))
    return None if whole else REFUSED
