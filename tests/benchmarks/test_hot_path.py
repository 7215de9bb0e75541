"""What keeps the hot path short. These count work; none of them looks at a clock."""

from __future__ import annotations

import gc
import sys
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar, final

import apsw
import pytest
import trio
import trio.lowlevel

import tenure
from tenure.errors import ValueConflict
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.ownership.ownership import TakeOwnership
from tenure.persistence.model.values import (
    LogicalRuntimeId,
    SessionId,
)
from tenure.persistence.seams.executors import (
    Executor,
    Heard,
    InlineExecutor,
    ThreadExecutor,
)
from tenure.persistence.seams.seams import Seams
from tests.kit.statements import statements_heard

T = TypeVar("T")

INPUTS = 20

Trace = Callable[[FrameType, str, Any], Any]


async def remember(run: tenure.Run) -> None:
    for each in run.inputs:
        run.session.append(each.payload)


@pytest.fixture
def preparing() -> Iterator[list[tuple[object, ...]]]:
    """What SQLite asks its authorizer, on every connection of the test. It asks while it prepares, never while it executes."""
    asked: list[tuple[object, ...]] = []

    def authorize(*question: object) -> int:
        asked.append(question)
        return apsw.SQLITE_OK

    def hook(connection: apsw.Connection) -> None:
        connection.authorizer = authorize

    apsw.connection_hooks.append(hook)
    yield asked
    apsw.connection_hooks.remove(hook)


async def test_a_statement_is_prepared_once_however_often_its_values_change(
    tmp_path: Path, preparing: list[tuple[object, ...]]
) -> None:
    limits = tenure.Limits(poll_s=3600)  # the first look at other hosts prepares statements of its own
    behaviours = {"agent": remember}
    async with tenure.open_supervisor(tmp_path / "hot.db", behaviours=behaviours, limits=limits) as supervisor:
        runtime = await supervisor.spawn("a", "agent")
        prepared: list[bool] = []
        for number in range(INPUTS):
            preparing.clear()
            ticket = await runtime.accept(number, idempotency_key=str(number))
            await ticket.wait_outcome()
            prepared.append(bool(preparing))

    # On a busy machine the first look for erasures comes late, and prepares what it asks. A statement that is prepared with
    # each of its values shows in every input.
    assert prepared[0]
    assert sum(prepared[1:]) <= 1


async def test_an_input_from_accept_to_consumption_is_two_commits() -> None:
    async with tenure.open_supervisor(":memory:", behaviours={"agent": remember}) as supervisor:
        runtime = await supervisor.spawn("a", "agent")
        before = supervisor.statistics().commits
        for number in range(INPUTS):
            ticket = await runtime.accept(number)
            await ticket.wait_outcome()

        assert supervisor.statistics().commits - before == 2 * INPUTS


CALLS = 230
"""What one input calls of this library in the thread of the loop, at the least, from accept to outcome, and a few to spare."""


async def test_an_input_calls_no_more_than_it_did() -> None:
    here = f"{Path(tenure.__file__).parents[1]}/"
    called = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal called
        called += event == "call" and frame.f_code.co_filename.startswith(here)

    async with tenure.open_supervisor(":memory:", behaviours={"agent": remember}) as supervisor:
        runtime = await supervisor.spawn("a", "agent")
        await (await runtime.accept(0)).wait_outcome()
        sys.setprofile(count)  # of this thread alone: the writer has one for itself
        taken: list[int] = []
        try:
            for number in range(INPUTS):
                before = called
                await (await runtime.accept(number)).wait_outcome()
                taken.append(called - before)
        finally:
            sys.setprofile(None)

    # What the host does by the clock meanwhile is counted too, and on a busy machine there is more of that for each input.
    assert min(taken) <= CALLS, sorted(taken)


CALLS_OF_A_PIECE = 335
"""What one piece of queued work calls of this library, each commit in its own group, and a few to spare."""


async def test_a_piece_of_queued_work_calls_no_more_than_it_did() -> None:
    called = 0

    def count(frame: FrameType, event: str, _: object) -> None:
        nonlocal called
        called += event == "call" and is_ours(frame)

    async with a_piece_of_work() as work:
        sys.setprofile(count)
        try:
            for _ in range(INPUTS):
                await work()
        finally:
            sys.setprofile(None)

    assert called / INPUTS <= CALLS_OF_A_PIECE, called / INPUTS


BYTECODES_OF_A_PIECE = 8_000
"""What it executes of this library, and a few to spare."""


async def test_a_piece_of_queued_work_executes_no_more_than_it_did() -> None:
    executed = 0

    def trace(frame: FrameType, _event: str, _: object) -> Trace | None:
        if not is_ours(frame):
            return None
        frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return count

    def count(_frame: FrameType, event: str, _: object) -> Trace:
        nonlocal executed
        executed += event == "opcode"
        return count

    before = sys.gettrace()
    async with a_piece_of_work() as work:
        sys.settrace(trace)
        try:
            for _ in range(INPUTS):
                await work()
        finally:
            sys.settrace(before)

    assert executed / INPUTS <= BYTECODES_OF_A_PIECE, executed / INPUTS


def is_ours(frame: FrameType) -> bool:
    """Of this library; attrs' own in it too."""
    return str(frame.f_globals.get("__name__")).startswith("tenure.")


@asynccontextmanager
async def a_piece_of_work() -> AsyncGenerator[Callable[[], Awaitable[None]]]:
    """Does a piece, of which the first ones were done: each commit in its own group, in the thread of the loop."""
    batch = tenure.QueuedWorkBatchDraft(
        session_id="s",
        delivery_policy=tenure.DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
        slot_policy=tenure.SlotPolicy.EXCLUSIVE,
        payloads=(tenure.QueuedWorkPayload(kind=tenure.QueuedWorkKind.TURN_INPUT, body=b"work"),),
    )
    async with tenure.open_store(":memory:", seams=Seams(writer_executor=InlineExecutor)) as store:

        async def work() -> None:
            await store.queue.enqueue_queued_work(batch)
            claim = await store.queue.claim_ready_queued_work(
                "s", "w", tenure.QueuedWorkClaimBoundary.IDLE, lease_ttl_ms=60_000, max_batches=1
            )
            assert claim is not None
            await store.queue.complete_queued_work_claim(claim.completion())

        await work()
        await work()
        yield work


BYTECODES_OF_A_VALUE = 25
"""What one of a hundred new values takes that are written together, and a few to spare."""


async def test_a_value_that_is_written_with_others_takes_no_more_than_it_did() -> None:
    took = 0

    def count(frame: FrameType, event: str, _: object) -> Any:
        nonlocal took
        frame.f_trace_opcodes = True
        took += event == "opcode"
        return count

    async with tenure.open_store(":memory:", seams=Seams(writer_executor=InlineExecutor)) as store:

        async def took_by(size: int, name: str) -> int:
            nonlocal took
            values: dict[str, bytes | None] = {f"{name}:{number}": b"1" for number in range(size)}
            took = 0
            sys.settrace(count)
            try:
                await store.state.write(values, expected=dict.fromkeys(values))
            finally:
                sys.settrace(None)
            return took

        await took_by(10, "first")
        each = (await took_by(110, "many") - await took_by(10, "few")) / 100

    assert each <= BYTECODES_OF_A_VALUE, each


async def test_an_input_leaves_nothing_for_the_collector_of_cycles() -> None:
    async with tenure.open_supervisor(":memory:", behaviours={"agent": remember}) as supervisor:
        runtime = await supervisor.spawn("a", "agent")
        await (await runtime.accept(0)).wait_outcome()
        gc.collect()
        gc.disable()
        try:
            for number in range(INPUTS):
                await (await runtime.accept(number)).wait_outcome()
            found = gc.collect()
        finally:
            gc.enable()

    assert found < INPUTS, "nothing of each input, and a few of whatever else went on"


TRACKED = 49 if sys.version_info < (3, 13) else 52
"""What the collector looks at for each input that is being worked on (46 to 48 are seen, to 50 with 3.13), and one to spare."""


async def test_an_input_that_is_worked_on_is_few_objects_for_the_collector() -> None:
    let_go = trio.Event()

    async def hold(run: tenure.Run) -> None:
        run.session.append(run.inputs[0].payload)
        if run.inputs[0].payload:
            await let_go.wait()

    async with tenure.open_supervisor(":memory:", behaviours={"agent": hold}) as supervisor:
        runtimes = [await supervisor.spawn(str(number), "agent") for number in range(INPUTS)]

        async def held() -> float:
            nonlocal let_go
            let_go = trio.Event()
            for each in runtimes:
                await (await each.accept(0)).wait_outcome()
            gc.collect()
            before = len(gc.get_objects())
            tickets = [await each.accept(1) for each in runtimes]
            while supervisor.statistics().running < INPUTS:
                await trio.lowlevel.checkpoint()
            found = len(gc.get_objects()) - before
            let_go.set()
            for ticket in tickets:
                await ticket.wait_outcome()
            return found / INPUTS

        # What else the process does meanwhile is counted too: the least says what the inputs take.
        least = min([await held() for _ in range(8)])

    assert least <= TRACKED, least


INSTRUMENTS = (
    "hooks.py",
    "happenings.py",
    "instrumented_runs.py",
    "instrumented_accepts.py",
    "measures.py",
    "metrics.py",
    "traceparent.py",
)
"""The modules of hooks, metrics and traces."""


@pytest.mark.parametrize("watched", [False, True], ids=["off", "on"])
async def test_without_hooks_an_input_calls_nothing_of_them(*, watched: bool) -> None:
    called: list[str] = []

    def count(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and Path(frame.f_code.co_filename).name in INSTRUMENTS:
            called.append(frame.f_code.co_name)

    async def work(run: tenure.Run) -> None:
        await run.step("look", look, repeat="freely")
        await run.emit("word")
        run.send("b", None)

    async def look() -> None:
        pass

    async with tenure.open_supervisor(":memory:", behaviours={"agent": work, "other": remember}) as supervisor:
        runtime = await supervisor.spawn("a", "agent")
        await supervisor.spawn("b", "other")
        if watched:
            supervisor.metrics()
        await (await runtime.accept(0)).wait_outcome()
        sys.setprofile(count)
        try:
            for number in range(INPUTS):
                await (await runtime.accept(number)).wait_outcome()
        finally:
            sys.setprofile(None)

    assert bool(called) is watched, called


@pytest.fixture
def executed() -> Iterator[list[str]]:
    """The first words of every statement that is executed, on every connection of the test."""
    seen: list[str] = []
    with statements_heard(lambda sql: seen.append(" ".join(sql.split()[:3]))):
        yield seen


async def test_a_boundary_writes_five_rows_and_reads_none(executed: list[str]) -> None:
    async def checkpoint(run: tenure.Run) -> None:
        for number in range(INPUTS):
            executed.clear()
            run.session.append(number)
            await run.checkpoint()

    async with tenure.open_supervisor(":memory:", behaviours={"agent": checkpoint}) as supervisor:
        runtime = await supervisor.spawn("a", "agent")
        await (await runtime.accept(None)).wait_outcome()
        last = executed[: executed.index("COMMIT")]

    assert [each for each in last if not each.startswith(("BEGIN", "SAVEPOINT", "RELEASE"))] == [
        "UPDATE hosts SET",
        "INSERT INTO nodes",
        "INSERT INTO receipts",
        "INSERT INTO entries",
        "SELECT 1 FROM",  # whether anything steers the run: asked by `Run.checkpoint`
        "UPDATE sessions SET",
        "UPDATE runtimes SET",
    ]


async def test_an_executor_counts_what_is_out_and_takes_its_instrument_away() -> None:
    executor = ThreadExecutor("test")

    assert await executor.run(lambda: executor.give_way.working) == 1
    with trio.CancelScope() as scope:
        scope.cancel()
        await executor.run(lambda: None)
    await executor.run(lambda: None)

    assert executor.give_way.working == 0
    executor.close()
    with pytest.raises(KeyError):
        trio.lowlevel.remove_instrument(executor.give_way)


@pytest.mark.parametrize("make", [partial(ThreadExecutor, "test"), InlineExecutor], ids=["thread", "inline"])
async def test_what_was_found_is_heard_before_its_caller_runs_again(make: Callable[[], Executor]) -> None:
    executor = make()
    order: list[object] = []

    assert await executor.run(lambda: 1, order.append) == 1
    order.append("back")
    with pytest.raises(ZeroDivisionError):
        await executor.run(lambda: 1, lambda found: found // 0)
    with pytest.raises(ZeroDivisionError):
        await executor.run(lambda: 1 // 0, order.append)
    with trio.CancelScope() as scope:
        await executor.run(lambda: 2, lambda _: scope.cancel())  # as the writer does where the store breaks
    executor.close()

    assert order == [1, "back"]


@final
class HeldCheckpoints:
    """An inline executor on which checkpoints wait until they are let go."""

    def __init__(self) -> None:
        self.reached = trio.Event()
        self.let_go = trio.Event()
        self._inline = InlineExecutor()

    async def run(self, function: Callable[[], T], heard: Heard[T] | None = None, /) -> T:
        if getattr(function, "__name__", "") == "checkpoint":
            self.reached.set()
            await self.let_go.wait()
        return await self._inline.run(function, heard)

    def close(self) -> None:
        """Nothing to close."""


async def test_what_is_on_disk_does_not_wait_for_a_checkpoint_to_be_acknowledged(tmp_path: Path) -> None:
    executor = HeldCheckpoints()
    seams = tenure.Seams(writer_executor=lambda: executor, engine=tenure.SqliteOptions(wal_pages=1))

    async with tenure.open_store(tmp_path / "hot.db", seams=seams) as store:
        new_id = store.seams.new_id
        take = TakeOwnership(
            runtime_id=LogicalRuntimeId("a"), kind="agent", epoch=new_id(), session_id=SessionId(new_id())
        )
        with trio.fail_after(60):
            result = await store.commit(Commit(changes=(take,)))
            await executor.reached.wait()
        executor.let_go.set()

    assert result.values[0].fence_token == 1


async def test_an_append_to_the_head_of_a_session_and_a_value_that_is_new_read_nothing(tmp_path: Path) -> None:
    heard: list[str] = []
    with statements_heard(heard.append):
        async with tenure.open_store(tmp_path / "hot.db") as store:
            for revision in range(3):
                heard.clear()
                node = tenure.SessionNodeRecord(
                    node_id=str(revision), parent_node_id=str(revision - 1) if revision else None, payload=b"said"
                )
                await store.sessions.commit_runtime_state(
                    tenure.RuntimeCommit(session_id="talk", expected_head_revision=revision, nodes=(node,))
                )
            appended = [sql for sql in heard if sql.startswith("SELECT")]
            await store.state.set("run:a", b"1")
            heard.clear()
            await store.state.set("run:b", b"1")
            await store.state.write({"run:c": b"1", "run:d": b"1"}, expected={"run:c": None, "run:d": None})
            put = [sql for sql in heard if sql.startswith("SELECT")]

    assert appended == put == []


async def test_a_value_that_is_there_already_has_its_group_tried_again_once_and_not_each_time(tmp_path: Path) -> None:
    heard: list[str] = []
    with statements_heard(heard.append):
        async with tenure.open_store(tmp_path / "hot.db") as store:
            await store.state.write({"lock": b"1"}, expected={"lock": None})
            heard.clear()
            for _ in range(10):
                with pytest.raises(ValueConflict):
                    await store.state.write({"lock": b"2"}, expected={"lock": None})
            tries = len([sql for sql in heard if sql.startswith("BEGIN")])

    assert tries == 10 + 1
