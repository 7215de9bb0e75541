"""``tenure why``, ``tail`` and ``output``: what keeps a runtime from running, what it does and says; read only."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext, suppress
from functools import partial
from typing import Final

import attrs
import click
import trio

from tenure.cli.upkeep.keys import seams
from tenure.errors import Error
from tenure.persistence.facets.output import reads
from tenure.persistence.model.output import OutputEntry, Place, check_channel, is_wanted, place_of_position
from tenure.persistence.model.values import LogicalRuntimeId, check_runtime_id
from tenure.persistence.upkeep.look import Look, look_into
from tenure.persistence.upkeep.one_runtime.tail import Tail
from tenure.persistence.upkeep.one_runtime.why import explain
from tenure.supervisor.output.following import name_of
from tenure.supervisor.visiting import visit

from .output import Output

FOLLOW_S: Final = 0.5
"""Seconds between two looks of ``tenure tail --follow``."""

LINES: Final = 10


@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime")
async def why(output: Output, target: str, runtime: str) -> None:
    """Say why RUNTIME of the store TARGET does not run: as it is stored, and what its host alone knows where one lives."""
    async with look_into(target, seams=seams()) as look:
        name = check_runtime_id(runtime)
        told = await look.read(partial(explain, runtime_id=name, now=look.now(), no_host=look.alone))
    if told["owner"] is not None and told["unfinished_inputs"]:
        with suppress(Error):  # what is on disk stands where the store cannot be opened as a host
            async with visit(target, seams=seams()) as supervisor:
                told = await supervisor.why(name)
    output.facts("Why", told)


@click.option("--lines", "-n", default=LINES, show_default=True, type=click.IntRange(min=0), help="Entries at first.")
@click.option("--follow", "-f", is_flag=True, help="Go on printing what lands, until interrupted.")
@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime")
async def tail(output: Output, target: str, runtime: str, *, lines: int, follow: bool) -> None:
    """Print the newest receipts of RUNTIME, and its resets, rewrites and clears; with --json one object a line."""
    newest = Tail(check_runtime_id(runtime))
    async with look_into(target, seams=seams()) as look:
        found = await look.read(partial(newest.newest, count=lines))
        while True:
            for entry in found:
                output.line(attrs.asdict(entry))
            if not follow:
                return
            await trio.sleep(FOLLOW_S)
            found = await look.read(newest.more)


@click.option("--follow", "-f", is_flag=True, help="Go on printing what comes, until the runtime is destroyed.")
@click.option("--after", metavar="POSITION", help="Begin after this position; else with the oldest that is there.")
@click.option("--channel", help="Only what is emitted to this channel.")
@click.option("--events", is_flag=True, help="Also what became of inputs and runs, where the behaviour has events.")
@click.argument("target", type=click.Path(readable=False))
@click.argument("runtime")
async def output(
    output: Output, target: str, runtime: str, *, follow: bool, after: str | None, channel: str | None, events: bool
) -> None:
    """Print what RUNTIME of the store TARGET emits; with --json one object a line."""
    name, said = check_runtime_id(runtime), None if channel is None else check_channel(channel)
    place = None if after is None else place_of_position(after)
    wanted = partial(is_wanted, channel=said, events=events)
    async with look_into(target, seams=seams()) as look:
        with look.listening(name_of(name)) if follow else nullcontext():
            await _print_output(output, look, name, place, wanted, follow=follow)


async def _print_output(
    output: Output,
    look: Look,
    name: LogicalRuntimeId,
    place: Place | None,
    wanted: Callable[[OutputEntry], bool],
    *,
    follow: bool,
) -> None:
    while True:
        page = await look.read(partial(reads.page, runtime_id=name, after=place))
        for entry in page.entries:
            place = place_of_position(entry.position)
            if wanted(entry):
                output.line(attrs.asdict(entry))
        if page.whole:
            if not follow or page.over:
                return
            await look.wait_stirred()
