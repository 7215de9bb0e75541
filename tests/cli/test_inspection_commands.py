"""``tenure list``, ``show`` and ``verify``: beside a host that runs, and without one."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import apsw
import pytest
import trio

from tenure.cli.exits import DAMAGED, DONE, NOT_THERE, REFUSED, WRONG_USE
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.ownership.lifecycle import Hold
from tenure.persistence.model.values import LogicalRuntimeId
from tests.kit.commands import call
from tests.kit.seen import open_seen_store, open_seen_supervisor
from tests.persistence.contracts.builders import (
    consumed,
    delta,
    queued,
)
from tests.persistence.contracts.damage import execute


async def fill(path: Path, *sql: str) -> None:
    async with open_seen_store(path) as store:
        await store.runtimes.commit_session_boundary(
            "alice", delta("private"), "run-1", "run_start", ["i1"], [consumed("i1")]
        )
        await store.runtimes.persist_runtime_state("alice", "retired")
        await store.runtimes.persist_input_state("bob", queued("i1", payload=b'"private"'))
        for statement in sql:
            await execute(store, statement)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    trio.run(fill, tmp_path / "a.db")
    return tmp_path / "a.db"


def test_runtimes_are_listed_by_id(path: Path) -> None:
    result = call("list", path, "--json")

    assert result.exit_code == DONE, result.stderr
    assert [(each["runtime_id"], each["state"]) for each in json.loads(result.stdout)] == [
        ("alice", "retired"),
        ("bob", "idle"),
    ]
    assert "alice" in call("list", path).stdout


def test_runtimes_are_chosen_and_counted_and_come_in_pages(tmp_path: Path) -> None:
    path = tmp_path / "many.db"

    async def fill_many() -> None:
        async with open_seen_supervisor(path, behaviours={}) as supervisor:
            for number in range(7):
                for _ in range(number % 3):
                    await supervisor.accept(f"even {number}", 1, kind="chat" if number % 2 else "mail")
            await supervisor.store.runtimes.persist_runtime_state("gone", "destroyed")
            await supervisor.hold(kind="mail")
            await supervisor.hold("even 1")
            mark = Hold(runtime_id=LogicalRuntimeId("even 5"), reason="crash loop")
            await supervisor.store.commit(Commit(runtime_id=LogicalRuntimeId("even 5"), changes=(mark,)))

    def ids(*arguments: object) -> list[str]:
        result = call("list", path, "--json", *arguments)
        assert result.exit_code == DONE, result.stderr
        return [each["runtime_id"] for each in json.loads(result.stdout)]

    trio.run(fill_many)
    every = ["even 1", "even 2", "even 4", "even 5", "gone"]
    assert ids() == every
    assert ids("--held") == ["even 1", "even 2", "even 4", "even 5"]
    assert ids("--kind", "chat") == ["even 1", "even 5"]
    assert ids("--kind", "chat", "--held", "--after", "even 1") == ["even 5"]
    assert ids("--state", "destroyed") == ["gone"]
    assert ids("--limit", 2) + ids("--limit", 2, "--after", "even 2") + ids("--after", "even 5") == every
    assert ids("--kind", "nothing") == []
    listed = {each["runtime_id"]: each for each in json.loads(call("list", path, "--json").stdout)}
    assert {name: (each["inputs"], each["on_hold"], each["held"]) for name, each in listed.items()} == {
        "even 1": (1, True, None),
        "even 2": (2, True, None),
        "even 4": (1, True, None),
        "even 5": (2, False, "crash loop"),
        "gone": (0, False, None),
    }
    for wrong in (("--limit", 0), ("--state", "asleep")):
        assert call("list", path, *wrong).exit_code == WRONG_USE


def test_runtimes_get_labels_and_are_listed_by_them(tmp_path: Path) -> None:
    path = tmp_path / "labelled.db"

    async def fill_labelled() -> None:
        async with open_seen_supervisor(path, behaviours={}) as supervisor:
            await supervisor.accept("ann", 1, kind="chat", labels={"tenant": "acme", "url": "a=b"})

    def answer(*arguments: object) -> Any:
        result = call(*arguments, "--json")
        assert result.exit_code == DONE, result.stderr
        return json.loads(result.stdout)

    trio.run(fill_labelled)
    answer("accept", path, "bob", 1, "--kind", "chat", "--label", "tenant=acme", "--label", "tier=gold")
    asked = answer("relabel", path, "bob", "tier=iron", "zone=eu", "--remove", "tenant")
    assert asked["answer"] == {"tier": "iron", "zone": "eu"}
    assert [each["runtime_id"] for each in answer("list", path, "--label", "url=a=b", "--label", "tenant=acme")] == [
        "ann"
    ]
    assert [each["labels"] for each in answer("list", path, "--label", "zone=eu")] == [{"tier": "iron", "zone": "eu"}]
    assert answer("show", path, "bob")["labels"] == {"tier": "iron", "zone": "eu"}
    assert "tier=iron zone=eu" in call("list", path).stdout
    for wrong in (
        ("list", path, "--label", "tenant"),
        ("list", path, "--label", "a=1", "--label", "a=2"),
        ("relabel", path, "bob"),
        ("relabel", path, "bob", "a b=1"),
        ("accept", path, "carol", 1, "--label", "a=1"),
    ):
        assert call(*wrong).exit_code == WRONG_USE, wrong


def test_a_runtime_is_shown_without_its_content(path: Path) -> None:
    result = call("show", path, "alice", "--json")

    assert result.exit_code == DONE, result.stderr
    shown = json.loads(result.stdout)
    assert shown["session"]["message_count"] == 1
    assert shown["inputs"] == {"consumed": 1}
    assert "private" not in result.stdout + call("show", path, "bob").stdout


def test_a_sound_store_verifies(path: Path) -> None:
    result = call("verify", path, "--json")

    assert result.exit_code == DONE, result.stderr
    assert [(each["runtime_id"], each["sound"], each["receipts"]) for each in json.loads(result.stdout)] == [
        ("alice", True, 1),
        ("bob", True, 0),
    ]


def test_a_damaged_runtime_is_told_from_a_sound_one(tmp_path: Path) -> None:
    trio.run(fill, tmp_path / "a.db", "UPDATE receipts SET message_count = 7")

    result = call("verify", tmp_path / "a.db", "--json")

    assert result.exit_code == REFUSED
    assert {each["runtime_id"]: each["sound"] for each in json.loads(result.stdout)} == {"alice": False, "bob": True}
    assert call("verify", tmp_path / "a.db", "bob").exit_code == DONE


@pytest.mark.parametrize("command", ["show", "verify"])
def test_a_runtime_that_is_not_there_is_said_to_be(path: Path, command: str) -> None:
    assert call(command, path, "nobody").exit_code == NOT_THERE


@pytest.mark.parametrize("command", ["list", "verify"])
def test_a_store_that_is_not_there_is_not_made(tmp_path: Path, command: str) -> None:
    assert call(command, tmp_path / "none.db").exit_code == NOT_THERE
    assert not (tmp_path / "none.db").exists()


def test_looking_beside_a_running_host_writes_nothing(tmp_path: Path) -> None:
    path = tmp_path / "a.db"

    async def main() -> None:
        async with open_seen_store(path) as store:
            await store.runtimes.persist_runtime_state("alice", "idle")
            hosts = await execute(store, "SELECT count(*) FROM hosts")
            for arguments in (("list", path), ("show", path, "alice"), ("verify", path)):
                result = await trio.to_thread.run_sync(partial(call, *arguments))
                assert result.exit_code == DONE, result.stderr
            assert await execute(store, "SELECT count(*) FROM hosts") == hosts
            await store.runtimes.persist_runtime_state("alice", "stopped")

    trio.run(main)


@pytest.mark.parametrize(
    ("version", "command", "arguments"),
    [
        *((version, *command) for version in (0, 999) for command in (("list", ""), ("show", "alice"), ("verify", ""))),
        (999, "backup", "copy.db"),  # a backup takes every version up to this one
        (999, "restore", "copy.db"),
    ],
    ids=str,
)
def test_a_store_of_another_version_is_said_to_be_one(path: Path, version: int, command: str, arguments: str) -> None:
    connection = apsw.Connection(str(path))
    connection.pragma("user_version", version)
    if version == 0:  # which has no tables
        connection.pragma("foreign_keys", 0)
        for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'").fetchall():
            connection.execute(f'DROP TABLE IF EXISTS "{name}"')
    if command == "restore":
        connection.pragma("journal_mode", "delete")  # as a backup is
    connection.close()
    target = [path.with_name(arguments)] if arguments.endswith(".db") else [arguments] if arguments else []

    result = call(command, path, *target, "--json")

    assert result.exit_code == DAMAGED
    told = json.loads(result.stderr)
    assert (told["error"], told["fields"]["actual"]) == ("SchemaMismatch", version)


def test_a_row_whose_id_is_no_text_hides_no_other_and_is_told(tmp_path: Path) -> None:
    spoilt = "UPDATE runtimes SET runtime_id = CAST(x'ff' AS TEXT) WHERE runtime_id = 'alice'"
    trio.run(fill, tmp_path / "a.db", spoilt)

    listed = call("list", tmp_path / "a.db", "--json")
    verified = call("verify", tmp_path / "a.db", "--json")

    assert listed.exit_code == DONE, listed.stderr
    assert [each["runtime_id"] for each in json.loads(listed.stdout)] == ["bob"]
    assert verified.exit_code == REFUSED
    assert [(each["runtime_id"], each["sound"]) for each in json.loads(verified.stdout)] == [
        ("bob", True),
        (None, False),
    ]
    assert "1 rows" in call("verify", tmp_path / "a.db").stdout


def test_a_look_for_what_no_engine_has_is_a_wrong_use(path: Path) -> None:
    queue, tail = call("queue", path, "\udcff"), call("tail", path, "alice", "--lines", 2**63)

    assert (queue.exit_code, tail.exit_code) == (WRONG_USE, WRONG_USE)
    assert "64 bits" in queue.stderr
    assert "counter" not in tail.stderr
