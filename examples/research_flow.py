"""An event-sourced flow over the real files of a folder: fan out, measure, join, reduce. It loses nothing when it is killed.

    python examples/research_flow.py persistence                         # measures tenure's own source
    python examples/research_flow.py persistence --db a.db --kill-at 40  # dies by SIGKILL at a point in the middle
    python examples/research_flow.py persistence --db a.db               # goes on from there; the report is the same

The journal is the flow. It begins with the plan, an event for each file; each file that was measured is one event; then come
the join and the reduction. The state is folded from them, so a process that starts again knows what is done, and does the
rest. An append returns when its event is on disk: no file that has its event is measured again, and none can have two,
because an append expects the stream to end where its log saw it last.

The words of a file are large and seldom needed. They become facts beside the journal, and are read when the flow reduces.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import sys
from collections import Counter
from pathlib import Path
from typing import Any, Final, cast, final

import trio

import tenure

AT_ONCE: Final = 8
"""Files that are measured at one time."""

FACTS_ABOVE: Final = 1_024
SNAPSHOT_EVERY: Final = 25
TOP: Final = 10

State = dict[str, Any]
BEGUN: Final[State] = {"measured": {}, "joined": False, "report": None}
Log = tenure.EventLog[State]


def fold(state: State, event: dict[str, Any]) -> State:
    """The state of the flow."""
    match event:
        case {"planned": path}:
            return {**BEGUN, **state, "planned": [*state.get("planned", []), path]}
        case {"measured": path, **measures}:
            return {**state, "measured": {**state["measured"], path: measures}}
        case {"joined": _}:
            return {**state, "joined": True}
        case {"reduced": report}:
            return {**state, "report": report}
        case _:
            message = f"an event that this flow does not know: {sorted(event)}"
            raise ValueError(message)


@final
class Killer:
    """Kills this process at its n-th point, as a power cut would: nothing is cleaned up."""

    def __init__(self, at: int | None) -> None:
        """Live for ever where `at` is None."""
        self._left = at

    def point(self) -> None:
        """A place where the process may die."""
        if self._left is not None:
            self._left -= 1
            if self._left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)


def measure(path: Path) -> dict[str, Any]:
    """One step: read a file and count."""
    text = path.read_text("utf-8", "replace")
    words = Counter(re.findall(r"[a-z]{4,}", text.lower()))
    return {"lines": text.count("\n"), "bytes": len(text.encode()), "words": dict(sorted(words.items()))}


async def measure_files(log: Log, folder: Path, killer: Killer) -> None:
    """Fan out over the files that have no event yet."""
    limit = trio.CapacityLimiter(AT_ONCE)

    async def work(path: str) -> None:
        async with limit:
            killer.point()
            measures = await trio.to_thread.run_sync(measure, folder / path)
            killer.point()
            await log.append([{"measured": path, **measures}])
            killer.point()

    async with trio.open_nursery() as nursery:
        for path in log.state["planned"]:
            if path not in log.state["measured"]:
                nursery.start_soon(work, path)


async def reduce(log: Log) -> str:
    """Put the measures of all files together; the words come back from the facts."""
    lines = total = 0
    words: Counter[str] = Counter()
    for path in log.state["planned"]:
        found = log.state["measured"][path]
        lines, total = lines + found["lines"], total + found["bytes"]
        counts = found["words"]
        if isinstance(counts, tenure.FactRef):
            counts = await log.resolve(counts)
        words.update(cast("dict[str, int]", counts))
    top = sorted(words.items(), key=lambda each: (-each[1], each[0]))[:TOP]
    rows = "\n".join(f"{count:8} {word}" for word, count in top)
    return f"{len(log.state['planned'])} files, {lines} lines, {total} bytes\n{rows}\n"


async def flow(db: Path, folder: Path, plan: list[str], killer: Killer) -> str:
    """Do what is left of the flow, and return its report."""
    async with (
        tenure.open_store(db) as store,
        store.journal.open(
            "research",
            fold,
            cast("State", {}),
            first=[{"planned": path} for path in plan],
            facts_above=FACTS_ABOVE,
            snapshot_every=SNAPSHOT_EVERY,
            rehydration="lazy",
        ) as log,
    ):
        print(
            f"{len(log.state['measured'])} of {len(log.state['planned'])} files were measured before", file=sys.stderr
        )
        await measure_files(log, folder, killer)
        if not log.state["joined"]:
            killer.point()
            await log.append([{"joined": len(log.state["measured"])}])
        if log.state["report"] is None:
            killer.point()
            await log.append([{"reduced": await reduce(log)}])
        killer.point()
        return str(log.state["report"])


def main() -> None:
    """Read the options and run the flow."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="whose Python files are measured")
    parser.add_argument("--db", type=Path, default=Path(":memory:"), help="the store (default: in memory)")
    parser.add_argument("--kill-at", type=int, help="die by SIGKILL at this point of the flow")
    given = parser.parse_args()
    plan = sorted(path.relative_to(given.folder).as_posix() for path in given.folder.rglob("*.py"))
    if not plan:
        parser.error(f"there are no Python files in {given.folder}")
    print(trio.run(flow, given.db, given.folder, plan, Killer(given.kill_at)), end="")


if __name__ == "__main__":
    main()
