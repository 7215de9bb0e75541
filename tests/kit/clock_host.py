"""A host that sleeps and delays, and says what it sees of time: ``clock_host.py URL``."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import trio

import tenure
from tenure.persistence.upkeep.look import look_into

SHORT_S = 0.2

SEEN: dict[str, Any] = {}


async def sleeper(run: tenure.Run) -> None:
    began = time.monotonic()
    SEEN["run"] = run.now().timestamp()
    await run.sleep(SHORT_S)
    SEEN["slept_s"] = time.monotonic() - began


async def serve(url: str) -> None:
    async with tenure.open_supervisor(url, behaviours={"sleeper": sleeper}) as supervisor:
        began = time.monotonic()
        later = await supervisor.accept("a", "later", kind="sleeper", after_s=SHORT_S)
        await later.wait_outcome()
        SEEN["delayed_s"] = time.monotonic() - began
        SEEN["store"] = supervisor.store.seams.wall_clock()
        async with look_into(url) as look:
            SEEN["look"] = look.now()
    sys.stdout.write(json.dumps(SEEN))


if __name__ == "__main__":
    trio.run(serve, sys.argv[1])
