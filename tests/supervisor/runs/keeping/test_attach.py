"""A run attaches files to its session: on disk when it returns, committed once, with the run's boundary."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import tenure
from tenure.errors import CannotOpen, InvalidInput, NotFound
from tenure.persistence.model.values import HeldReason
from tenure.persistence.upkeep.inspect import show_runtime
from tests.kit.hosting import consumed, cut_off, host, peek

DATA = b"a report" * 1_000
ID = hashlib.sha256(DATA).hexdigest()


async def is_kept(supervisor: tenure.Supervisor, attachment_id: str = ID) -> bool:
    """Whether the session has it, stamped."""
    session_id = await supervisor.session_id("alice")
    try:
        assert (
            hashlib.sha256(await supervisor.store.attachments.get(session_id, attachment_id)).hexdigest()
            == attachment_id
        )
    except NotFound:
        return False
    return await supervisor.store.attachments.is_committed(session_id, attachment_id)


@pytest.mark.parametrize("form", ["bytes", "file"])
async def test_an_attachment_is_committed_with_the_next_boundary(
    database: Path, tmp_path: Path, autojump_clock: MockClock, form: str
) -> None:
    (tmp_path / "report").write_bytes(DATA)
    stamped: list[bool] = []

    async def act(run: tenure.Run) -> None:
        found = await run.session.attach(DATA if form == "bytes" else tmp_path / "report", "file:report")
        run.session.append({"file": found})
        stamped.append(bool(peek(database, "SELECT 1 FROM attachments WHERE committed_at IS NOT NULL")))
        await run.checkpoint()
        stamped.append(bool(peek(database, "SELECT 1 FROM attachments WHERE committed_at IS NOT NULL")))

    async with host(database, {"kind": act}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")

        assert stamped == [False, True]
        assert await supervisor.read_session("alice") == [{"file": ID}]
        assert await is_kept(supervisor)
        assert [(each.place, each.kind) for each in await supervisor.entries("alice")] == [
            ("main/1", "attach"), ("main/2", "checkpoint"),
        ]  # fmt: skip


class Cut:
    """Attaches, and is cut off at a place the first time."""

    def __init__(self, at: str) -> None:
        self.at = at
        self.data = DATA

    async def __call__(self, run: tenure.Run) -> None:
        await run.session.attach(self.data)
        await self._wait("before the boundary")
        await run.step("look", str, repeat="freely")
        await self._wait("before the boundary, recorded")
        await run.checkpoint()
        await self._wait("after the boundary")
        await run.step("then", str, repeat="freely")

    async def _wait(self, place: str) -> None:
        if self.at == place:
            self.at = ""
            await trio.sleep_forever()


PLACES = ("before the boundary", "before the boundary, recorded", "after the boundary")


@pytest.mark.parametrize("place", PLACES)
async def test_a_run_that_enters_again_attaches_once(database: Path, autojump_clock: MockClock, place: str) -> None:
    act = Cut(place)

    async def begin(supervisor: tenure.Supervisor) -> None:
        await (await supervisor.spawn("alice", "kind")).accept("go", idempotency_key="k")
        await wait_all_tasks_blocked()

    await cut_off(database, {"kind": act}, begin)

    async with host(database, {"kind": act}) as supervisor:
        ticket = await (await supervisor.spawn("alice", "kind")).accept("go", idempotency_key="k")
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert await is_kept(supervisor)
    assert peek(database, "SELECT count(*) FROM attachments") == [[1]]


@pytest.mark.parametrize("place", PLACES[1:])
async def test_other_bytes_than_are_recorded_hold_the_runtime(
    database: Path, autojump_clock: MockClock, place: str
) -> None:
    act = Cut(place)

    async def begin(supervisor: tenure.Supervisor) -> None:
        await (await supervisor.spawn("alice", "kind")).accept("go")
        await wait_all_tasks_blocked()

    await cut_off(database, {"kind": tenure.Behaviour(act, version="1")}, begin)
    act.data = b"other"
    async with host(database, {"kind": tenure.Behaviour(act, version="1")}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        await trio.sleep(1)
        assert alice.held == HeldReason.STEP_MISMATCH


async def test_what_a_loser_attaches_is_not_committed_and_what_branches_attach_is(
    database: Path, autojump_clock: MockClock
) -> None:
    def side(data: bytes, wait_s: float) -> Callable[[], Awaitable[None]]:
        async def attach() -> None:
            await run_now.session.attach(data)
            await run_now.step("wait", trio.sleep, wait_s, repeat="freely")

        return attach

    run_now: Any = None

    async def act(run: tenure.Run) -> None:
        nonlocal run_now
        run_now = run
        await run.gather(side(b"one", 1), side(b"two", 1))
        await run.first(side(b"wins", 1), side(b"loses", 9))

    async with host(database, {"kind": act}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")

        kept = {data: await is_kept(supervisor, hashlib.sha256(data).hexdigest()) for data in (b"one", b"two", b"wins")}
        assert kept == {b"one": True, b"two": True, b"wins": True}
        assert not await is_kept(supervisor, hashlib.sha256(b"loses").hexdigest())


async def test_what_cannot_be_attached_is_refused(database: Path, tmp_path: Path, autojump_clock: MockClock) -> None:
    refused: list[Any] = []

    async def act(run: tenure.Run) -> None:
        async def attach(data: Any = DATA) -> None:
            try:
                await run.session.attach(data)
            except (InvalidInput, CannotOpen) as exc:
                refused.append(type(exc).__name__)

        await attach(tmp_path / "nowhere")
        await attach("text")
        await run.step("inside", attach, repeat="freely")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(attach)
            nursery.start_soon(attach)

    async with host(database, {"kind": act}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")

    assert refused == ["CannotOpen", "InvalidInput", "InvalidInput", "InvalidInput"]


async def test_branches_and_attachments_of_a_session_are_shown_without_their_content(
    database: Path, autojump_clock: MockClock
) -> None:
    async def act(run: tenure.Run) -> None:
        run.session.append("tried")
        await run.session.fork(0)
        run.session.append("kept")
        await run.session.attach(DATA, "file:secret")

    async with host(database, {"kind": act}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")
        shown = await supervisor.store.read(partial(show_runtime, runtime_id=tenure.LogicalRuntimeId("alice")))

    assert shown is not None
    assert shown["session"]["branches"] == 1
    assert shown["session"]["branch_ends"] == [{"node_id": "tenure:1", "messages": 1}]
    files = shown["attachments"]
    assert (files["committed"], files["uncommitted"]) == (1, 0)
    assert [each["attachment_id"] for each in files["newest"]] == [ID]
    assert "secret" not in str(shown)
