"""Commands on a sealed store: with its key, without one and with another; none says a key or a content that it may not."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner, Result

import tenure
from tenure.cli.app import app
from tests.kit.sealing import ONE, sealed

KEY = base64.b64encode(ONE["one"]).decode()
SECRET = "forty-two"

LOOKS = ("list", "hosts", "dead-letters", "queue", "metrics", "runs")
OF_RUNTIME = ("show", "why", "steps", "inbox")


async def speak(run: tenure.Run) -> str:
    run.session.append({"said": SECRET})
    await run.step("think", str.upper, SECRET, repeat="freely")
    return SECRET


@pytest.fixture
def target(tmp_path: Path) -> str:
    path = tmp_path / "agents.db"
    trio.run(fill, path)
    return str(path)


async def fill(path: Path) -> None:
    async with tenure.open_supervisor(path, behaviours={"k": speak}, seams=sealed()) as supervisor:
        runtime = await supervisor.spawn("ann", "k")
        await (await runtime.accept(SECRET)).wait_outcome()


def call(line: str, *arguments: str, keys: str | None = None, file: Path | None = None) -> Result:
    env = {"TENURE_KEYS": keys, "TENURE_KEY_FILE": None if file is None else str(file)}
    result = CliRunner().invoke(app, [*line.split(), *arguments], env=env)
    assert KEY not in result.output
    return result


def test_without_a_key_lists_are_shown_and_no_content(target: str) -> None:
    for line in LOOKS:
        result = call(line, target)
        assert result.exit_code == 0, (line, result.output)
        assert SECRET not in result.output
    for line in OF_RUNTIME:
        for more in ((), ("--content",), ("--all", "--content")) if line == "inbox" else ((),):
            result = call(line, target, "ann", *more)
            assert result.exit_code == 0, (line, result.output)
            assert SECRET not in result.output


def test_without_a_key_what_needs_one_says_so(target: str) -> None:
    for line in (
        ("messages", target, "ann"),
        ("steps", target, "ann", "--content"),
        ("prune", target, "--older-than", "1"),
        ("rekey", target),
        ("schedules list", target),
    ):
        result = call(*line)
        assert result.exit_code == 1, (line, result.output)
        assert "'one'" in result.output
    result = call("verify", target)
    assert result.exit_code == 1
    assert "'one'" in result.output


@pytest.mark.parametrize("where", ["file", "environment", "option"])
def test_with_the_key_it_is_as_a_store_in_the_clear(target: str, tmp_path: Path, where: str) -> None:
    file = tmp_path / "keys"
    file.write_text(f"# of today\none {KEY}\n")

    def with_key(line: str, *arguments: str) -> Result:
        if where == "option":
            return call(f"--key-file {file} {line}", *arguments)
        if where == "file":
            return call(line, *arguments, file=file)
        return call(line, *arguments, keys=f"one {KEY}")

    assert SECRET in with_key("messages", target, "ann").output
    for line in ("verify", "rekey"):
        result = with_key(line, target)
        assert result.exit_code == 0, result.output
    assert SECRET.upper() in with_key("steps", target, "ann", "--content", "--json").output
    assert with_key("accept", target, "ann", '"more"').exit_code == 0


def test_backup_and_restore_need_no_key(target: str, tmp_path: Path) -> None:
    assert call("backup", target, str(tmp_path / "copy.db")).exit_code == 0
    assert call("restore", str(tmp_path / "copy.db"), str(tmp_path / "restored.db")).exit_code == 0
    assert SECRET in call("messages", str(tmp_path / "restored.db"), "ann", keys=f"one {KEY}").output


def test_another_key_and_no_file_of_keys_are_errors(target: str, tmp_path: Path) -> None:
    another = base64.b64encode(b"2" * 32).decode()
    assert call("list", target, keys=f"one {another}").exit_code == 1
    result = call("list", target, keys=f"one {another}x")
    assert result.exit_code == 2
    assert another not in result.output
    assert call("list", target, file=tmp_path / "missing").exit_code == 3
    file = tmp_path / "keys"
    file.write_text(f"one {KEY}")
    assert call("list", target, keys=f"one {KEY}", file=file).exit_code == 2


def test_a_file_that_is_no_file_of_keys_is_refused_without_its_text(target: str, tmp_path: Path) -> None:
    file = tmp_path / "keys"
    for text in (f"{KEY}", f"one {KEY} more", f"one {KEY}\none {KEY}", "", f"one {KEY[:20]}", f"{'x' * 65} {KEY}"):
        file.write_text(text)
        result = call("list", target, file=file)
        assert result.exit_code == 2, result.output
        assert KEY[:12] not in result.output
