"""How long a host takes to open when it left 1,000 of its 10,000 runtimes in the middle of something.

    python benchmarks/recovery.py

A first process is ended by SIGKILL while runs of 1,000 runtimes are executing. Then a second one opens the file. Measured is
the time until the body of `open_supervisor` begins, when all of them are owned again, and until all their behaviours have
been entered again. Peak memory is that of the second process, less what it used before it opened.
"""

from __future__ import annotations

import json
import os
import resource
import signal
import statistics
import subprocess
import sys
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import trio
from measuring.end_to_end import spawn_all
from measuring.report import options, print_line, scratch

import tenure

RUNTIMES: Final = 10_000
UNFINISHED: Final = 1_000


async def leave_unfinished(path: Path, runtimes: int, unfinished: int) -> None:
    """Be the first process: it ends by SIGKILL once so many runs execute."""
    entered = trio.Semaphore(0)

    async def hang(run: tenure.Run) -> None:
        run.session.append("never lands")
        entered.release()
        await trio.sleep_forever()

    async with tenure.open_supervisor(path, behaviours={"agent": hang}, durability="os") as supervisor:
        owned = await spawn_all(supervisor, runtimes)
        async with trio.open_nursery() as nursery:
            for runtime in owned[:: runtimes // unfinished][:unfinished]:
                nursery.start_soon(runtime.accept, {"question": runtime.runtime_id})
        for _ in range(unfinished):
            await entered.acquire()
        os.kill(os.getpid(), signal.SIGKILL)


async def recover(path: Path, unfinished: int) -> None:
    """Be the second process: print what the opening took, as JSON."""
    entered = 0
    all_entered = trio.Event()

    async def answer(run: tenure.Run) -> None:
        nonlocal entered
        entered += 1
        run.session.append("done")
        if entered == unfinished:
            all_entered.set()
        await trio.lowlevel.checkpoint()

    before_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    began = perf_counter()
    async with tenure.open_supervisor(path, behaviours={"agent": answer}) as supervisor:
        open_s = perf_counter() - began
        owned = supervisor.statistics().runtimes
        await all_entered.wait()
        entered_s = perf_counter() - began
    peak_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before_kib
    print(json.dumps({"open_s": open_s, "entered_s": entered_s, "peak_mib": peak_kib / 1024, "owned": owned}))


def child(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run this file as one of its two processes."""
    command = [sys.executable, __file__, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - this file itself


def main() -> None:
    """Kill and recover, a few times, and print one line."""
    parser = options(__doc__ or "")
    parser.add_argument("--role", choices=("leave", "recover"), help="for the processes that this one starts")
    parser.add_argument("--database", type=Path, help="as --role")
    given = parser.parse_args()
    runtimes, unfinished = (20, 5) if given.small else (RUNTIMES, UNFINISHED)
    if given.role == "leave":
        trio.run(leave_unfinished, given.database, runtimes, unfinished)
    elif given.role == "recover":
        trio.run(recover, given.database, unfinished)
    else:
        compare(given.folder, 1 if given.small else given.repeats, runtimes, unfinished, small=given.small)


def compare(folder: Path | None, repeats: int, runtimes: int, unfinished: int, *, small: bool) -> None:
    """Repeat kill and recovery on fresh files."""
    found: list[dict[str, Any]] = []
    for _ in range(repeats):
        with scratch(folder) as name:
            arguments = ["--database", str(Path(name) / "recovery.db"), *(["--small"] if small else [])]
            left = child("--role", "leave", *arguments)
            if left.returncode != -signal.SIGKILL:
                sys.exit(left.stderr)
            recovered = child("--role", "recover", *arguments)
            if recovered.returncode != 0:
                sys.exit(recovered.stderr)
            found.append(json.loads(recovered.stdout))
    row = {name: round(statistics.median(each[name] for each in found), 3) for name in found[0]}
    print_line("recovery", durability="disk", runtimes=runtimes, unfinished=unfinished, recovery=row)


if __name__ == "__main__":
    main()
