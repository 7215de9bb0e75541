"""What keeps a lone commit of a session short: it counts bytecodes, and looks at no clock."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest

import tenure
import tenure.asyncio
from tests.kit.bytecodes import bytecodes

COMMITS = 20

MOST = 3_720
"""Of one commit that appends a node from a task of asyncio, to the disk and back, and a few to spare."""


@pytest.mark.skipif(sys.version_info[:2] != (3, 11), reason="each version of Python has bytecodes of its own")
def test_a_lone_append_to_a_session_takes_no_more_bytecodes_than_it_did(tmp_path: Path) -> None:
    taken: list[int] = []

    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "counted.db") as store:
            for revision in range(COMMITS):
                parent = str(revision - 1) if revision else None
                before, counted.counting = counted.executed, True
                node = tenure.SessionNodeRecord(node_id=str(revision), parent_node_id=parent, payload=b"said")
                await store.sessions.commit_runtime_state(
                    tenure.RuntimeCommit(session_id="talk", expected_head_revision=revision, nodes=(node,))
                )
                counted.counting = False
                taken.append(counted.executed - before)
                await asyncio.sleep(0.02)  # names that are a tenth of a second old are looked at less closely

    with bytecodes() as counted:
        asyncio.run(main())

    assert min(taken) <= MOST, sorted(taken)
