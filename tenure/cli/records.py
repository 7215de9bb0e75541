"""``tenure steps`` and ``tenure runs``: what runs have recorded, and which are not finished; read only."""

from __future__ import annotations

from functools import partial
from typing import Final

import attrs
import click

from tenure.persistence.model.values import check_runtime_id
from tenure.persistence.upkeep.look import look_into
from tenure.persistence.upkeep.record import (
    PAGE,
    entries_after,
    find_run,
    unfinished_after,
)

from .output import Output

_ENTRIES: Final = (
    "place",
    "kind",
    "name",
    "repeat",
    "status",
    "attempt",
    "version",
    "arguments",
    "started_at",
    "ended_at",
)
_CONTENT: Final = ("result", "error")
_RUNS: Final = (
    "runtime_id",
    "kind",
    "versions",
    "failed_attempts",
    "started_at",
    "retry_at",
    "held",
    "last_place",
    "last_name",
    "last_at",
    "run_id",
)


@click.option("--run", "run_id", help="Id of another run than the current one; the newest where there is none.")
@click.option("--content", is_flag=True, help="Results and errors too.")
@click.argument("target", type=click.Path())
@click.argument("runtime")
async def steps(output: Output, target: str, runtime: str, *, run_id: str | None, content: bool) -> None:
    """List what the run of RUNTIME in the store TARGET has recorded, without its content unless it is asked for."""
    lines: list[dict[str, object]] = []
    async with look_into(target) as look:
        run = await look.read(partial(find_run, runtime_id=check_runtime_id(runtime), run_id=run_id))
        after, more = 0, run is not None
        while run is not None and more:
            read = partial(entries_after, run=run[0], run_id=run[1], after=after, content=content)
            after, page = await look.read(read)
            lines += [attrs.asdict(each) for each in page]
            more = len(page) == PAGE
    if not content:
        for line in lines:
            for name in _CONTENT:
                del line[name]
    output.rows(
        "Steps" if run is None else f"Steps of run {run[1]}", (*_ENTRIES, *(_CONTENT if content else ())), lines
    )


@click.option("--behaviour-version", help="Only those of which this version of the behaviour has recorded something.")
@click.argument("target", type=click.Path())
async def runs(output: Output, target: str, *, behaviour_version: str | None) -> None:
    """List the runs of the store TARGET that have begun and have not ended, in the order of their begin."""
    lines: list[dict[str, object]] = []
    async with look_into(target) as look:
        after, more = 0, True
        while more:
            after, page = await look.read(partial(unfinished_after, after=after))
            lines += [
                attrs.asdict(each) for each in page if behaviour_version is None or behaviour_version in each.versions
            ]
            more = len(page) == PAGE
    output.rows("Unfinished runs", _RUNS, lines)
