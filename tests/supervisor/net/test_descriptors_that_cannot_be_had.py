"""A process that gets no further file descriptor: what needs one is refused, or waits, and no host ends."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
import trio

import tenure
from tenure.errors import Contended, NoDescriptor
from tenure.persistence.seams.executors import Heard, ThreadExecutor
from tenure.persistence.seams.limits import Limits
from tests.kit.descriptors import no_descriptor

T = TypeVar("T")


async def nothing(_: tenure.Run) -> None:
    """Consume."""


async def test_a_store_that_gets_no_descriptor_does_not_open_and_opens_later(database: Path) -> None:
    with no_descriptor(), pytest.raises(NoDescriptor):
        async with tenure.open_store(database):
            pytest.fail("it has no file to write into")

    async with tenure.open_store(database) as store:
        await store.health_check()


@pytest.mark.sqlite("counts the descriptors of a file")
@pytest.mark.parametrize("front", ["sync", "command"])
async def test_however_few_descriptors_are_left_every_front_opens_or_says_so(front: str, database: Path) -> None:
    """The first of them are those of trio's loop, those of the file come after them."""
    async with tenure.open_store(database):
        pass
    program = [sys.executable, "-m", "tests.supervisor.net.few_descriptors", front, str(database)]
    with trio.fail_after(60):
        ended = await trio.run_process(program, capture_stdout=True, capture_stderr=True)

    ends = ended.stdout.decode().split()
    refused = ends.count("NoDescriptor")
    assert ends == ["NoDescriptor"] * refused + ["open"] * (len(ends) - refused)
    assert 0 < refused < len(ends)


@pytest.mark.parametrize("left", range(4))
async def test_a_query_that_gets_no_descriptor_is_refused_or_answered_and_the_host_lives(
    database: Path, left: int
) -> None:
    """With one left the database opens, and its log does not; a server is asked for as long as one that is away."""
    answers: list[object] = []
    limits = Limits(busy_s=0.2)
    async with tenure.open_supervisor(database, behaviours={"kind": nothing}, limits=limits) as supervisor:
        with no_descriptor(but=left):
            try:
                async with supervisor.store.read_connection() as connection:
                    answers += await connection.query("SELECT 1")
            except (NoDescriptor, Contended) as exc:
                answers.append(exc.retryable)
        ticket = await supervisor.accept("alice", "go", kind="kind")
        with trio.fail_after(30):
            assert (await ticket.wait_outcome()).phase == "consumed"
    assert answers in ([True], [(1,)])


@pytest.mark.sqlite("writes the file anew")
async def test_a_file_is_not_written_anew_without_a_descriptor_and_the_host_lives(database: Path) -> None:
    async def fill(run: tenure.Run) -> None:
        for number in range(6_000):  # more than SQLite keeps in memory of a copy
            run.session.append({"number": number, "text": "x" * 400})

    async with tenure.open_supervisor(database, behaviours={"kind": fill}) as supervisor:
        ticket = await supervisor.accept("alice", "go", kind="kind")
        assert (await ticket.wait_outcome()).phase == "consumed"
        with no_descriptor():
            assert not (await supervisor.store.shrink()).written
            assert len(await supervisor.read_session("alice")) == 6_000

        assert (await supervisor.store.shrink()).written


@pytest.mark.sqlite("a server has no folder")
async def test_verbs_of_attachments_are_refused_and_say_that_they_may_be_retried(
    database: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_bytes(b"x")
    async with tenure.open_store(database) as store:
        files = store.attachments.bind("session")
        kept = await files.put(b"kept")
        with no_descriptor():
            for verb in (
                lambda: files.put(b"x"),
                lambda: files.put_file(str(tmp_path / "file")),
                lambda: files.get(kept),
                lambda: files.get_file(kept, str(tmp_path / "copy")),
            ):
                with pytest.raises(NoDescriptor):
                    await verb()
        assert await files.put(b"x") == hashlib.sha256(b"x").hexdigest()


async def test_a_run_waits_for_a_descriptor_and_no_attempt_is_counted(database: Path) -> None:
    entered: list[str] = []
    waiting = trio.Event()

    async def attach(run: tenure.Run) -> None:
        entered.append(run.run_id)
        waiting.set()
        await run.session.attach(b"report")

    limits = Limits(poll_s=0.05)
    async with tenure.open_supervisor(database, behaviours={"kind": attach}, limits=limits) as supervisor:
        with no_descriptor():
            ticket = await supervisor.accept("alice", "go", kind="kind")
            await waiting.wait()
            await trio.sleep(0.5)  # it has asked for a descriptor by then, and been refused: two threads are between
        with trio.fail_after(30):
            assert (await ticket.wait_outcome()).phase == "consumed"
    assert len(entered) == 1


class Refusing:
    """The thread of a reader that gets no file descriptor while it is armed."""

    armed = False

    def __init__(self) -> None:
        self._inner = ThreadExecutor("reads")

    async def run(self, function: Callable[[], T], heard: Heard[T] | None = None, /) -> T:
        if Refusing.armed:
            await trio.lowlevel.checkpoint()
            raise NoDescriptor(what="a connection")
        return await self._inner.run(function, heard)

    def close(self) -> None:
        self._inner.close()


@pytest.mark.parametrize("verb", ["messages", "state", "all", "children", "wait", "sleep"])
async def test_what_a_run_reads_waits_for_a_descriptor_and_costs_no_attempt(
    database: Path, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    entered: list[str] = []
    waiting = trio.Event()

    async def read(run: tenure.Run) -> object:
        entered.append(run.run_id)
        monkeypatch.setattr(Refusing, "armed", True)
        waiting.set()
        match verb:
            case "messages":
                return await run.session.messages()
            case "state":
                return await run.state.get("n")
            case "all":
                return await run.state.all()
            case "children":
                return len(await run.children())
            case "wait":
                return len(await run.wait_steered(timeout_s=0.05))
            case _:
                return await run.sleep(0.05)

    limits, seams = Limits(poll_s=0.05), tenure.Seams(reader_executor=Refusing)
    async with tenure.open_supervisor(database, behaviours={"kind": read}, limits=limits, seams=seams) as supervisor:
        ticket = await supervisor.accept("alice", "go", kind="kind")
        await waiting.wait()
        await trio.sleep(0.5)
        monkeypatch.setattr(Refusing, "armed", False)
        with trio.fail_after(30):
            assert (await ticket.wait_outcome()).phase == "consumed"
    assert len(entered) == 1
