"""``tenure backup`` and ``tenure restore``, and what every command shares."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
import trio

import tenure
from tenure.cli.app import app
from tenure.cli.exits import BUSY, DAMAGED, DONE, NOT_THERE, REFUSED, WRONG_USE, exit_code
from tenure.errors import Corrupt, Internal, NotFound, StaleFence, StoreLocked
from tests.kit.commands import call

ROOT = Path(__file__).parents[2]


def test_a_backup_says_what_it_copied(path: Path) -> None:
    result = call("backup", path, path.with_name("copy.db"), "--json")

    assert result.exit_code == DONE
    facts = json.loads(result.stdout)
    assert facts["rows"]["inputs"] == 1
    assert facts["size"] == path.with_name("copy.db").stat().st_size


async def attach(path: Path) -> None:
    async with tenure.open_store(path) as store:
        await store.attachments.commit_refs("s", [await store.attachments.put("s", b"bytes")])


def test_what_a_copy_has_not_is_said_with_its_folder(path: Path) -> None:
    copy, restored = path.with_name("copy.db"), path.with_name("b.db")
    assert json.loads(call("backup", path, copy, "--json").stdout)["not_copied"] is None
    copy.unlink()
    trio.run(attach, path)

    made = json.loads(call("backup", path, copy, "--json").stdout)
    back = json.loads(call("restore", copy, restored, "--json").stdout)

    assert made["not_copied"] == {"attachments": 1, "folder": f"{path}-attachments"}
    assert Path(made["not_copied"]["folder"]).is_dir()
    assert back["not_copied"] == {"attachments": 1, "folder": f"{restored}-attachments"}

    lost = call("verify", restored, "--json")
    (line,) = [each for each in json.loads(lost.stdout) if each.get("part") == "attachments"]
    assert (lost.exit_code, [each["detail"] for each in line["problems"]]) == (REFUSED, ["its bytes are gone"])
    assert call("verify", restored, "--without-attachments").exit_code == 0
    shutil.copytree(f"{path}-attachments", f"{restored}-attachments")
    assert call("verify", restored).exit_code == 0
    (file,) = Path(f"{restored}-attachments").iterdir()
    file.write_bytes(b"other")
    assert (call("verify", restored).exit_code, call("verify", restored, "--bytes").exit_code) == (0, REFUSED)


def test_a_backup_for_people_is_a_table(path: Path) -> None:
    result = call("backup", path, path.with_name("copy.db"))

    assert result.exit_code == DONE
    assert "last fence token  1\n" in result.stdout
    assert result.stderr == ""


def test_a_restored_store_is_whole(path: Path) -> None:
    call("backup", path, path.with_name("copy.db"))
    result = call("restore", path.with_name("copy.db"), path.with_name("b.db"), "--json")

    assert json.loads(result.stdout)["last_fence_token"] == 2**32 + 1


def test_an_error_is_one_line_and_a_code(path: Path) -> None:
    result = call("backup", path.with_name("none.db"), path.with_name("copy.db"))

    assert result.exit_code == NOT_THERE
    assert result.stdout == ""
    assert result.stderr.startswith("tenure: CannotOpen: ")
    assert result.stderr.count("\n") == 1


def test_an_error_in_json_has_its_fields(path: Path) -> None:
    result = call("restore", path, path.with_name("b.db"), "--json")

    assert result.exit_code == WRONG_USE
    assert result.stdout == ""
    error = json.loads(result.stderr)
    assert error["error"] == "InvalidInput"
    assert error["fields"]["field"] == "backup"
    assert error["retryable"] is False


def test_exit_codes_tell_what_helps() -> None:
    assert exit_code(NotFound(what="x", key="y")) == NOT_THERE
    assert exit_code(StoreLocked(path="x", holder="y")) == BUSY
    assert exit_code(Corrupt(record="x", key="y", detail="z")) == DAMAGED
    assert exit_code(StaleFence(runtime_id="x", expected=1, actual=2)) == 1
    assert exit_code(Internal(detail="x")) == 70


def test_the_documentation_lists_every_exit_code() -> None:
    from tenure.cli import exits

    documented = (ROOT / "docs" / "cli.md").read_text(encoding="utf-8")
    table = [line for line in (exits.__doc__ or "").splitlines() if line.startswith("| ")]
    assert table
    assert all(line in documented for line in table)


def all_commands(group: click.Group, before: str = "") -> Iterator[tuple[str, click.Command]]:
    for name, command in group.commands.items():
        if isinstance(command, click.Group):
            yield from all_commands(command, f"{before}{name} ")
        else:
            yield before + name, command


def test_every_command_takes_json_and_has_a_help() -> None:
    commands = [*all_commands(app)]
    assert {"backup", "list", "show", "verify"} <= {name for name, _ in commands}
    for name, command in commands:
        assert "--json" in {option for each in command.params for option in each.opts}, name
        assert command.help, name
        assert f"`tenure {name} " in (ROOT / "docs" / "cli.md").read_text(encoding="utf-8"), name


@pytest.mark.slow
@pytest.mark.process
def test_the_program_ends_with_its_code() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tenure.cli", "backup", "none.db", "copy.db"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )

    assert done.returncode == NOT_THERE
    assert done.stderr.startswith("tenure: CannotOpen: ")
