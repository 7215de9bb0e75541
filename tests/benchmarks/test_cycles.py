"""A commit leaves nothing to Python's collector of cycles: its payload is gone when it is answered."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

import tenure
import tenure.asyncio
import tenure.sync

COMMITS = 20


@contextmanager
def uncollected() -> Generator[list[str]]:
    """Gives, at the end, the classes of tenure's objects that only the collector would have found."""
    found: list[str] = []
    gc.collect()
    gc.disable()
    gc.set_debug(gc.DEBUG_SAVEALL)
    try:
        yield found
        gc.collect()
        found += [type(each).__qualname__ for each in gc.garbage if type(each).__module__.startswith("tenure")]
    finally:
        gc.set_debug(0)
        gc.garbage.clear()
        gc.enable()


def nth(session_id: str, revision: int) -> tenure.RuntimeCommit:
    """Append one node."""
    parent = str(revision - 1) if revision else None
    node = tenure.SessionNodeRecord(node_id=str(revision), parent_node_id=parent, payload=b"said")
    return tenure.RuntimeCommit(session_id=session_id, expected_head_revision=revision, nodes=(node,))


@pytest.mark.parametrize("at_once", [1, 5])
def test_a_commit_from_tasks_of_asyncio_leaves_no_cycle(tmp_path: Path, at_once: int) -> None:
    async def main() -> list[str]:
        async with tenure.asyncio.open_store(tmp_path / "cycles.db") as store:

            async def append(session_id: str, first: int) -> None:
                for revision in range(first, first + COMMITS):
                    await store.sessions.commit_runtime_state(nth(session_id, revision))

            await append("0", 0)
            with uncollected() as found:
                await asyncio.gather(*[append(str(n), 0 if n else COMMITS) for n in range(at_once)])
            return found

    assert asyncio.run(main()) == []


def test_a_commit_from_a_thread_leaves_no_cycle(tmp_path: Path) -> None:
    with tenure.sync.open_store(tmp_path / "cycles.db") as store:
        for revision in range(COMMITS):
            store.sessions.commit_runtime_state(nth("0", revision))
        with uncollected() as found:
            for revision in range(COMMITS, 2 * COMMITS):
                store.sessions.commit_runtime_state(nth("0", revision))

    assert found == []
