"""Every benchmark runs from a checkout and prints one line of JSON. No time is asserted."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ON_SERVER = {"fleet.py"}
BENCHMARKS = [
    pytest.param(name, marks=pytest.mark.postgres) if name in ON_SERVER else name
    for name in sorted(path.name for path in (ROOT / "benchmarks").glob("*.py"))
]


def run(script: str, *arguments: str) -> dict[str, object]:
    done = subprocess.run(
        [sys.executable, str(ROOT / "benchmarks" / script), "--small", *arguments],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (line,) = done.stdout.splitlines()
    found: dict[str, object] = json.loads(line)
    return found


@pytest.mark.turns(10)
@pytest.mark.slow
@pytest.mark.process
@pytest.mark.parametrize("script", BENCHMARKS)
def test_a_benchmark_prints_one_json_line_that_names_it_and_the_machine(script: str, tmp_path: Path) -> None:
    found = run(script, "--folder", str(tmp_path))

    assert found["benchmark"] == script.removesuffix(".py")
    assert found["machine"]
    assert not list(tmp_path.iterdir())


@pytest.mark.turns(6)
@pytest.mark.slow
@pytest.mark.process
def test_commits_replays_transcripts_one_runtime_a_conversation(tmp_path: Path) -> None:
    transcripts = tmp_path / "conversations.jsonl"
    lines = [
        {"id": name, "messages": [{"role": "user", "content": f"{name} {at}"} for at in range(3)]}
        for name in ("a", "b")
    ]
    transcripts.write_text("".join(json.dumps(line) + "\n" for line in lines))

    found = run("commits.py", "--transcripts", str(transcripts))

    replayed = found["transcripts_inputs"]
    assert isinstance(replayed, dict)
    assert replayed["conversations"] == 2


@pytest.mark.slow
@pytest.mark.process
def test_a_file_of_64_mib_takes_no_more_than_8_mib_of_memory(tmp_path: Path) -> None:
    found = run("attachments.py", "--folder", str(tmp_path), "--mib", "64")

    assert found["mib"] == 64
    more = found["more_mib"]
    assert isinstance(more, float)
    assert more < 8
