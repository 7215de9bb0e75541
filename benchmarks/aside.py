"""Runs that are put aside: the memory that a host takes for many beyond that for few, and how fast those that are due wake.

    python benchmarks/aside.py                       # 1,000 and then 100,000, in one process
    python benchmarks/aside.py --small               # the share that stands in the tests

A child process makes both stores: each runtime has a run that sleeps, and is aside. Then one process opens a host on the small
store and lets it look about, closes it, and does the same on the large one; `more_mib` is how far its highest resident memory
rose by that. Of the large store 200 runs are due when it is opened: `woken_per_s` is how fast they are taken over, entered
from their record and ended, at most 8 at once; `at_once` is how many were.
"""

from __future__ import annotations

import resource
import subprocess
import sys
from functools import partial
from pathlib import Path
from time import perf_counter, time
from typing import Any, Final

import trio
from measuring.report import options, print_line, scratch

import tenure
from tenure.persistence.commits.commit import Change, Commit
from tenure.persistence.facets.inbox.inputs import AcceptInput
from tenure.persistence.facets.inbox.newcomers import Newcomer
from tenure.persistence.facets.runs.entries import RecordEntry
from tenure.persistence.facets.runs.interrupted import PutAside
from tenure.persistence.facets.runs.runs import BeginRun
from tenure.persistence.model.codec import digest, encode
from tenure.persistence.model.entries import EntryKind, EntryStatus
from tenure.persistence.model.values import InputId, LogicalRuntimeId, RunId, SessionId
from tenure.persistence.opening import open_store
from tenure.persistence.store import Store

MIB: Final = 1 << 20
FEW: Final = 1_000
MANY: Final = 100_000
SMALL: Final = 2_000
WOKEN: Final = 200
AT_ONCE: Final = 8
SLEEP_S: Final = 1e6
LOOK_ABOUT_S: Final = 3.0


def highest_mib() -> float:
    """The highest resident memory of this process so far."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB


async def put_aside(store: Store, number: int, wake_at: float) -> None:
    """One runtime whose run sleeps, as its host leaves it."""
    runtime_id, run_id = LogicalRuntimeId(f"agent-{number:06}"), RunId(f"run-{number}")
    payload, newcomer = b"{}", Newcomer(kind="sleeper", session_id=SessionId(f"talk-{number}"))
    accept = AcceptInput(
        runtime_id=runtime_id,
        input_id=InputId(f"input-{number}"),
        payload=payload,
        payload_digest=digest(payload),
        idempotency_key="k",
        newcomer=newcomer,
    )
    await store.commit(Commit(changes=(accept,)))
    slept = RecordEntry(
        runtime_id=runtime_id,
        run_id=run_id,
        place="main/1",
        kind=EntryKind.SLEEP,
        name="sleep",
        arguments_digest=digest(encode([SLEEP_S], "arguments")),
        version="",
        status=EntryStatus.SUCCEEDED,
        result=encode(wake_at, "result"),
        started_at=time(),
        ended_at=time(),
    )
    changes: tuple[Change, ...] = (
        BeginRun(runtime_id=runtime_id, run_id=run_id, batch=1),
        slept,
        PutAside(runtime_id=runtime_id, run_id=run_id, wake_at=wake_at, steerable=False),
    )
    await store.commit(Commit(runtime_id=runtime_id, changes=changes))


async def fill(path: Path, count: int, due: int) -> None:
    """A store of so many runtimes that are aside, the first of which are due by the time that a host opens it."""
    soon = time() + 1.0
    async with open_store(path, durability="os") as store:
        for first in range(0, count, 500):
            async with trio.open_nursery() as nursery:  # owned by this page
                for number in range(first, min(first + 500, count)):
                    at = soon if number < due else time() + SLEEP_S
                    nursery.start_soon(put_aside, store, number, at)


async def look_about(path: Path, due: int) -> dict[str, Any]:
    """Open a host, and wait until all that is due has been woken."""
    running, most, ended = 0, 0, trio.Semaphore(0)

    async def sleeper(run: tenure.Run) -> None:
        await run.sleep(SLEEP_S)
        await run.step("work", work, repeat="freely")
        ended.release()

    async def work() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await trio.sleep(0.01)
        running -= 1

    behaviour = tenure.Behaviour(sleeper, max_running=AT_ONCE)
    began = perf_counter()
    async with tenure.open_supervisor(path, behaviours={"sleeper": behaviour}, durability="os") as supervisor:
        opened_s = perf_counter() - began
        for _ in range(due):
            await ended.acquire()
        woken_s = perf_counter() - began
        await trio.sleep(LOOK_ABOUT_S)
        owned = supervisor.statistics().runtimes
    return {"opened_s": round(opened_s, 2), "woken_per_s": round(due / woken_s, 1), "at_once": most, "owned": owned}


def main() -> None:
    """Fill, measure and print."""
    parser = options(__doc__ or "")
    parser.add_argument("--fill", type=Path, help="only make a store at this path")
    parser.add_argument("--count", type=int, default=MANY, help="runtimes of the large store")
    asked = parser.parse_args()
    count = SMALL if asked.small and asked.count == MANY else asked.count
    if asked.fill is not None:
        trio.run(partial(fill, asked.fill, count, WOKEN if count > FEW else 0))
        return
    with scratch(asked.folder) as folder:
        few, many = Path(folder) / "few.db", Path(folder) / "many.db"
        for path, of in ((few, FEW), (many, count)):
            command = [sys.executable, __file__, "--fill", str(path), "--count", str(of)]
            subprocess.run(command, check=True)  # noqa: S603 - this file itself
        trio.run(look_about, few, 0)
        before = highest_mib()
        found = trio.run(look_about, many, WOKEN)
        more = highest_mib() - before
    print_line("aside", few=FEW, many=count, more_mib=round(more, 1), **found)


if __name__ == "__main__":
    main()
