"""What those do who look after the runtimes of a proof: end one, and say of steps in doubt whether they ran."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import tenure
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.records import runtimes
from tenure.persistence.facets.runs import entries
from tenure.persistence.model.entries import EntryStatus


async def end_runtime(runtime: tenure.Runtime | tenure.ForeignRuntime, how: str) -> None:
    """End a runtime, or its run, in the way that is named. Raises as the verb."""
    match how:
        case "is cancelled":
            await runtime.cancel()
        case "is stopped":
            await runtime.stop()
        case "is reset":
            await runtime.reset()
        case "is retired":
            await runtime.retire()
        case "is destroyed":
            await runtime.destroy()
        case _:
            await runtime.destroy(erase=True)


async def read_entries(supervisor: tenure.Supervisor, name: str) -> list[entries.RecordedEntry]:
    """What the current run of a runtime has recorded."""
    return await supervisor.store.read(partial(_of_current_run, name=name))


async def find_doubts(
    supervisor: tenure.Supervisor, name: str, verdict: Callable[[bytes], tenure.Verdict]
) -> list[tuple[str, tenure.Verdict]]:
    """The places of the current run's steps in doubt, each with what `verdict` says of one with its arguments."""
    return [
        (entry.place, verdict(entry.arguments_digest or b""))
        for entry in await read_entries(supervisor, name)
        if entry.status is EntryStatus.IN_DOUBT
    ]


def _of_current_run(statements: Statements, name: str) -> list[entries.RecordedEntry]:
    record = runtimes.find(statements, tenure.LogicalRuntimeId(name))
    return [] if record is None or record.run is None else entries.of_run(statements, record.run)
