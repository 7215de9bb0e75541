"""``tenure steps`` and ``tenure runs``: what runs have recorded, and which are not finished; read only."""

from __future__ import annotations

from functools import partial
from typing import Final

import attrs
import click

from tenure.cli.upkeep.keys import seams
from tenure.persistence.commits.rows import PAGE
from tenure.persistence.model.values import RunId, check_runtime_id
from tenure.persistence.upkeep.look import look_into
from tenure.persistence.upkeep.record import (
    entries_after,
    find_chain,
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
    "goes_on_after",
)


@click.option("--run", "run_id", help="Id of another run than the current one; the newest where there is none.")
@click.option("--content", is_flag=True, help="Results and errors too.")
@click.option("--chain", is_flag=True, help="Before them those of the runs that it goes on after, by run.again.")
@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime")
async def steps(output: Output, target: str, runtime: str, *, run_id: str | None, content: bool, chain: bool) -> None:
    """List what the run of RUNTIME in the store TARGET has recorded, without its content unless it is asked for."""
    lines: list[dict[str, object]] = []
    async with look_into(target, seams=seams()) as look:
        most = None if chain else 2
        runs = await look.read(partial(find_chain, runtime_id=check_runtime_id(runtime), run_id=run_id, most=most))
        for key, name in runs if chain else runs[-1:]:
            after, more = 0, True
            while more:
                read = partial(entries_after, run=key, run_id=name, after=after, content=content)
                after, page = await look.read(read)
                lines += [attrs.asdict(each) for each in page]
                more = len(page) == PAGE
    if not content:
        for line in lines:
            for column in _CONTENT:
                del line[column]
    columns = (*(("run_id",) if chain else ()), *_ENTRIES, *(_CONTENT if content else ()))
    output.rows(_title([name for _, name in runs], chain=chain), columns, lines)


def _title(runs: list[RunId], *, chain: bool) -> str:
    if not runs:
        return "Steps"
    if chain:
        return f"Steps of run {runs[-1]} and of the {len(runs) - 1} that it goes on after"
    return f"Steps of run {runs[-1]}" + (f", which goes on after run {runs[-2]}" if len(runs) > 1 else "")


@click.option("--behaviour-version", help="Only those of which this version of the behaviour has recorded something.")
@click.argument("target", type=click.Path(readable=False))
async def runs(output: Output, target: str, *, behaviour_version: str | None) -> None:
    """List the runs of the store TARGET that have begun and have not ended, in the order of their begin."""
    lines: list[dict[str, object]] = []
    async with look_into(target, seams=seams()) as look:
        after, more = 0, True
        while more:
            after, page = await look.read(partial(unfinished_after, after=after))
            lines += [
                attrs.asdict(each) for each in page if behaviour_version is None or behaviour_version in each.versions
            ]
            more = len(page) == PAGE
    output.rows("Unfinished runs", _RUNS, lines)
