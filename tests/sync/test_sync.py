"""The front for programs without a loop: verbs from any thread, time limits, signals, forks, nothing left behind."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import FrameType

import pytest
import trio

import tenure
import tenure.sync
from tenure.errors import CannotOpen, Closed, InvalidInput, NotADatabase, NotFound, StoreBroken, UnknownKind
from tests.kit.ground import pull_the_plug
from tests.persistence.contracts.queued.test_queue import draft

MEMORY = ":memory:"
PATIENCE_S = 60.0


async def note(run: tenure.Run) -> object:
    run.session.append(run.inputs[0].payload)
    return await run.step("twice", lambda: run.inputs[0].payload * 2, repeat="freely")


async def say(run: tenure.Run) -> None:
    for word in run.inputs[0].payload:
        await run.emit(word)


async def wait_for_ever(run: tenure.Run) -> None:
    await trio.sleep_forever()


def ours() -> list[str]:
    return [each.name for each in threading.enumerate() if each.name.startswith("tenure")]


@pytest.fixture(autouse=True)
def _no_thread_is_left() -> Iterator[None]:
    yield
    while ours():  # the writer's thread ends a moment after it has said that it is done
        time.sleep(0.001)


class Interrupted(BaseException):
    """What the handler of a signal raises."""


@contextmanager
def interrupts() -> Generator[None]:
    """SIGUSR1 raises in the main thread."""

    def interrupt(_number: int, _frame: FrameType | None) -> None:
        raise Interrupted

    before = signal.signal(signal.SIGUSR1, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_what_is_accepted_is_done_and_can_be_read(tmp_path: Path) -> None:
    with (
        tenure.sync.fail_after(PATIENCE_S),
        tenure.sync.open_supervisor(tmp_path / "a.db", behaviours={"note": note}) as supervisor,
    ):
        ada = supervisor.spawn("ada", "note")
        ticket = ada.accept(21, idempotency_key="1")
        outcome = ticket.wait_outcome()
        assert isinstance(outcome, tenure.Outcome)
        assert outcome.result == 42
        assert ticket.outcome == outcome
        assert ada.accept(21, idempotency_key="1").deduplicated
        assert supervisor.read_session("ada") == [21]
        assert [each.message for each in supervisor.read_session("ada", after=0, limit=5)] == [21]
        assert [each.runtime_id for each in supervisor.list(kind="note")] == ["ada"]
        assert supervisor.runtime("ada").fence_token == ada.fence_token
        assert supervisor.ticket("ada", idempotency_key="1").wait_outcome().result == 42
        assert supervisor.accept("bob", 1, kind="note").wait_outcome().result == 2
        assert supervisor.statistics().runtimes == 2
        ada.retire()
        assert ada.wait_state("retired") is tenure.RuntimeState.RETIRED
        assert repr(ada) == "<Runtime 'ada' note retired>"


def test_labels_are_given_changed_and_asked_for(tmp_path: Path) -> None:
    with (
        tenure.sync.fail_after(PATIENCE_S),
        tenure.sync.open_supervisor(tmp_path / "a.db", behaviours={"note": note}) as supervisor,
    ):
        ada = supervisor.spawn("ada", "note", labels={"tenant": "acme"})
        supervisor.accept("bob", "hello", kind="note", labels={"tenant": "acme"})
        assert ada.relabel({"tier": "gold"}) == {"tenant": "acme", "tier": "gold"}
        assert supervisor.find("bob").relabel(remove=["tenant"]) == {}
        assert [each.runtime_id for each in supervisor.list(labels={"tenant": "acme"})] == ["ada"]


def test_output_is_followed_to_the_end_of_its_input() -> None:
    with tenure.sync.fail_after(PATIENCE_S), tenure.sync.open_supervisor(MEMORY, behaviours={"say": say}) as supervisor:
        ada = supervisor.spawn("ada", "say")
        ticket = ada.accept(["a", "b"])
        reader = ada.follow(ticket=ticket)
        assert [each.value for each in reader if each.kind is tenure.OutputKind.DATA] == ["a", "b"]
        assert reader.position is not None
        with pytest.raises(InvalidInput):
            ada.follow(after="nowhere")


def test_facets_of_a_store_answer_without_a_host(tmp_path: Path) -> None:
    with tenure.sync.open_store(tmp_path / "a.db") as store:
        assert store.limits == tenure.Limits()
        assert store.journal.append("flow", [1, 2], 0) == 2
        events = store.journal.stream("flow")
        assert [each.event for each in events] == [1, 2]
        assert events.after == 2
        with store.journal.open("flow", lambda state, event: state + event, 0) as log:
            log.append([3])
            assert (log.state, log.cursor, log.stored) == (6, 3, 3)
        store.state.set_json("e:k", {"a": 1}, 60)
        assert store.state.get_json("e:k") == {"a": 1}
        files = store.attachments.bind("talk")
        attachment = files.put(b"report")
        assert (files.session_id, files.get(attachment)) == ("talk", b"report")
        talk = store.sessions.bind("talk")
        node = tenure.SessionNodeRecord(node_id="a", payload=b"a", timestamp="2026-01-02T03:04:05Z")
        talk.commit_runtime_state(tenure.RuntimeCommit(session_id="talk", expected_head_revision=0, nodes=(node,)))
        read = store.sessions.load_session("talk", tenure.FullGraph())
        assert read is not None
        assert read.graph.nodes == (node,)
        assert store.queue.list_queued_work("talk") == ()
        store.health_check()
        with pytest.raises(NotFound):
            store.journal.load("absent")
    with pytest.raises(Closed, match="the store is closed"):
        store.journal.exists("flow")


def test_verbs_come_from_many_threads_at_once(tmp_path: Path) -> None:
    with tenure.sync.open_supervisor(tmp_path / "a.db", behaviours={"note": note}) as supervisor:

        def one(number: int) -> object:
            with tenure.sync.fail_after(PATIENCE_S):
                return supervisor.accept(f"agent {number % 4}", number, kind="note").wait_outcome().result

        with ThreadPoolExecutor(20) as threads:
            assert list(threads.map(one, range(60))) == [2 * number for number in range(60)]


def test_a_wait_has_an_end_where_it_is_given_one() -> None:
    with tenure.sync.open_supervisor(MEMORY, behaviours={"wait": wait_for_ever}, drain_s=0) as supervisor:
        ticket = supervisor.spawn("ada", "wait").accept(1)
        with tenure.sync.fail_after(PATIENCE_S), pytest.raises(TimeoutError), tenure.sync.fail_after(0.01):
            ticket.wait_outcome()
        with tenure.sync.fail_after(0.01), pytest.raises(TimeoutError), tenure.sync.fail_after(PATIENCE_S):
            ticket.wait_outcome()
        with tenure.sync.fail_after(0), pytest.raises(TimeoutError):
            next(supervisor.follow())
        assert supervisor.list()  # no limit is left
        with pytest.raises(InvalidInput, match="seconds"), tenure.sync.fail_after(-1):
            pass


def test_a_commit_that_was_taken_when_the_time_ends_gives_its_result() -> None:
    with tenure.sync.open_supervisor(MEMORY, behaviours={"note": note}) as supervisor:

        async def taken(inner: tenure.Supervisor) -> int:
            with trio.CancelScope(shield=True):
                await trio.sleep(0.05)
            return 7

        with tenure.sync.fail_after(0.001):
            assert supervisor.in_trio(taken) == 7


def test_what_a_signal_raises_cancels_the_verb_and_leaves_when_it_has_ended() -> None:
    cancelled = threading.Event()

    async def until_cancelled(inner: tenure.Supervisor) -> None:
        threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
        try:
            await trio.sleep(
                20
            )  # with an end, so that a verb that is not cancelled fails this test in place of hanging it
        except trio.Cancelled:
            cancelled.set()
            raise

    with interrupts(), tenure.sync.open_supervisor(MEMORY, behaviours={"note": note}) as supervisor:
        with pytest.raises(Interrupted):
            supervisor.in_trio(until_cancelled)
        assert cancelled.is_set()
        assert supervisor.accept("ada", 1, kind="note").wait_outcome().result == 2


def test_a_drain_ends_at_what_a_signal_raises() -> None:
    began = 0.0
    with interrupts(), pytest.raises(Interrupted):  # noqa: PT012, SIM117 - what raises is the end of the inner block
        with tenure.sync.open_supervisor(MEMORY, behaviours={"wait": wait_for_ever}, drain_s=PATIENCE_S) as supervisor:
            ada = supervisor.spawn("ada", "wait")
            ada.accept(1)
            ada.wait_state("running")
            began = time.monotonic()
            threading.Timer(0.05, os.kill, (os.getpid(), signal.SIGUSR1)).start()
    assert time.monotonic() - began < PATIENCE_S


@pytest.mark.parametrize("error", [None, ZeroDivisionError])
def test_a_child_that_is_forked_in_a_block_leaves_it_at_once_and_closes_nothing(
    tmp_path: Path, error: type[Exception] | None
) -> None:
    with ExitStack() as stack:  # as a server has it that forks its workers after it has opened
        store = stack.enter_context(tenure.sync.open_store(tmp_path / "a.db"))
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(20)
            code = 1
            try:
                left = stack.__exit__(error, None if error is None else error(), None)
                code = 0 if not left else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert store.state.write({"k": b"1"}) == 1
        assert store.state.get("k") == b"1"


def test_a_forked_child_is_refused_and_the_parent_goes_on(tmp_path: Path) -> None:
    with tenure.sync.open_supervisor(tmp_path / "a.db", behaviours={"note": note}) as supervisor:
        ada = supervisor.spawn("ada", "note")
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(20)  # where it is not refused it waits for ever
            code = 1
            try:
                with pytest.raises(Closed, match="in this forked process"):
                    ada.accept(1)
                health = supervisor.health()
                code = 0 if (health.live, health.ready) == (False, False) else 2
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert ada.accept(1).wait_outcome().result == 2
        assert supervisor.health().ready


def test_a_forked_child_opens_no_file_that_its_parent_had_open_and_any_other_one(tmp_path: Path) -> None:
    """SQLite would count on locks there that stayed with the parent: it waited for ever for one, or wrote with none."""
    closed = tmp_path / "closed.db"
    with tenure.sync.open_store(closed), tenure.sync.open_store(tmp_path / "a.db"):
        pass
    with tenure.sync.open_store(tmp_path / "a.db") as store:
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGALRM, signal.SIG_DFL)
            signal.alarm(20)
            code = 1
            try:
                with pytest.raises(CannotOpen, match="forked"), tenure.sync.open_store(tmp_path / "a.db"):
                    pass
                for other in (closed, tmp_path / "new.db"):
                    with tenure.sync.open_store(other) as opened:
                        opened.health_check()
                code = 0
            finally:
                os._exit(code)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert store.state.write({"k": b"1"}) == 1


def test_a_verb_from_the_supervisors_own_thread_is_refused() -> None:
    with tenure.sync.open_supervisor(MEMORY, behaviours={}) as supervisor:

        async def ask(_inner: tenure.Supervisor) -> None:
            await trio.lowlevel.checkpoint()
            supervisor.list()

        with pytest.raises(RuntimeError, match="await the verb"):
            supervisor.in_trio(ask)


def test_errors_of_verbs_and_of_the_block_leave_as_they_are(tmp_path: Path) -> None:
    with tenure.sync.open_supervisor(MEMORY, behaviours={}) as supervisor, pytest.raises(UnknownKind):
        supervisor.spawn("ada", "unknown")
    with pytest.raises(ZeroDivisionError), tenure.sync.open_supervisor(MEMORY, behaviours={}):
        raise ZeroDivisionError
    with pytest.raises(NotADatabase), tenure.sync.open_supervisor(tmp_path, behaviours={}):
        pass
    with pytest.raises(NotADatabase), tenure.sync.open_store(tmp_path):
        pass
    with pytest.raises(Closed, match="the supervisor is closed"):
        supervisor.list()


def test_a_store_that_breaks_is_each_verbs_error_and_that_of_the_end() -> None:
    async def pull(inner: tenure.Supervisor) -> None:
        await trio.lowlevel.checkpoint()
        pull_the_plug(inner.store)

    with pytest.raises(StoreBroken, match="pulled"):  # noqa: PT012, SIM117 - what raises is the end of the inner block
        with tenure.sync.open_supervisor(MEMORY, behaviours={"wait": wait_for_ever}) as supervisor:
            ticket = supervisor.spawn("ada", "wait").accept(1)
            supervisor.in_trio(pull)
            with pytest.raises(StoreBroken, match="pulled"):
                ticket.wait_outcome()
            with pytest.raises(StoreBroken, match="pulled"):
                supervisor.list()


def test_queued_work_is_served_by_functions_in_threads() -> None:
    served: list[str] = []
    enough = threading.Event()

    def handle(work: tenure.QueuedWork) -> None:
        served.extend(each.batch_id for each in work.batches)
        if len(served) == 3:
            enough.set()

    with tenure.sync.open_supervisor(MEMORY, behaviours={}) as supervisor:
        for number in range(3):
            supervisor.store.queue.enqueue_queued_work(draft(session=f"s{number}"))

        def serve() -> None:
            with pytest.raises(Closed):
                supervisor.serve_queue("", handle)

        server = threading.Thread(target=serve)
        server.start()
        assert enough.wait(PATIENCE_S)
        while any(supervisor.store.queue.list_queued_work(f"s{number}") for number in range(3)):
            time.sleep(0.01)
    server.join(PATIENCE_S)
    assert not server.is_alive()
    assert len(set(served)) == 3


def test_a_host_drains_and_takes_again(tmp_path: Path) -> None:
    with (
        tenure.sync.fail_after(PATIENCE_S),
        tenure.sync.open_supervisor(tmp_path / "a.db", behaviours={"note": note}) as supervisor,
    ):
        ada = supervisor.spawn("ada", "note")
        supervisor.drain(drain_s=1)
        assert supervisor.statistics().runtimes == 0
        ticket = ada.accept(21)
        supervisor.undrain()
        assert ticket.wait_outcome().phase == "consumed"


def test_sql_of_ones_own_reads_what_is_stored(tmp_path: Path) -> None:
    with tenure.sync.open_store(tmp_path / "agents.db") as store:
        store.runtimes.persist_runtime_state("ada", "idle")
        with store.read_connection() as connection:
            assert connection.query("SELECT state FROM runtimes WHERE runtime_id = ?", ("ada",)) == [("idle",)]
            with pytest.raises(InvalidInput):
                connection.query("DELETE FROM runtimes")
        late = store.read_connection()
        late.__enter__()
    late.__exit__(None, None, None)
