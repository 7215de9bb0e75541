"""``tenure health``: whether the hosts of a store do their work, as another process sees it; for probes and for people."""

from __future__ import annotations

from functools import partial
from typing import Final

import click
import trio

from tenure.cli.exits import DONE, REFUSED
from tenure.cli.output import Output
from tenure.cli.upkeep.keys import seams
from tenure.persistence.upkeep.listing import HostLine, kinds_without_hosts, list_hosts
from tenure.persistence.upkeep.look import Look, look_into
from tenure.persistence.writing.host_row import other_hosts
from tenure.supervisor.operators.health import MIN_FREE_BYTES

NO_HOST: Final = 0
"""Key of no host's row: a look is none, and sees every host as another one."""


@click.option(
    "--wait",
    "wait_s",
    type=click.FloatRange(min=0),
    default=15.0,
    show_default=True,
    help="Seconds to wait for a sign.",
)
@click.option(
    "--min-free-bytes",
    type=click.IntRange(min=1),
    default=MIN_FREE_BYTES,
    show_default=True,
    help="Fewer free bytes on the disk of the store are a problem.",
)
@click.argument("target", type=click.Path(readable=False))
async def health(output: Output, target: str, *, wait_s: float, min_free_bytes: int) -> int:
    """Say whether the hosts of the store TARGET write, and what is wrong; exit code 0 where nothing is, else 1.

    A host that lives commits at least once in its `Limits.renew_s` (5 seconds, unless it was given another number), so each is
    waited for until it does.
    """
    async with look_into(target, seams=seams()) as look:
        known = {host.host: host for host in await _hosts(look)}
        silent: set[int] = set() if look.alone else await _silent(look, wait_s)
        open_hosts = (
            [] if look.alone else [each for each in known.values() if each.closed_at is None and each.lost_at is None]
        )
        free_bytes = look.free_bytes()
        unserved = await look.read(kinds_without_hosts) if open_hosts else {}
    problems: list[str] = []
    if not open_hosts:
        problems.append("no host has it open")
    problems += [
        f"host {each.incarnation} has committed nothing for {wait_s:g} s" for each in open_hosts if each.host in silent
    ]
    if free_bytes is not None and free_bytes < min_free_bytes:
        problems.append(f"disk nearly full: {free_bytes} bytes are free, and {min_free_bytes} should be")
    hosts = [
        {
            **{name: getattr(each, name) for name in ("incarnation", "host_name", "pid", "runtimes")},
            "writes": each.host not in silent,
        }
        for each in open_hosts
    ]
    output.facts(
        "Health",
        {
            "ready": not problems,
            "problems": problems,
            "free_bytes": free_bytes,
            "hosts": hosts,
            "kinds_without_hosts": unserved,
        },
    )
    return REFUSED if problems else DONE


async def _hosts(look: Look) -> list[HostLine]:
    found: list[HostLine] = []
    while page := await look.read(partial(list_hosts, after=found[-1].host if found else -1)):
        found += page
    return found


async def _silent(look: Look, wait_s: float) -> set[int]:
    """The living hosts of now that commit nothing for so long."""
    before = {each.host: each.counter for each in (await look.read(partial(other_hosts, host=NO_HOST))).living}
    with trio.move_on_after(wait_s):
        while before:
            await look.wait_stirred()
            now = {each.host: each.counter for each in (await look.read(partial(other_hosts, host=NO_HOST))).living}
            before = {host: counter for host, counter in before.items() if now.get(host) == counter}
    return set(before)
