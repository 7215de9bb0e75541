"""A store that is lost and brought back: a series of backups, a restore to a moment, and the receipts that a client kept."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

import tenure
from tenure.cli.exits import DONE, NOT_THERE, REFUSED, WRONG_USE
from tenure.cli.upkeep.backups import place, ready
from tenure.persistence.upkeep.backup import back_up, restore
from tests.architecture.tree import ROOT
from tests.cli.test_backup_commands import call
from tests.kit.processes import running

pytestmark = [pytest.mark.slow]


async def work(path: Path, *payloads: str, name: str = "ada") -> list[dict[str, Any]]:
    """Have inputs consumed; the receipts of their checkpoints, as a client keeps them."""
    kept: list[dict[str, Any]] = []

    async def answer(run: tenure.Run) -> None:
        run.session.append({"heard": run.inputs[0].payload})
        kept.append(attrs.asdict(await run.checkpoint()))

    async with tenure.open_supervisor(path, behaviours={"worker": answer}) as supervisor:
        for payload in payloads:
            await (await supervisor.accept(name, payload, kind="worker")).wait_outcome()
    return kept


def write(path: Path, receipts: list[dict[str, Any]]) -> Path:
    path.write_text("".join(f"{json.dumps(each)}\n" for each in receipts), encoding="utf-8")
    return path


def found(target: Path, file: Path) -> list[str]:
    result = call("verify", target, "--receipts", file, "--json")
    lines = json.loads(result.stdout)
    lost = any(line["found"] in ("beyond the head", "of another chain") for line in lines)
    assert result.exit_code == (REFUSED if lost else DONE), result.output
    return [line["found"] for line in lines]


def test_receipts_that_a_client_kept_are_there_beyond_the_head_or_of_another_chain(tmp_path: Path) -> None:
    path, restored = tmp_path / "a.db", tmp_path / "restored.db"

    async def live() -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        before = await work(path, "one", "two")
        await back_up(path, tmp_path / "copy.db")
        after = await work(path, "three") + await work(path, "first", name="born-later")
        await restore(tmp_path / "copy.db", restored)
        return before, after

    before, after = trio.run(live)
    file = write(tmp_path / "kept.jsonl", before + after)
    assert before
    assert after

    assert set(found(path, file)) == {"there"}
    assert found(restored, file) == ["there"] * len(before) + ["beyond the head"] * len(after)
    trio.run(work, restored, "another")
    assert found(restored, file) == ["there"] * len(before) + ["of another chain", "beyond the head"]
    forged = write(tmp_path / "forged.jsonl", [before[0] | {"message_count": 7}])
    assert found(path, forged) == ["of another chain"]


def test_receipts_that_went_by_age_are_pruned_and_not_lost(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    kept = trio.run(work, path, "one", "two")
    assert call("vacuum", path, "--older-than", 0).exit_code == DONE
    trio.run(work, path, "three")

    assert set(found(path, write(tmp_path / "kept.jsonl", kept))) <= {"there", "pruned"}
    assert "pruned" in found(path, tmp_path / "kept.jsonl")


@pytest.mark.parametrize("line", ["no json", "{}", "[1]", '{"run_id": 5}', '{"runtime_id": ""}'])
def test_what_is_no_receipt_is_refused_with_its_line(tmp_path: Path, line: str) -> None:
    path = tmp_path / "a.db"
    [*_, kept] = trio.run(work, path, "one")
    file = write(tmp_path / "kept.jsonl", [kept])
    file.write_text(f"{file.read_text()}\n{line}\n", encoding="utf-8")

    result = call("verify", path, "--receipts", file)

    assert result.exit_code == WRONG_USE
    assert "line 3" in result.stderr
    assert call("verify", path, "--receipts", tmp_path / "none").exit_code == NOT_THERE


def test_a_series_of_backups_is_kept_and_a_restore_picks_one_by_its_time(tmp_path: Path) -> None:
    path, folder = tmp_path / "a.db", tmp_path / "backups"
    kept: list[list[dict[str, Any]]] = [trio.run(work, path, "zero")]
    command = [sys.executable, "-m", "tenure.cli", "backup", path, folder, "--every", "1", "--json"]
    made: list[dict[str, Any]] = []
    moments = [time.time()]
    with running(command, env={**os.environ, "PYTHONPATH": str(ROOT)}) as process:
        assert process.stdout is not None
        while len(made) < 5:
            made.append(json.loads(process.stdout.readline()))
            moments.append(time.time())
            kept.append(trio.run(work, path, f"input {len(made)}"))
    names = [Path(each["path"]).name for each in made]

    assert names == sorted(names)
    at = datetime.strptime(names[-2], "%Y%m%dT%H%M%S.%fZ.db").replace(tzinfo=UTC)
    for number, moment in enumerate((repr(at.timestamp() + 1e-3), at.isoformat())):
        target = tmp_path / f"restored-{number}.db"
        result = call("restore", folder, target, "--at", moment, "--json")
        assert result.exit_code == DONE, result.output
        assert Path(json.loads(result.stdout)["copy"]).name == names[-2]
    newest = max(receipt["committed_at"] for receipts in kept[: len(made) - 1] for receipt in receipts)
    assert newest <= at.timestamp()
    early = call("restore", folder, tmp_path / "none.db", "--at", repr(moments[0] - 60))
    assert early.exit_code == NOT_THERE
    assert not (tmp_path / "none.db").exists()


def test_a_series_keeps_as_many_as_are_asked_for_and_touches_nothing_else(tmp_path: Path) -> None:
    for name in ("notes.txt", "20260101.db", "20260101T000000.000000Z.db-wal"):
        (tmp_path / name).write_text("not of the series")
    for day in range(1, 6):
        (tmp_path / f"2026010{day}T000000.000000Z.db").write_text("old")
    ready(tmp_path / "making.db")
    (tmp_path / "making.db").write_text("new")

    made = place(tmp_path / "making.db", 3)

    assert {each.name for each in tmp_path.iterdir()} == {
        *("notes.txt", "20260101.db", "20260101T000000.000000Z.db-wal"),
        *("20260104T000000.000000Z.db", "20260105T000000.000000Z.db", made.name),
    }
    assert made.read_text() == "new"


def test_the_newest_of_a_series_stays_where_the_clock_was_set_back(tmp_path: Path) -> None:
    for year in (2998, 2999):
        (tmp_path / f"{year}0101T000000.000000Z.db").write_text("of a clock that was ahead")
    (tmp_path / "making.db").write_text("new")

    made = place(tmp_path / "making.db", 2)

    assert {each.name for each in tmp_path.iterdir()} == {made.name, "29990101T000000.000000Z.db"}


@pytest.mark.parametrize("every", ["nan", "inf"])
def test_a_pause_that_is_no_time_is_refused_before_anything_is_made(tmp_path: Path, every: str) -> None:
    result = call("backup", tmp_path / "a.db", tmp_path / "series", "--every", every)

    assert result.exit_code == WRONG_USE
    assert "--every" in result.stderr
    assert not any(tmp_path.iterdir())


def test_what_an_interrupted_backup_left_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / "making.db").write_text("half")

    ready(tmp_path / "making.db")

    assert not any(tmp_path.iterdir())


@pytest.mark.parametrize("at", ["yesterday", "2027-01-31T08:00", "nan", "-1", "0001-01-01T00:00+14:00"])
def test_a_time_that_is_none_is_refused(tmp_path: Path, at: str) -> None:
    result = call("restore", tmp_path, tmp_path / "b.db", f"--at={at}")

    assert result.exit_code == WRONG_USE
    assert "--at" in result.stderr


def test_a_series_that_cannot_be_written_ends(tmp_path: Path) -> None:
    path = tmp_path / "a.db"
    trio.run(work, path, "zero")
    (tmp_path / "file").write_text("no folder")
    command = [sys.executable, "-m", "tenure.cli", "backup", str(path), str(tmp_path / "file"), "--every", "1"]

    ended = subprocess.run(command, capture_output=True, check=False, timeout=60)

    assert ended.returncode == NOT_THERE
    assert b"CannotOpen" in ended.stderr
    assert call("backup", path, tmp_path / "b.db", "--keep", 3).exit_code == WRONG_USE
