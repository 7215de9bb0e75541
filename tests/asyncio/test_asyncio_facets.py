"""Journals and execution state from asyncio."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

import tenure
import tenure.asyncio
from tenure import FullGraph, RuntimeCommit, SessionNodeRecord
from tenure.asyncio.facets import Attachments, BoundAttachments, BoundSession, Journal, Queue, Sessions, State
from tenure.errors import CursorConflict, NotFound, SessionBindingMismatch
from tenure.persistence.contracts.attachments import AttachmentsContract, SessionScopedAttachmentStore
from tenure.persistence.contracts.journals.journal import JournalContract
from tenure.persistence.contracts.queued.queue import QueueContract
from tenure.persistence.contracts.runtime_persistence import RuntimePersistence
from tenure.persistence.contracts.sessions import SessionsContract
from tenure.persistence.contracts.state import StateContract


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await main()

    asyncio.run(bounded())


def verbs(kind: type[Any]) -> set[str]:
    return {name for name, _ in inspect.getmembers(kind, callable) if not name.startswith("_")}


@pytest.mark.parametrize(
    ("front", "contract"),
    [
        (Journal, JournalContract),
        (State, StateContract),
        (Sessions, SessionsContract),
        (BoundSession, RuntimePersistence),
        (Attachments, AttachmentsContract),
        (BoundAttachments, SessionScopedAttachmentStore),
        (Queue, QueueContract),
    ],
)
def test_every_verb_of_the_contract_is_there(front: type[Any], contract: type[Any]) -> None:
    assert verbs(contract) - verbs(front) - {"shutdown"} == set()


def test_verbs_and_streams_are_awaited_from_asyncio(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={}) as supervisor:
            assert await supervisor.journal.append("flow", [1, 2], 0) == 2
            assert [each.event async for each in supervisor.journal.stream("flow")] == [1, 2]
            following = supervisor.journal.follow("flow", 2)
            coming = asyncio.ensure_future(anext(following))
            await supervisor.journal.append("flow", [3])
            assert (await coming).event == 3
            with pytest.raises(NotFound):
                await supervisor.journal.load("flow")
            assert await supervisor.queue.list_queued_work("s") == ()
            await supervisor.state.set_json("e:k", {"a": 1}, 60)
            assert await supervisor.state.get_json("e:k") == {"a": 1}

    run(main)


def test_a_session_is_written_and_read_from_asyncio(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={}) as supervisor:
            talk = supervisor.sessions.bind("talk")
            node = SessionNodeRecord(node_id="a", payload=b"a", timestamp="2026-01-02T03:04:05Z")
            await talk.commit_runtime_state(RuntimeCommit(session_id="talk", expected_head_revision=0, nodes=(node,)))
            read = await supervisor.sessions.load_session("talk", FullGraph())
            assert read is not None
            assert read.graph.nodes == (node,)
            with pytest.raises(SessionBindingMismatch):
                await talk.commit_runtime_state(RuntimeCommit(session_id="other", expected_head_revision=0))

    run(main)


def test_a_file_is_attached_and_fetched_from_asyncio(tmp_path: Path) -> None:
    (tmp_path / "in").write_bytes(b"report" * 1_000)

    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={}) as supervisor:
            files = supervisor.attachments.bind("talk")
            attachment_id = await files.put_file(str(tmp_path / "in"))
            await files.commit_refs([attachment_id])
            await supervisor.attachments.get_file("talk", attachment_id, str(tmp_path / "out"))
            assert (tmp_path / "out").read_bytes() == await files.get(attachment_id)
            assert await supervisor.attachments.is_committed("talk", attachment_id)
            assert files.session_id == "talk"
            with pytest.raises(NotFound):
                await supervisor.attachments.get("other", attachment_id)

    run(main)


def test_a_log_is_opened_from_asyncio_and_writes_when_it_is_left(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={}) as supervisor:
            journal = supervisor.journal
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
