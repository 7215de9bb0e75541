"""Journals and execution state from asyncio."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import tenure
import tenure.asyncio
from tenure import FullGraph, RuntimeCommit, SessionNodeRecord
from tenure.errors import Closed, CursorConflict, InvalidInput, NotADatabase, NotFound, SessionBindingMismatch
from tenure.portals.thread import THREAD


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await main()

    asyncio.run(bounded())


def test_verbs_and_streams_are_awaited_from_asyncio(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={}) as supervisor:
            assert await supervisor.store.journal.append("flow", [1, 2], 0) == 2
            assert [each.event async for each in supervisor.store.journal.stream("flow")] == [1, 2]
            following = supervisor.store.journal.follow("flow", 2)
            coming = asyncio.ensure_future(anext(following))
            await supervisor.store.journal.append("flow", [3])
            assert (await coming).event == 3
            with pytest.raises(NotFound):
                await supervisor.store.journal.load("flow")
            assert await supervisor.store.queue.list_queued_work("s") == ()
            await supervisor.store.state.set_json("e:k", {"a": 1}, 60)
            assert await supervisor.store.state.get_json("e:k") == {"a": 1}

    run(main)


def test_a_store_is_opened_without_a_host(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "agents.db") as store:
            assert await store.journal.append("flow", [1], 0) == 1
            await store.runtimes.persist_runtime_state("ada", "idle")
            await store.credentials.persist_auth_oauth_flow_snapshot(b"flow")
            assert await store.operations.load_ops_lifecycle("ada") is None
            authority = store.credentials.auth_authority_key()
            assert (store.name, store.shared) == ("sqlite", True)
        assert authority is not None
        assert authority.startswith("sqlite:")
        with pytest.raises(Closed, match="store"):
            await store.journal.exists("flow")
        async with tenure.asyncio.open_store(tmp_path / "agents.db") as store:
            assert await store.journal.exists("flow")
            assert await store.runtimes.load_runtime_state("ada") is tenure.RuntimeState.IDLE
            assert await store.credentials.load_auth_oauth_flow_snapshot() == b"flow"

    run(main)
    assert THREAD not in {each.name for each in threading.enumerate()}


def test_sql_of_ones_own_reads_what_is_stored_and_may_be_left_after_the_store(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={}) as supervisor:
            await supervisor.store.runtimes.persist_runtime_state("ada", "idle")
            async with supervisor.store.read_connection() as connection:
                sql = "SELECT state FROM runtimes WHERE runtime_id = :id"
                assert await connection.query(sql, {"id": "ada"}) == [("idle",)]
                with pytest.raises(InvalidInput):
                    await connection.query("DELETE FROM runtimes")
            with pytest.raises(RuntimeError, match="inside its block"):
                await connection.query(sql, {"id": "ada"})
            late = supervisor.store.read_connection()
            connection = await late.__aenter__()
        with pytest.raises(Closed):
            await connection.query(sql, {"id": "ada"})
        await late.__aexit__(None, None, None)
        with pytest.raises(Closed):
            await supervisor.store.read_connection().__aenter__()

    run(main)


def test_what_the_body_of_a_store_raises_leaves_as_it_is_and_what_cannot_be_opened_says_why(tmp_path: Path) -> None:
    async def main() -> None:
        with pytest.raises(ZeroDivisionError):
            async with tenure.asyncio.open_store(":memory:"):
                raise ZeroDivisionError
        with pytest.raises(NotADatabase):
            async with tenure.asyncio.open_store(tmp_path):
                pass

    run(main)
    assert THREAD not in {each.name for each in threading.enumerate()}


def test_a_session_is_written_and_read_from_asyncio(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={}) as supervisor:
            talk = supervisor.store.sessions.bind("talk")
            node = SessionNodeRecord(node_id="a", payload=b"a", timestamp="2026-01-02T03:04:05Z")
            await talk.commit_runtime_state(RuntimeCommit(session_id="talk", expected_head_revision=0, nodes=(node,)))
            read = await supervisor.store.sessions.load_session("talk", FullGraph())
            assert read is not None
            assert read.graph.nodes == (node,)
            with pytest.raises(SessionBindingMismatch):
                await talk.commit_runtime_state(RuntimeCommit(session_id="other", expected_head_revision=0))

    run(main)


def test_a_file_is_attached_and_fetched_from_asyncio(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"report" * 1_000)

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={}) as supervisor:
            files = supervisor.store.attachments.bind("talk")
            attachment_id = await files.put_file(str(tmp_path / "in"))
            await files.commit_refs([attachment_id])
            await supervisor.store.attachments.get_file("talk", attachment_id, str(tmp_path / "out"))
            assert (tmp_path / "out").read_bytes() == await files.get(attachment_id)
            assert await supervisor.store.attachments.is_committed("talk", attachment_id)
            assert files.session_id == "talk"
            with pytest.raises(NotFound):
                await supervisor.store.attachments.get("other", attachment_id)

    run(main)


def test_a_log_is_opened_from_asyncio_and_writes_when_it_is_left(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={}) as supervisor:
            journal = supervisor.store.journal
            async with journal.open("flow", lambda state, event: state + event, 0, strategy="manual") as log:
                assert await log.append([1, 2]) is None
                assert (log.state, log.stored, log.cursor) == (3, 0, 2)
            assert log.stored == 2
            with pytest.raises(CursorConflict):  # noqa: PT012 - leaving the log raises
                async with journal.open("flow", lambda state, event: state + event, 0, strategy="manual") as log:
                    await log.append([4])
                    await journal.append("flow", [5])
            assert [each.event async for each in journal.stream("flow")] == [1, 2, 5]

    run(main)


def test_schedules_from_asyncio_fire_and_are_led(tmp_path: Path) -> None:
    async def note(run: tenure.Run) -> None:
        run.session.append(run.inputs[0].payload)

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={"kind": note}) as supervisor:
            schedules = supervisor.schedules
            made = await schedules.create("s", "a", tenure.Every(3_600), {"go": 1}, "kind", overlap="queue")
            assert await schedules.list() == (made,)
            updated = await schedules.update("s", payload={"go": 2}, jitter_s=5)
            assert (updated.payload, updated.jitter_s, updated.next_at) == ({"go": 2}, 5, made.next_at)
            assert await schedules.pause("s", "a while")
            assert (await schedules.get("s")).note == "a while"
            assert await schedules.resume("s")
            occurrence = await schedules.trigger("s")
            assert occurrence.input_id is not None
            ticket = await supervisor.ticket("a", input_id=occurrence.input_id)
            assert (await ticket.wait_outcome()).phase == "consumed"
            assert await schedules.occurrences("s") == (occurrence,)
            assert await schedules.delete("s")
            with pytest.raises(NotFound):
                await schedules.get("s")

    run(main)
