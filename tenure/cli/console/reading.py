"""What each page reads: the reads of the command line, a page of rows at a time. Each call is one look into the store."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any, Final, TypeVar, final

from attrs import frozen

from tenure.cli.upkeep.keys import seams
from tenure.errors import NotFound
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.conversation import sessions
from tenure.persistence.facets.output import reads as spoken
from tenure.persistence.facets.queue.standing import BatchStanding, list_standing
from tenure.persistence.facets.runs.dead_letters import DeadLetter, of_runtime
from tenure.persistence.facets.schedules import reads as schedules, rows as schedule_rows
from tenure.persistence.facets.schedules.rows import Occurrence
from tenure.persistence.facets.schedules.terms import ScheduleRecord
from tenure.persistence.facets.state import own_state
from tenure.persistence.model.output import place_of_position
from tenure.persistence.model.values import InputId, LogicalRuntimeId, check_runtime_id
from tenure.persistence.seams.executors import run_loop
from tenure.persistence.upkeep.inspect import RuntimeLine, Wanted, list_runtimes, show_runtime
from tenure.persistence.upkeep.listing import HostLine, InboxLine, find_input, list_hosts, list_inbox
from tenure.persistence.upkeep.look import Look, look_into
from tenure.persistence.upkeep.one_runtime.tail import Tail
from tenure.persistence.upkeep.one_runtime.why import explain
from tenure.persistence.upkeep.record import RunEntry, UnfinishedRun, entries_after, find_run, unfinished_after
from tenure.persistence.upkeep.verify import runtime_ids

from .timeline import Moment, timeline

T = TypeVar("T")

ROWS: Final = 100
"""Rows of a page."""

CHAIN: Final = 100
"""Receipts and links of a timeline: the newest."""

SCANNED: Final = 5_000
"""Runtimes that are asked for dead letters for one page; the next one goes on after them."""


def look(target: str, read: Callable[[Look], Awaitable[T]]) -> T:
    """Open a store, read, and close it. From a thread without a loop. Raises what `look_into` and the read raise."""

    async def run() -> T:
        async with look_into(target, seams=seams()) as opened:
            return await read(opened)

    return run_loop(run, "the console")


@final
@frozen(kw_only=True)
class Overview:
    """What is looked at first.

    Attributes:
        hosts: Those that have it open.
        free_bytes: See `Engine.free_bytes`.
        held: The first runtimes that are held, or on hold.
        letters: The first dead letters, each with its runtime.
        runs: The runs that are unfinished for longest.
    """

    hosts: list[HostLine]
    free_bytes: int | None
    held: list[RuntimeLine]
    letters: list[tuple[LogicalRuntimeId, DeadLetter]]
    runs: list[UnfinishedRun]


async def overview(opened: Look) -> Overview:
    """See `Overview`."""
    few = 10
    letters, _ = await dead_letters("", "", few, opened)
    return Overview(
        hosts=await hosts(opened),
        free_bytes=opened.free_bytes(),
        held=await opened.read(partial(list_runtimes, count=few, wanted=Wanted(held=True))),
        letters=letters,
        runs=(await opened.read(partial(unfinished_after, after=0)))[1][:few],
    )


async def hosts(opened: Look) -> list[HostLine]:
    """The hosts that have the store open."""
    found: list[HostLine] = []
    while page := await opened.read(partial(list_hosts, after=found[-1].host if found else -1)):
        found += page
    living = [each for each in found if each.closed_at is None and each.lost_at is None]
    return [] if opened.alone else living


async def dead_letters(
    after_runtime: str, after_input: str, count: int, opened: Look
) -> tuple[list[tuple[LogicalRuntimeId, DeadLetter]], tuple[str, str] | None]:
    """A page of the dead letters of all runtimes after a place, and the place after which the next one begins."""

    def letters(statements: Statements) -> tuple[list[tuple[LogicalRuntimeId, DeadLetter]], tuple[str, str] | None]:
        found: list[tuple[LogicalRuntimeId, DeadLetter]] = []
        ids = [check_runtime_id(after_runtime)] if after_input else []
        last, after, asked = after_runtime, InputId(after_input), 0
        while True:
            for last in ids:
                page = of_runtime(statements, last, after, count - len(found))
                found += [(last, each) for each in page]
                after, asked = InputId(""), asked + 1
                if len(found) == count:
                    return found, (last, page[-1].input_id)
            if asked >= SCANNED:
                return found, (last, "")
            ids = runtime_ids(statements, after=last)
            if not ids:
                return found, None

    return await opened.read(letters)


@final
@frozen(kw_only=True)
class Portrait:
    """One runtime.

    Attributes:
        why: See `explain`.
        facts: See `show_runtime`.
        moments: Its unfinished inputs, its newest run and its newest receipts; see `timeline`.
        more_inputs: Whether more inputs are unfinished.
        run_id: The run whose entries these are, or None.
        more_entries: Whether it has more of them.
        letters: Its dead letters, the first.
        children: Its children, the first.
    """

    why: dict[str, Any]
    facts: dict[str, Any]
    moments: list[Moment]
    more_inputs: bool
    run_id: str | None
    more_entries: bool
    letters: tuple[DeadLetter, ...]
    children: list[RuntimeLine]


async def portrait(runtime: str, opened: Look) -> Portrait:
    """See `Portrait`. Raises `NotFound`."""
    runtime_id = check_runtime_id(runtime)

    def read(statements: Statements) -> Portrait:
        why = explain(statements, runtime_id, opened.now(), no_host=opened.alone)
        inputs = list_inbox(statements, runtime_id)
        run = find_run(statements, runtime_id, None)
        entries = [] if run is None else entries_after(statements, *run, after=0)[1]
        return Portrait(
            why=why,
            facts=show_runtime(statements, runtime_id),
            moments=timeline(
                runtime_id, inputs[:ROWS], entries[:ROWS], Tail(runtime_id).newest(statements, count=CHAIN)
            ),
            more_inputs=len(inputs) > ROWS,
            run_id=None if run is None else run[1],
            more_entries=len(entries) > ROWS,
            letters=of_runtime(statements, runtime_id, InputId(""), ROWS),
            children=list_runtimes(statements, count=ROWS, wanted=Wanted(parent=runtime_id)),
        )

    return await opened.read(read)


async def inputs(runtime: str, after: int, opened: Look) -> list[InboxLine]:
    """A page of all inputs of a runtime, in their order. Raises `NotFound`."""
    return await opened.read(partial(list_inbox, runtime_id=check_runtime_id(runtime), after=after, ended=True))


async def steps(runtime: str, run: str | None, after: int, opened: Look) -> tuple[str | None, list[RunEntry], int]:
    """A page of what a run has recorded, the id of the run, and the place after which the next page begins."""
    runtime_id = check_runtime_id(runtime)

    def read(statements: Statements) -> tuple[str | None, list[RunEntry], int]:
        found = find_run(statements, runtime_id, run)
        if found is None:
            return None, [], 0
        last, page = entries_after(statements, *found, after=after)
        return found[1], page, last

    return await opened.read(read)


async def input_content(runtime: str, input_id: str, opened: Look) -> InboxLine:
    """One input with its payload and its result. Raises `NotFound`."""
    return await opened.read(partial(find_input, runtime_id=check_runtime_id(runtime), input_id=input_id))


async def entry_content(runtime: str, run: str, place: str, opened: Look) -> RunEntry:
    """One entry of a run with its result. Raises `NotFound`."""
    runtime_id = check_runtime_id(runtime)

    def read(statements: Statements) -> RunEntry:
        found, after = find_run(statements, runtime_id, run), 0
        while found is not None:
            after, page = entries_after(statements, *found, after=after, content=True)
            for entry in page:
                if entry.place == place:
                    return entry
            if not page:
                break
        raise NotFound(what="entry", key=place, advice="check the place")

    return await opened.read(read)


async def messages(runtime: str, opened: Look) -> list[bytes]:
    """A conversation. Raises `NotFound`."""
    path = await opened.read(partial(sessions.path_of_runtime, runtime_id=check_runtime_id(runtime)))
    if path is None:
        raise NotFound(what="conversation of runtime", key=runtime)
    return list(path)


async def state(runtime: str, opened: Look) -> list[tuple[str, bytes]]:
    """What a runtime keeps between its runs, by name. Raises `NotFound`."""
    found = await opened.read(partial(own_state.find, runtime_id=check_runtime_id(runtime)))
    if found is None:
        raise NotFound(what="runtime", key=runtime)
    return sorted(found.values.items())


async def output(runtime: str, after: str | None, opened: Look) -> spoken.OutputPage:
    """A page of what a runtime has emitted. Raises `NotFound`, `PositionGone`."""
    place = None if after is None else place_of_position(after)
    return await opened.read(partial(spoken.page, runtime_id=check_runtime_id(runtime), after=place))


async def unfinished_runs(after: int, opened: Look) -> tuple[int, list[UnfinishedRun]]:
    """A page of the runs that have begun and have not ended, and the place after which the next one begins."""
    return await opened.read(partial(unfinished_after, after=after))


async def schedule_page(after: int, opened: Look) -> tuple[list[ScheduleRecord], int | None]:
    """A page of the schedules, and the place after which the next one begins."""
    return await opened.read(partial(schedules.list_schedules, after=after, count=ROWS))


async def schedule(schedule_id: str, opened: Look) -> tuple[ScheduleRecord, list[Occurrence]]:
    """A schedule with its newest occurrences. Raises `NotFound`."""

    def read(statements: Statements) -> tuple[ScheduleRecord, list[Occurrence]]:
        found = schedule_rows.find(statements, schedule_id)
        if found is None:
            raise NotFound(what="schedule", key=schedule_id)
        return found, schedules.occurrences_of(statements, schedule_id, schedules.LAST, ROWS)

    return await opened.read(read)


async def queue(session: str | None, after: int, opened: Look) -> tuple[int | None, list[BatchStanding]]:
    """A page of the queued work, and the place after which the next one begins."""
    return await opened.read(partial(list_standing, session_id=session, after=after, count=ROWS))


async def runtimes(wanted: Wanted, after: str, opened: Look) -> list[RuntimeLine]:
    """A page of the runtimes that are wanted, by id, and one more where there are more."""
    return await opened.read(partial(list_runtimes, after=after, count=ROWS + 1, wanted=wanted))
