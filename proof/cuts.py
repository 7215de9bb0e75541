"""Cuts around COMMIT: ``python -m proof.cuts postgresql://me@host/db?schema=cuts --cuts 500``.

Tasks append numbered messages to conversations through a proxy that cuts the connection at a COMMIT, in each way that there is.
Each comes with an input under a key, whose commit asks the server before it writes: so the groups go in strands. A verdict is
wrong where a message that was acknowledged is not stored, is stored twice, or stands in another place than it was said in: a
group that had landed was tried again, or one that had not was acknowledged. Its input has to be there as often.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Final, final
from urllib.parse import urlsplit, urlunsplit

import trio
from attrs import frozen

from proof.changes import accepting, owning
from proof.fleet.cutting import Cut, CuttingProxy, cutting_proxy
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.conversation.sessions import AppendMessages
from tenure.persistence.facets.ownership.ownership import TakeOwnership
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.opening import open_store
from tenure.persistence.seams.limits import Limits
from tenure.persistence.store import Store

RUNTIMES: Final = 8
LATEST_S: Final = 0.3
"""So late comes a COMMIT at most: later than a new connection asks for the verdict."""

PAUSE_S: Final = 0.03
"""So long are they left alone between two cuts at most."""

PATIENCE_S: Final = 60.0

_STORED: Final = """
SELECT r.runtime_id, n.payload FROM runtimes r JOIN nodes n ON n.session = r.session ORDER BY n.node
"""
_TAKEN: Final = """
SELECT r.runtime_id, p.payload FROM runtimes r JOIN inputs i ON i.runtime = r.runtime JOIN payloads p ON p.input = i.input
ORDER BY i.admission
"""


@final
@frozen(kw_only=True, slots=True)
class Cuts:
    """What came of it.

    Attributes:
        made: Cuts by kind.
        acknowledged: Messages that were acknowledged.
        wrong: What is wrong, one line each.
    """

    made: Mapping[Cut, int]
    acknowledged: int
    wrong: Sequence[str]


async def make_cuts(url: str, cuts: int, seed: int) -> Cuts:
    """Make so many cuts. Raises what a caller saw: there may be a delay, and no more."""
    parts = urlsplit(url)
    source = random.Random(seed)
    made: Counter[Cut] = Counter()
    async with cutting_proxy(parts.hostname or "127.0.0.1", parts.port or 5432) as proxy:
        user = f"{parts.netloc.rpartition('@')[0]}@" if "@" in parts.netloc else ""
        through = urlunsplit(parts._replace(netloc=f"{user}127.0.0.1:{proxy.port}"))
        async with open_store(through, limits=Limits(busy_s=PATIENCE_S, verdict_s=PATIENCE_S)) as store:
            said = await _work(store, proxy, source, cuts, made)
            async with store.read_connection() as connection:
                stored = {
                    "messages": await connection.query(_STORED),
                    "inputs": await connection.query(_TAKEN),
                }
    wrong: list[str] = []
    for what, rows in stored.items():
        by_runtime: dict[str, list[str]] = {each: [] for each in said}
        for runtime_id, payload in rows:
            if runtime_id in by_runtime:
                by_runtime[runtime_id].append(payload.decode())
        wrong += [
            f"{each}: {len(said[each])} were acknowledged, {len(by_runtime[each])} {what} stored, in another order or number"
            for each in said
            if said[each] != by_runtime[each]
        ]
    return Cuts(made=made, acknowledged=sum(map(len, said.values())), wrong=wrong)


async def _work(
    store: Store, proxy: CuttingProxy, source: random.Random, cuts: int, made: Counter[Cut]
) -> dict[str, list[str]]:
    said: dict[str, list[str]] = {}
    ended = trio.Event()

    async def talk(runtime_id: LogicalRuntimeId, token: int) -> None:
        while not ended.is_set():
            text = str(len(said[runtime_id]))
            say = AppendMessages(runtime_id=runtime_id, messages=(text.encode(),))
            take = accepting(store, runtime_id, text, text.encode(), bound_by_inbox=False)
            await store.commit(Commit(runtime_id=runtime_id, fence_token=token, changes=(say, take)))
            said[runtime_id].append(text)

    async with trio.open_nursery() as nursery:
        for number in range(RUNTIMES):
            runtime_id = LogicalRuntimeId(f"{store.incarnation}-{number}")
            said[runtime_id] = []
            owned = (await store.commit(Commit(changes=(owning(store, runtime_id),)))).only(TakeOwnership)
            nursery.start_soon(talk, runtime_id, owned.fence_token)
        for _ in range(cuts):
            kind, before = source.choice([*Cut]), proxy.cuts
            proxy.late_s = source.random() * LATEST_S
            await trio.sleep(source.random() * PAUSE_S)
            proxy.cut = kind
            with trio.fail_after(PATIENCE_S):
                while proxy.cuts == before:  # noqa: ASYNC110 - what another task does to a connection has no event
                    await trio.sleep(0.001)
            made[kind] += 1
        ended.set()
    return said


def main(arguments: Sequence[str] | None = None) -> int:
    """Make cuts, and say what came of them; the exit code is 1 where a verdict was wrong."""
    parser = argparse.ArgumentParser(prog="python -m proof.cuts", description=__doc__)
    parser.add_argument("url", help="a database of a server, reached over TCP; its schema gets the tables of a store")
    parser.add_argument("--cuts", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args(arguments)
    found = trio.run(make_cuts, asked.url, asked.cuts, asked.seed)
    kinds = ", ".join(
        f"{count} {kind.value}" for kind, count in sorted(found.made.items(), key=lambda each: each[0].name)
    )
    words = f"{sum(found.made.values())} cuts ({kinds}): {found.acknowledged} messages acknowledged, {len(found.wrong)} wrong"
    sys.stdout.write("\n".join([*found.wrong, words]) + "\n")
    return 1 if found.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
