"""The conversation that branches, killed from outside at times drawn from a seed: one branch is left, no turn counts twice."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from collections.abc import Generator
from pathlib import Path

import pytest

import tenure
from tenure import FullGraph, PersistedSessionRead
from tenure.persistence.upkeep.verify_store import verify_part
from tests.kit import postgres

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "persistence" / "facets"
KILLS = 3


@pytest.fixture(params=["file", pytest.param("server", marks=pytest.mark.postgres)])
def targets(request: pytest.FixtureRequest, tmp_path: Path) -> Generator[list[str]]:
    """Where a conversation that is left alone stands, and one that is killed."""
    if request.param == "file":
        yield [str(tmp_path / "whole.db"), str(tmp_path / "killed.db")]
        return
    postgres.needs_server()
    urls = [postgres.new_database() for _ in range(2)]
    yield urls
    postgres.drop([postgres.name_of(each) for each in urls])


def run(db: str, *arguments: str, longest_s: float = 60) -> subprocess.CompletedProcess[str]:
    """Run it to its end, or kill it from outside when so much time has passed."""
    command = [sys.executable, str(ROOT / "examples" / "branches.py"), str(FOLDER), "--db", db, *arguments]
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


async def look(db: str) -> PersistedSessionRead:
    async with tenure.open_store(db) as store:
        for part in ("sessions", "attachments"):
            assert (await verify_part(store, part)).is_sound
        assert await store.attachments.list_uncommitted(2**62) == ()
        assert (await store.sessions.vacuum()).removed_node_count == 0
        found = await store.sessions.load_session("reading", FullGraph())
    assert found is not None
    return found


@pytest.mark.turns(4)
@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("seed", [3])
async def test_a_conversation_that_is_killed_keeps_the_same_branch_and_counts_no_turn_twice(
    targets: list[str], seed: int
) -> None:
    began, (alone, cut) = time.monotonic(), targets
    whole = run(alone)
    longest_s, source = time.monotonic() - began, random.Random(seed)

    killed = [run(cut, longest_s=source.uniform(0, longest_s)) for _ in range(KILLS)]
    killed.append(run(cut, "--kill-at", str(source.randrange(1, 10))))
    ended = run(cut)

    assert whole.returncode == ended.returncode == 0, (whole.stderr, ended.stderr)
    assert whole.stdout == ended.stdout
    assert any(each.returncode < 0 for each in killed), [each.stderr for each in killed]
    one, other = await look(alone), await look(cut)
    assert [node.node_id for node in one.graph.nodes] == [node.node_id for node in other.graph.nodes]
    assert len({str(node.node_id).partition("/")[0] for node in one.graph.nodes}) == len(
        ("question", "branch", "report")
    )
    assert one.token_ledger == other.token_ledger
