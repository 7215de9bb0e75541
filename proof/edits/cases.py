"""One case of the proof: a recorded run, an edit, a version, and a way out (design §18)."""

from __future__ import annotations

import random
import shutil
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final, final

import trio
import trio.testing
from attrs import frozen

import tenure
from proof.seeded.cases import Broken, virtual_seams
from tenure.errors import InvalidInput
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.records import runtimes
from tenure.persistence.facets.runs import entries
from tenure.persistence.model.codec import digest as digest_of, encode
from tenure.persistence.model.entries import EntryStatus, Repeat
from tenure.supervisor.runs.behaviour import Behaviour, Given

from .changes import REMOVE, RENAME, Edit, must_be_held
from .programs import Item, Map, Program, Step, seats
from .world import FAILS, KILLED, SETTLED, World

LONGEST_S: Final = 200_000.0
"""Virtual seconds that one host of a case lives at most."""

REPLAY_S: Final = 10.0
"""Longer than any program sleeps beside other work; each second of it is a look of what waits for the record."""

ALONE: Final = tenure.Limits(lease_s=1e7, renew_s=1e6, poll_s=1e6, passivate_s=1200.0)
"""An actor is passivated between two attempts, as ever, and is not looked at twice a minute until then."""

POLICY: Final = tenure.RestartPolicy(max_attempts=3, backoff_s=3600.0, backoff_limit_s=3600.0)

HELD: Final = "held"
CONSUMED: Final = "consumed"

PLAIN: Final = "resume"
TAKE: Final = "take what is recorded"
RESTART: Final = "restart"
RENAMED: Final = "say the new name"
FORGET: Final = "forget"
BACK: Final = "go back to the old version"


@final
@frozen(kw_only=True, slots=True)
class Recorded:
    """A run that the first version has recorded, and that waits in a file.

    Attributes:
        file: Where.
        program: Of the first version.
        world: What it did.
        places: Where something stands that another version must not pass by.
        before: Places of all that is recorded.
    """

    file: Path
    program: Program
    world: World
    places: frozenset[str]
    before: frozenset[str]


class _Killed(Exception):
    """The host of a case is left in the middle."""


def behaviour(world: World, program: Program, version: str) -> tenure.Behaviour:
    """What plays a program."""

    async def act(run: tenure.Run) -> None:
        world.seen.clear()
        world.left = None
        await world.play(run, program)

    return tenure.Behaviour(act, version=version, restart=POLICY, replay_s=REPLAY_S)


async def record(program: Program, stop_at: int, how: str, file: Path) -> Recorded | None:
    """Let the first version record a run and stop it; None where it ends before."""
    world = World(stop_at, how)
    given = {"k": behaviour(world, program, "1")}
    try:
        with trio.fail_after(LONGEST_S):
            async with _host(file, given, seed=1) as supervisor:
                runtime = await supervisor.spawn("a", "k")
                ticket = await runtime.accept(1, idempotency_key="once")
                if not await _stopped(world, ticket):
                    return None
                if how == KILLED:
                    await trio.testing.wait_all_tasks_blocked()
                    if ticket.outcome is not None:
                        return None  # what was stopped has lost a race
                    raise _Killed  # noqa: TRY301 - caught outside of the host, which this ends
                await trio.sleep(600.0)  # its attempt ends, and the next is far
    except _Killed:
        pass  # raised above to leave the host; what it has left in the file is read next
    found = await _entries(file)
    world.judge()
    return Recorded(
        file=file,
        program=program,
        world=world,
        places=frozenset(each.place for each in found if not _is_nothing(each)),
        before=frozenset(each.place for each in found),
    )


async def _stopped(world: World, ticket: tenure.Ticket) -> bool:
    async with trio.open_nursery() as nursery:

        async def end() -> None:
            await ticket.wait_outcome()
            nursery.cancel_scope.cancel()

        nursery.start_soon(end)
        await world.stopped.wait()
        nursery.cancel_scope.cancel()
    return world.stopped.is_set()


def _host(file: Path, given: Mapping[str, Given], seed: int) -> AbstractAsyncContextManager[tenure.Supervisor]:
    return tenure.open_supervisor(
        file, behaviours=given, durability="os", limits=ALONE, seams=virtual_seams(random.Random(seed)), drain_s=0
    )


def _is_nothing(entry: entries.RecordedEntry) -> bool:
    """Whether it is a freely step that failed and that nothing stands on: the fix for it is not held."""
    return entry.repeat is Repeat.FREELY and entry.status in (EntryStatus.FAILED, EntryStatus.RETRYING)


async def _entries(file: Path) -> list[entries.RecordedEntry]:
    async with tenure.open_store(file, limits=ALONE, seams=virtual_seams(random.Random(2))) as store:
        return await store.read(lambda statements: entries.of_run(statements, 1))


@final
@frozen(kw_only=True, slots=True)
class Case:
    """What happens to a recorded run.

    Attributes:
        recorded: Which.
        edit: What the second version does.
        version: Its name; that of the first is 1.
        way: How a person lets it go on where it is held.
    """

    recorded: Recorded
    edit: Edit
    version: str
    way: str

    def __str__(self) -> str:
        world = self.recorded.world
        return f"{world.how} at {world.stop_at}, {self.edit}, version {self.version!r}, {self.way}"


def cases(recorded: Recorded, edits: Iterable[Edit]) -> Iterator[Case]:
    """Every edit under every version, with every way out."""
    for edit in edits:
        for version in ("1", "2", ""):
            for way in _ways(edit, version):
                yield Case(recorded=recorded, edit=edit, version=version, way=way)


def _ways(edit: Edit, version: str) -> Iterator[str]:
    yield from (PLAIN, TAKE, RESTART)
    if edit.name == RENAME:
        yield RENAMED
    if edit.name == REMOVE:
        yield FORGET
    if version == "2":
        yield BACK


async def check(case: Case, file: Path) -> str:
    """Let the second version go on, and a person after it, and judge; the result. Raises `Broken`."""
    for each in case.recorded.file.parent.glob(f"{case.recorded.file.name}*"):
        copy = shutil.copytree if each.is_dir() else shutil.copy  # the folder of attachments, or a file
        copy(each, file.with_name(each.name.replace(case.recorded.file.name, file.name)))
    world = case.recorded.world.copy()
    program = case.edit.program
    given: list[Behaviour] = [behaviour(world, program, case.version)]
    with trio.fail_after(LONGEST_S):
        async with _host(file, {"k": given}, seed=3) as supervisor:
            came = await _goes_on(supervisor, world)
            world.said = await supervisor.read_session("a")
            _judge(case, came, world, program)
            if came != HELD:
                return came
            if case.way != BACK:
                came = await _go_out(case, supervisor, world)
                world.said = await supervisor.read_session("a")
        if case.way == BACK:
            came = await _go_back(case, file, world)
            program = case.recorded.program
    _judge_way(case, came)
    world.judge()
    if came == CONSUMED:
        compares = case.way in (BACK, RESTART)  # a restart finds by arguments what it has carried over
        world.judge_end(program, frozenset() if compares else _taken(case, by_a_person=case.way == TAKE))
        if case.way == RESTART:
            world.judge_said(program)
    return f"{HELD}, {case.way}: {came}"


def _judge(case: Case, came: str, world: World, program: Program) -> None:
    world.judge()
    held = must_be_held(case.edit, case.recorded.places, same_version=case.version == "1")
    right = (
        (HELD, "abandoned") if case.recorded.world.how == FAILS else (HELD,)
    )  # who waits ends with a branch that raised
    if held and came not in right:
        message = f"it was not held but {came}"
        raise Broken(message)
    if case.edit.seat is None and came == HELD:
        message = "it was held though nothing was edited"
        raise Broken(message)
    if came == CONSUMED:
        world.judge_end(program, _taken(case, by_a_person=False))
        if case.version == "1":  # under another one what stands is taken
            world.judge_said(program)


def _taken(case: Case, *, by_a_person: bool) -> frozenset[str]:
    """Work of steps that are given what stands at their place.

    Under another version, or where a person says so, the arguments of what has ended are not compared (design §18): a step is
    not told from another one of its name and repeat that has come to stand at its place.
    """
    if case.version == "1" and not by_a_person:
        return frozenset()
    recorded = case.recorded
    before = {seat.place: seat.item for seat in seats(recorded.program) if seat.place and seat.place in recorded.places}
    found = [(before.get(seat.place or ""), seat.item) for seat in seats(case.edit.program)]
    return frozenset([each.work for old, each in found if isinstance(each, Step) and _is_taken_for(each, old)])


def _is_taken_for(step: Step, old: Item | None) -> bool:
    return isinstance(old, Step) and (old.name, old.repeat) == (step.name, step.repeat) and old.work != step.work


def _judge_way(case: Case, came: str) -> None:
    failed = case.recorded.world.how == FAILS
    if came in (HELD, "abandoned") and not failed and case.way in (RENAMED, BACK):
        message = f"held, and {case.way} ended in {came}"
        raise Broken(message)


async def _goes_on(supervisor: tenure.Supervisor, world: World) -> str:
    """How the run goes on: held, or the phase of its input. Doubts are settled: what was called ran, and nothing else."""
    while True:
        found = await _held_or_ended(supervisor)
        runtime = supervisor.runtime("a")
        if found != HELD or runtime.held != "needs attention":
            return found
        (place, *more) = [(each, _verdict(world, digest)) for each, digest in await _doubts(supervisor)]
        await runtime.settle_step(*place, *more)


def _verdict(world: World, digest: bytes) -> tenure.Ran | tenure.DidNotRun:
    """What is known of work by what its step was given: where another step is in doubt, it may have been cut off unbegun."""
    given = [each for work, times in world.done.items() if times for each in (work, f"{work} in other words")]
    ran = any(digest_of(encode([each], "arguments")) == digest for each in given)
    return tenure.Ran(SETTLED) if ran else tenure.DidNotRun()


async def _doubts(supervisor: tenure.Supervisor) -> list[tuple[str, bytes]]:
    found = await supervisor.store.read(_current)
    return [(each.place, each.arguments_digest) for each in found if each.status is EntryStatus.IN_DOUBT]


def _current(statements: Statements) -> list[entries.RecordedEntry]:
    record = runtimes.find(statements, tenure.LogicalRuntimeId("a"))
    return [] if record is None or record.run is None else entries.of_run(statements, record.run)


async def _held_or_ended(supervisor: tenure.Supervisor) -> str:
    runtime = supervisor.runtime("a")
    ticket = await supervisor.ticket("a", idempotency_key="once")
    found: list[str] = []

    async def note(wait: Callable[[], Awaitable[object]], what: Callable[[], str]) -> None:
        await wait()
        found.append(what())
        nursery.cancel_scope.cancel()

    async with trio.open_nursery() as nursery:  # owned by this wait
        nursery.start_soon(note, runtime.wait_held, lambda: HELD)
        nursery.start_soon(note, ticket.wait_outcome, lambda: str(ticket.outcome and ticket.outcome.phase))
    return found[0]


async def _go_out(case: Case, supervisor: tenure.Supervisor, world: World) -> str:
    runtime, seat = supervisor.runtime("a"), case.edit.seat
    own = [] if seat is None or seat.place is None else _own_places(case.recorded.places, seat.place)
    try:
        match case.way:
            case way if way == TAKE:
                await runtime.resume(take_recorded=True)
            case way if way == RESTART:
                await runtime.resume(restart_run=True)
            case way if way == RENAMED and seat is not None and isinstance(seat.item, Step | Map):
                await runtime.resume(renamed=dict.fromkeys(own, f"{seat.item.name} by card"))
            case way if way == FORGET and own:
                await runtime.resume(forget=own[:1])
            case _:
                await runtime.resume()
    except InvalidInput:
        return "refused"  # what never repeats is not forgotten in silence
    return await _goes_on(supervisor, world)


def _own_places(places: frozenset[str], place: str) -> list[str]:
    return sorted([each for each in places if each == place or each.startswith(f"{place}.")])


async def _go_back(case: Case, file: Path, world: World) -> str:
    both: list[Behaviour] = [
        behaviour(world, case.edit.program, case.version),
        behaviour(world, case.recorded.program, "1"),
    ]
    async with _host(file, {"k": both}, seed=4) as supervisor:
        before = {each.place for each in await supervisor.store.read(_current)}
        await (await supervisor.find("a")).resume(version="1")
        came = await _goes_on(supervisor, world)
    return came if before <= case.recorded.before else "mixed"
