"""What one more message costs when a conversation has 10, 1,000 or 10,000 messages.

    python benchmarks/growth.py

A commit is to cost what it changes, not what the session has grown to: the last ratio stays below 1.5. The sizes are
measured in turns on one database, class `os`, so that no fsync hides what grows; medians over the turns.
"""

from __future__ import annotations

import statistics
from pathlib import Path
from time import perf_counter

import trio
from measuring.report import options, print_line, ratio, scratch
from measuring.workload import Agent, boundary_commit, messages, prepare

from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.conversation.sessions import AppendMessages
from tenure.persistence.model.codec import encode
from tenure.persistence.opening import open_store
from tenure.persistence.store import Store


async def grow(store: Store, agent: Agent, length: int) -> None:
    """Append messages until the conversation is `length` long."""
    bodies = [encode(body, "message") for body in messages(seed=length)]
    for start in range(0, length, 500):
        count = min(500, length - start)
        chosen = tuple(bodies[number % len(bodies)] for number in range(count))
        change = AppendMessages(runtime_id=agent.runtime_id, messages=chosen, run_id=agent.run_id)
        await store.commit(
            Commit(runtime_id=agent.runtime_id, fence_token=agent.fence_token, changes=(change,)),
        )


async def one_more(store: Store, agent: Agent, count: int) -> float:
    """Seconds that a boundary commit takes, the median of `count`."""
    body = messages(seed=1, count=1)[0]
    seen: list[float] = []
    for _ in range(count):
        began = perf_counter()
        await store.commit(boundary_commit(agent, body))
        seen.append(perf_counter() - began)
    return statistics.median(seen)


async def main() -> None:
    """Grow one conversation to each size, then commit to them in turns."""
    given = options(__doc__ or "").parse_args()
    lengths = (2, 4, 8) if given.small else (10, 1_000, 10_000)
    turns, at_a_time = (2, 2) if given.small else (10 * given.repeats, 20)
    with scratch(given.folder) as name:
        path = Path(name) / "growth.db"
        agents = dict(zip(lengths, await prepare(path, len(lengths)), strict=True))
        seen: dict[int, list[float]] = {length: [] for length in lengths}
        async with open_store(path, durability="os") as store:
            for length, agent in agents.items():
                await grow(store, agent, length)
            for _ in range(turns):
                for length, agent in agents.items():
                    seen[length].append(await one_more(store, agent, at_a_time))
    medians = {length: statistics.median(times) for length, times in seen.items()}
    print_line(
        "growth",
        durability="os",
        one_more_message_us={str(length): round(median * 1e6, 1) for length, median in medians.items()},
        ratios={f"{length}_to_{lengths[0]}": ratio(medians[length], medians[lengths[0]]) for length in lengths[1:]},
    )


if __name__ == "__main__":
    trio.run(main)
