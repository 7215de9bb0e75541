"""Inputs through a whole supervisor: accepted, run, consumed. One input in flight for each runtime."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

import trio

import tenure
from tenure.persistence.engines.sqlite.system.files import OsFiles
from tenure.persistence.seams.seams import Seams
from tenure.persistence.store import Store
from tenure.supervisor.handles.runtime import Runtime

from .report import Timing
from .workload import messages


async def remember(run: tenure.Run) -> None:
    """The measured behaviour: what comes in is appended to the conversation."""
    for each in run.inputs:
        run.session.append(each.payload)


async def feed(
    folder: Path | str,
    runtimes: int,
    at_once: int,
    count: int,
    *,
    tune_collector: bool = False,
    seams: Seams | None = None,
    watched: Callable[[Store], AbstractContextManager[object]] = nullcontext,
) -> Timing:
    """Feed `count` inputs to `runtimes` runtimes, `at_once` at a time; the latency is from accept to outcome.

    In a new file of a folder, or in a database of a server. `watched` stands around what is timed.
    """
    bodies = messages(seed=count)
    latencies: list[float] = []

    async def work(number: int, owned: Sequence[Runtime]) -> None:
        mine = owned[number::at_once]
        for turn in range(count // at_once):
            began = perf_counter()
            ticket = await mine[turn % len(mine)].accept(bodies[(turn + number) % len(bodies)])
            await ticket.wait_outcome()
            latencies.append(perf_counter() - began)

    target = folder if isinstance(folder, str) else _fresh(folder)
    async with tenure.open_supervisor(
        target, behaviours={"agent": remember}, tune_collector=tune_collector, seams=seams
    ) as supervisor:
        owned = await spawn_all(supervisor, runtimes)
        with watched(supervisor.store):
            began = perf_counter()
            async with trio.open_nursery() as nursery:
                for number in range(at_once):
                    nursery.start_soon(work, number, owned)
            elapsed = perf_counter() - began
    return Timing(count=len(latencies), elapsed_s=elapsed, latencies_s=sorted(latencies))


async def converse(folder: Path, conversations: Sequence[Sequence[Any]]) -> Timing:
    """Replay conversations side by side: one runtime each, one message an input, each after the last was consumed."""
    latencies: list[float] = []

    async def talk(runtime: Runtime, conversation: Sequence[Any]) -> None:
        for message in conversation:
            began = perf_counter()
            ticket = await runtime.accept(message)
            await ticket.wait_outcome()
            latencies.append(perf_counter() - began)

    async with tenure.open_supervisor(_fresh(folder), behaviours={"agent": remember}) as supervisor:
        owned = await spawn_all(supervisor, len(conversations))
        began = perf_counter()
        async with trio.open_nursery() as nursery:
            for runtime, conversation in zip(owned, conversations, strict=True):
                nursery.start_soon(talk, runtime, conversation)
        elapsed = perf_counter() - began
    return Timing(count=len(latencies), elapsed_s=elapsed, latencies_s=sorted(latencies))


async def spawn_all(supervisor: tenure.Supervisor, count: int) -> list[Runtime]:
    """Spawn so many runtimes, all at once."""
    owned: dict[int, Runtime] = {}

    async def spawn(number: int) -> None:
        owned[number] = await supervisor.spawn(f"agent/{number:06}", "agent")

    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(spawn, number)
    return [owned[number] for number in range(count)]


async def quiet_cost_ms(quiet_s: float) -> float:
    """Milliseconds of this process's processor time that one second costs while nothing is asked of it."""
    before = process_time()
    await trio.sleep(quiet_s)
    return (process_time() - before) / quiet_s * 1000


def _fresh(folder: Path) -> Path:
    path = folder / "fed.db"
    files = OsFiles()
    for suffix in ("", "-wal", "-shm", "-lock"):
        if files.exists(f"{path}{suffix}"):
            files.remove(f"{path}{suffix}")
    return path
