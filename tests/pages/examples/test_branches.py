"""The conversation that branches, killed at points drawn from a seed: one branch is left, and no turn counts twice."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

import tenure
from tenure import FullGraph, PersistedSessionRead
from tenure.persistence.upkeep.verify_store import verify_part

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "persistence" / "facets"
KILLS = 5


def run(db: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / "branches.py"), str(FOLDER), "--db", str(db), *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


async def look(db: Path) -> PersistedSessionRead:
    async with tenure.open_store(db) as store:
        assert (await verify_part(store, "sessions")).is_sound
        assert (await store.sessions.vacuum()).removed_node_count == 0
        found = await store.sessions.load_session("reading", FullGraph())
    assert found is not None
    return found


@pytest.mark.process
@pytest.mark.parametrize("seed", [3])
async def test_a_conversation_that_is_killed_keeps_the_same_branch_and_counts_no_turn_twice(
    tmp_path: Path, seed: int
) -> None:
    whole = run(tmp_path / "whole.db")
    source = random.Random(seed)

    killed = [run(tmp_path / "killed.db", "--kill-at", str(source.randrange(1, 40))) for _ in range(KILLS)]
    ended = run(tmp_path / "killed.db")

    assert whole.returncode == ended.returncode == 0, (whole.stderr, ended.stderr)
    assert whole.stdout == ended.stdout
    assert any(each.returncode < 0 for each in killed), [each.stderr for each in killed]
    one, other = await look(tmp_path / "whole.db"), await look(tmp_path / "killed.db")
    assert [node.node_id for node in one.graph.nodes] == [node.node_id for node in other.graph.nodes]
    assert len({str(node.node_id).partition("/")[0] for node in one.graph.nodes}) == len(
        ("question", "branch", "report")
    )
    assert one.token_ledger == other.token_ledger
