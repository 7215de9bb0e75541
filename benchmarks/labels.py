"""What a page of a list by two labels costs among 1,000 and among 1,000,000 runtimes.

    python benchmarks/labels.py

One runtime of four has the tenant and one of two the tier that are asked for, in no order of ids; a page has 20. A page is to
cost what it returns: page 1 and page 5,000 of the big store stay below 1.5 times page 1 and the last page of the small one,
which has six. A walk reads a hundred pages from page 5,000 on, each of which the cache of the connection has not seen. Class
`memory`, for only reads are measured; medians, the stores in turns.
"""

from __future__ import annotations

import random
import statistics
from functools import partial
from pathlib import Path
from time import perf_counter

import trio
from measuring.report import options, print_line, ratio, scratch

from tenure import LogicalRuntimeId, SessionId
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.ownership.ownership import TakeOwnership
from tenure.persistence.opening import open_store
from tenure.persistence.store import Store
from tenure.persistence.upkeep.inspect import Wanted, list_runtimes

PAGE = 20
WANTED = Wanted(labels=(("tenant", "acme"), ("tier", "gold")))
A_COMMIT = 500


def take(number: int, name: str) -> TakeOwnership:
    """A runtime that is made with labels."""
    tenant = "acme" if number % 4 == 0 else f"other-{number % 97}"
    tier = "gold" if number // 4 % 2 == 0 else "iron"
    return TakeOwnership(
        runtime_id=LogicalRuntimeId(name),
        kind="agent",
        epoch="of the benchmark",
        session_id=SessionId(f"talk of {name}"),
        labels=(("tenant", tenant), ("tier", tier)),
    )


async def fill(store: Store, count: int) -> list[str]:
    """Make so many runtimes; the ids of those that are asked for, by id."""
    source = random.Random(count)  # noqa: S311 - ids of a benchmark
    chosen: list[str] = []
    for start in range(0, count, A_COMMIT):
        numbers = range(start, min(start + A_COMMIT, count))
        names = [(number, f"{source.getrandbits(64):016x}") for number in numbers]
        await store.commit(Commit(changes=tuple([take(number, name) for number, name in names])))
        chosen += [name for number, name in names if number % 8 == 0]
    return sorted(chosen)


async def one_page(store: Store, ids: list[str], page: int) -> float:
    """Seconds for a page, counted from 0."""
    first = page * PAGE
    after = ids[first - 1] if first else ""
    began = perf_counter()
    found = await store.read(partial(list_runtimes, after=after, count=PAGE, wanted=WANTED))
    took = perf_counter() - began
    if [line.runtime_id for line in found] != ids[first : first + PAGE]:
        raise SystemExit(f"page {page + 1} is another one")
    return took


async def main() -> None:
    """Fill two stores, then read pages of both in turns."""
    given = options(__doc__ or "").parse_args()
    sizes, far = ((200, 2_000), 10) if given.small else ((1_000, 1_000_000), 4_999)
    turns = 2 if given.small else 100 * given.repeats
    with scratch(given.folder) as name:
        seen: dict[str, list[float]] = {}
        async with (
            open_store(Path(name) / "few.db", durability="memory") as few,
            open_store(Path(name) / "many.db", durability="memory") as many,
        ):
            few_ids, many_ids = await fill(few, sizes[0]), await fill(many, sizes[1])
            for _ in range(turns):
                for what, store, ids, page in (
                    ("few, page 1", few, few_ids, 0),
                    ("few, last page", few, few_ids, len(few_ids) // PAGE - 1),
                    ("many, page 1", many, many_ids, 0),
                    ("many, far page", many, many_ids, far),
                ):
                    seen.setdefault(what, []).append(await one_page(store, ids, page))
            for turn in range(turns):
                for what, store, ids, page in (
                    ("few, walk", few, few_ids, turn % (len(few_ids) // PAGE)),
                    ("many, walk", many, many_ids, far + turn % 100),
                ):
                    seen.setdefault(what, []).append(await one_page(store, ids, page))
    medians = {what: statistics.median(times) for what, times in seen.items()}
    print_line(
        "labels",
        runtimes=list(sizes),
        far_page=far + 1,
        page_us={what: round(median * 1e6, 1) for what, median in medians.items()},
        ratios={
            "page 1": ratio(medians["many, page 1"], medians["few, page 1"]),
            "far page": ratio(medians["many, far page"], medians["few, last page"]),
            "walk": ratio(medians["many, walk"], medians["few, walk"]),
        },
    )


if __name__ == "__main__":
    trio.run(main)
