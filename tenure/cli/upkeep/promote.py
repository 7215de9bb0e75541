"""``tenure promote``: a store moves between a file and a server."""

from __future__ import annotations

import attrs
import click

from tenure.cli.output import Output
from tenure.persistence.upkeep.promoting.promote import Promotion, promote as promote_store


@click.argument("source", type=click.Path(readable=False))
@click.argument("target", type=click.Path(readable=False))
async def promote(output: Output, source: str, target: str) -> None:
    """Move the store SOURCE to TARGET, a file or the URL of a server, and close SOURCE for good.

    No host may have SOURCE open, and nothing may be at TARGET. Both are proven equal before SOURCE is closed. Where this ends
    in the middle, run it again: until then SOURCE is open, or neither is. No key is needed for a store that is sealed.
    """
    output.facts("Promoted", _facts(await promote_store(source, target)))


def _facts(promotion: Promotion) -> dict[str, object]:
    facts = attrs.asdict(promotion)
    return {**facts, "rows": {table: count for table, count in promotion.rows.items() if count}}
