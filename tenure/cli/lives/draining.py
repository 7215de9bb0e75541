"""``tenure drain`` and ``undrain``: have a host give its runtimes back, and take some again."""

from __future__ import annotations

from functools import partial
from typing import Final

import click
import trio

from tenure.cli.exits import REFUSED
from tenure.cli.output import Output
from tenure.cli.upkeep.keys import seams
from tenure.errors import InvalidInput, NotFound
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.ownership.draining import AskDrain, Drain
from tenure.persistence.store import Store
from tenure.persistence.upkeep.listing import HostLine, list_hosts
from tenure.supervisor.visiting import visit

ENDS: Final = frozenset({None, Drain.ENDED.value})
"""What the row of a host says that no longer drains, or is asked to end that."""

LOOK_S: Final = 0.1
"""Seconds between two looks at what has become of it."""


@click.option("--no-wait", is_flag=True, help="Only ask; `tenure hosts` says how far it is.")
@click.argument("target", type=click.Path(readable=False))
@click.argument("host", required=False)
async def drain(output: Output, target: str, host: str | None, *, no_wait: bool) -> int | None:
    """Have HOST of the store TARGET give its runtimes back and take none: a line of `tenure hosts`, or how it begins.

    Where one host alone is open, HOST may be left out. It stays open, and others take over what has work. Waits until nothing
    is owned by it any more; interrupted, it goes on all the same. Exit code 1 where an undrain has ended it meanwhile.
    """
    found = await _ask(output, target, host, Drain.ASKED, wait=not no_wait)
    return REFUSED if found is not None and found.drain in ENDS else None


@click.option("--no-wait", is_flag=True, help="Only ask.")
@click.argument("target", type=click.Path(readable=False))
@click.argument("host", required=False)
async def undrain(output: Output, target: str, host: str | None, *, no_wait: bool) -> None:
    """Have HOST of the store TARGET take runtimes again."""
    await _ask(output, target, host, Drain.ENDED, wait=not no_wait)


async def _ask(output: Output, target: str, named: str | None, asked: Drain, *, wait: bool) -> HostLine | None:
    async with visit(target, seams=seams()) as supervisor:
        store = supervisor.store
        line = _chosen(await _open_hosts(store), named)
        change = AskDrain(incarnation=line.incarnation, drain=asked)
        if not (await store.commit(Commit(changes=(change,)))).values[0]:
            raise NotFound(what="open host", key=line.incarnation, advice="`tenure hosts` lists them")
        ends = {Drain.DRAINED.value, *ENDS} if asked is Drain.ASKED else {None}
        found: HostLine | None = await _find(store, line)
        while wait and found is not None and found.drain not in ends:
            await trio.sleep(LOOK_S)
            found = await _find(store, line)
    said = {"closed": None} if found is None else {"drain": found.drain, "runtimes": found.runtimes}
    output.facts("Drain", {"host": line.incarnation, "asked": asked.value, **said})
    return found


def _chosen(hosts: list[HostLine], named: str | None) -> HostLine:
    found = [each for each in hosts if named is None or each.incarnation.startswith(named)]
    if len(found) == 1:
        return found[0]
    if not found:
        raise NotFound(what="open host", key=named or "any", advice="`tenure hosts` lists them")
    detail = f"{len(found)} open hosts are meant; say more of one: {', '.join(each.incarnation for each in found)}"
    raise InvalidInput(detail=detail, field="HOST")


async def _open_hosts(store: Store) -> list[HostLine]:
    found: list[HostLine] = []
    while page := await store.read(partial(list_hosts, after=found[-1].host if found else -1)):
        found += page
    return [
        each
        for each in found
        if each.closed_at is None and each.lost_at is None and each.incarnation != store.incarnation
    ]


async def _find(store: Store, line: HostLine) -> HostLine | None:
    page = await store.read(partial(list_hosts, after=line.host - 1))
    return next(
        (each for each in page if each.host == line.host and each.closed_at is None and each.lost_at is None), None
    )
