"""``tenure queue``: what is queued, and where it stands; read only, host running or not."""

from __future__ import annotations

from functools import partial
from typing import Final

import attrs
import click

from tenure.cli.upkeep.keys import seams
from tenure.persistence.commits.rows import PAGE
from tenure.persistence.facets.queue.standing import list_standing
from tenure.persistence.upkeep.look import look_into

from .output import Output

_COLUMNS: Final = (
    "session_id",
    "batch_id",
    "standing",
    "owner",
    "claimed_since",
    "waits_until",
    "enqueued_at",
    "attempts",
    "bytes",
    "error",
)


@click.argument("target", type=click.Path(readable=False))
@click.argument("session", required=False)
async def queue(output: Output, target: str, session: str | None) -> None:
    """List the queued work of SESSION, or of the whole store TARGET, in the order of the queue, without its content.

    ready: the next claim may have it. claimed: by a host that lives. left: by one that has gone. delayed, retrying: until a
    time. dead: its attempts are used up, and it waits for a person.
    """
    lines: list[dict[str, object]] = []
    async with look_into(target, seams=seams()) as look:
        after: int | None = 0
        while after is not None:
            read = partial(list_standing, session_id=session, after=after, count=PAGE)
            after, page = await look.read(read)
            lines += [attrs.asdict(each) for each in page]
    if not output.json:
        for line in lines:  # the other lines of an error are for JSON
            line["error"] = str(line["error"] or "").partition("\n")[0]
    output.rows("Queued work", _COLUMNS, lines)
