"""The conversation that branches, killed from outside at times drawn from a seed: one branch is left, no turn counts twice."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

import tenure
from tenure import FullGraph, PersistedSessionRead
from tenure.persistence.upkeep.verify_store import verify_part

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "persistence" / "facets"
KILLS = 3


def run(db: Path, *arguments: str, longest_s: float = 60) -> subprocess.CompletedProcess[str]:
    """Run it to its end, or kill it from outside when so much time has passed."""
    command = [sys.executable, str(ROOT / "examples" / "branches.py"), str(FOLDER), "--db", str(db), *arguments]
    with subprocess.Popen(
        command,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            said = process.communicate(timeout=longest_s)
        except subprocess.TimeoutExpired:
            process.kill()
            said = process.communicate()
    return subprocess.CompletedProcess(command, process.returncode, *said)


async def look(db: Path) -> PersistedSessionRead:
    async with tenure.open_store(db) as store:
        assert (await verify_part(store, "sessions")).is_sound
        assert (await store.sessions.vacuum()).removed_node_count == 0
        found = await store.sessions.load_session("reading", FullGraph())
    assert found is not None
    return found


@pytest.mark.turns(4)
@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("seed", [3])
async def test_a_conversation_that_is_killed_keeps_the_same_branch_and_counts_no_turn_twice(
    tmp_path: Path, seed: int
) -> None:
    began = time.monotonic()
    whole = run(tmp_path / "whole.db")
    longest_s, source = time.monotonic() - began, random.Random(seed)

    killed = [run(tmp_path / "killed.db", longest_s=source.uniform(0, longest_s)) for _ in range(KILLS)]
    killed.append(run(tmp_path / "killed.db", "--kill-at", str(source.randrange(1, 10))))
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
