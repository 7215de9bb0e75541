"""Commits a second: raw APSW, the store, and a whole supervisor, all with an fsync before each acknowledgement.

    python benchmarks/commits.py
    python benchmarks/commits.py --engine postgres --server postgresql://postgres@127.0.0.1:5432/postgres
    python benchmarks/commits.py --transcripts conversations.jsonl   # {"id": ..., "messages": [...]} a line

The measured commit is defined in measuring/workload.py. Raw APSW executes the very same statements: one transaction a commit,
and 64 savepoints a transaction (the ceiling of a grouping in savepoints). End to end an input goes through accept, run and
consumption, which are two commits. Read the ratios; the rates belong to the machine. On a server the yardstick is psycopg, with
the steps of DBOS where it is installed, and round trips are counted; `python -m proof.fleet.server --folder /var/tmp` runs one
that pip has brought.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import trio
from measuring.end_to_end import converse, feed
from measuring.raw import Recording, record, replay
from measuring.report import Timing, median_of, options, print_line, ratio, scratch
from measuring.workload import Agent, commit_concurrently, copy_of, prepare

from tenure.persistence.opening import open_store

GROUP: Final = 64
MANY: Final = 10_000
SIZES: Final = (1, 10, 100, 1000)


async def measure_raw(
    template: Path, agents: Sequence[Agent], single: int, shared: int, repeats: int
) -> dict[str, dict[str, float]]:
    """The yardsticks: one runtime one by one, and groups over as many runtimes as the store's rows have."""
    cases: dict[str, tuple[Recording, int]] = {
        "one_by_one": (await record(template, agents[:1], single), 1),
        "grouped": (await record(template, agents[:100], shared), GROUP),
        f"grouped_over_{len(agents)}": (await record(template, agents, shared), GROUP),
    }
    return {
        name: median_of([replay(template, recording, group) for _ in range(repeats)])
        for name, (recording, group) in cases.items()
    }


async def measure_store(
    template: Path, agents: Sequence[Agent], single: int, shared: int, repeats: int
) -> dict[str, dict[str, float]]:
    """The store: so many runtimes at once, and 100 at a time over all."""
    cases = {str(size): (agents[:size], size) for size in SIZES if size <= len(agents)}
    cases[f"100_over_{len(agents)}"] = (agents, min(100, len(agents)))
    rows: dict[str, dict[str, float]] = {}
    for name, (chosen, at_once) in cases.items():
        timings: list[Timing] = []
        for _ in range(repeats):
            async with open_store(copy_of(template, "store.db")) as store:
                count = single if at_once == 1 else shared
                timings.append(await commit_concurrently(store, chosen, at_once, count))
        rows[name] = median_of(timings)
    return rows


async def measure_end_to_end(folder: Path, runtimes: int, inputs: int, repeats: int) -> dict[str, dict[str, float]]:
    """Accept, run and consume: so many runtimes at once, and 100 at a time over all."""
    rows: dict[str, dict[str, float]] = {}
    for size in [each for each in SIZES if each <= runtimes]:
        count = max(inputs // 4 if size == 1 else inputs, size)
        rows[str(size)] = median_of([await feed(folder, size, size, count) for _ in range(repeats)])
    at_once = min(100, runtimes)
    rows[f"100_over_{runtimes}"] = median_of([await feed(folder, runtimes, at_once, inputs) for _ in range(repeats)])
    return rows


def ratios(raw: dict[str, Any], store: dict[str, Any], end_to_end: dict[str, Any], runtimes: int) -> dict[str, float]:
    """What the aims of the project speak of."""
    one_by_one = raw["one_by_one"]["per_s"]
    found = {
        "1_to_one_by_one": ratio(store["1"]["per_s"], one_by_one),
        "1_to_one_by_one_by_p50": ratio(raw["one_by_one"]["p50_ms"], store["1"]["p50_ms"]),
        f"over_{runtimes}_to_its_ceiling": ratio(
            store[f"100_over_{runtimes}"]["per_s"], raw[f"grouped_over_{runtimes}"]["per_s"]
        ),
    }
    if "100" in store:
        found |= {
            "100_to_one_by_one": ratio(store["100"]["per_s"], one_by_one),
            "100_to_grouped_ceiling": ratio(store["100"]["per_s"], raw["grouped"]["per_s"]),
            f"over_{runtimes}_to_100": ratio(store[f"100_over_{runtimes}"]["per_s"], store["100"]["per_s"]),
            "end_to_end_100_inputs_to_one_by_one": ratio(end_to_end["100"]["per_s"], one_by_one),
        }
    return found


def read_transcripts(path: Path) -> list[list[Any]]:
    """The conversations of a file, each a list of messages."""
    return [json.loads(line)["messages"] for line in path.read_text("utf-8").splitlines() if line.strip()]


async def on_server(url: str | None, repeats: int, folder: Path | None, *, small: bool) -> None:
    """The store and psycopg on one server."""
    from measuring.on_server import measure_on_server  # noqa: PLC0415 - without the driver the others run

    if url is None:
        raise SystemExit("--engine postgres needs --server")
    sizes = (10, 10, 40) if small else (100, 300, 3_000)
    print_line(
        "commits",
        engine="postgres",
        durability="disk",
        **await measure_on_server(url, 1 if small else repeats, *sizes, folder),
    )


async def main() -> None:
    """Measure everything and print one line."""
    parser = options(__doc__ or "")
    parser.add_argument("--transcripts", type=Path, help="replay real conversations, one runtime each")
    parser.add_argument("--engine", choices=("sqlite", "postgres"), default="sqlite")
    parser.add_argument("--server", help="the URL of a role that may create databases, for postgres")
    given = parser.parse_args()
    if given.engine == "postgres":
        await on_server(given.server, given.repeats, given.folder, small=given.small)
        return
    runtimes, single, shared = (20, 10, 40) if given.small else (MANY, 2_000, 10_000)
    repeats = 1 if given.small else given.repeats
    with scratch(given.folder) as name:
        folder = Path(name)
        template = folder / "template.db"
        agents = await prepare(template, runtimes)
        raw = await measure_raw(template, agents, single, shared, repeats)
        store = await measure_store(template, agents, single, shared, repeats)
        end_to_end = await measure_end_to_end(folder, runtimes, shared // 2, repeats)
        findings: dict[str, Any] = {"raw": raw, "store": store, "end_to_end_inputs": end_to_end}
        if given.transcripts is not None:
            conversations = read_transcripts(given.transcripts)
            replayed = median_of([await converse(folder, conversations) for _ in range(repeats)])
            findings["transcripts_inputs"] = {"conversations": len(conversations), **replayed}
    print_line("commits", durability="disk", **findings, ratios=ratios(raw, store, end_to_end, runtimes))


if __name__ == "__main__":
    trio.run(main)
