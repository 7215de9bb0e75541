"""Verbs for many runtimes from a shell: what would be done first, and done with --yes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio

from tenure.cli.exits import DONE, WRONG_USE
from tests.kit.commands import call
from tests.kit.seen import open_seen_supervisor

VERBS = ("retire", "stop", "reset", "hold", "resume", "destroy")


def answer(*arguments: object) -> Any:
    result = call(*arguments, "--json")
    assert result.exit_code == DONE, result.stderr
    return json.loads(result.stdout)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "agents.db"

    async def fill() -> None:
        async with open_seen_supervisor(path, behaviours={}) as supervisor:
            for number in range(4):
                labels = {"tenant": "acme" if number % 2 else "beta"}
                await supervisor.accept(f"r{number}", 1, kind="chat", labels=labels)

    trio.run(fill)
    return path


def states(path: Path) -> list[str]:
    return [each["state"] for each in answer("list", path)]


def test_verbs_of_many_say_what_they_would_do_and_do_it_with_yes(path: Path) -> None:
    chosen = ("--kind", "chat", "--label", "tenant=acme")
    would = answer("stop", path, *chosen)
    assert (would["dry_run"], would["done"], would["first"]) == (True, 2, ["r1", "r3"])
    assert states(path) == ["idle"] * 4
    assert answer("stop", path, *chosen, "--yes")["done"] == 2
    assert states(path) == ["idle", "stopped", "idle", "stopped"]
    again = answer("stop", path, *chosen, "--yes")
    assert (again["done"], again["skipped"]) == (0, 2)
    assert answer("destroy", path, "--state", "stopped")["done"] == 2
    assert answer("destroy", path, "--state", "stopped", "--yes")["done"] == 2
    assert states(path) == ["idle", "destroyed", "idle", "destroyed"]


def test_every_verb_of_many_is_there(path: Path) -> None:
    chosen = ("--label", "tenant=acme")
    assert [answer(verb, path, *chosen)["done"] for verb in VERBS] == [2, 2, 2, 2, 0, 2]
    assert answer("hold", path, *chosen, "--yes", "--note", "a bad night")["done"] == 2
    assert answer("resume", path, *chosen, "--hold", "--yes")["done"] == 2
    assert answer("reset", path, *chosen, "--yes")["done"] == 2
    assert answer("retire", path, *chosen, "--yes")["done"] == 2


def test_a_kind_alone_is_put_on_hold_as_such(path: Path) -> None:
    assert answer("hold", path, "--kind", "mail")["done"]
    assert answer("resume", path, "--kind", "mail")["done"]


@pytest.mark.parametrize("verb", VERBS)
def test_one_is_named_or_some_are_chosen(verb: str, path: Path) -> None:
    assert call(verb, path).exit_code == WRONG_USE
    assert call(verb, path, "r1", "--label", "tenant=acme").exit_code == WRONG_USE
    assert call(verb, path, "--label", "tenant").exit_code == WRONG_USE


@pytest.mark.parametrize(
    "wrong",
    [
        ("reset", "--clear-session"),
        ("destroy", "--erase"),
        ("resume", "--restart-run"),
        ("resume", "--ran", "main/1", "1"),
    ],
    ids=str,
)
def test_what_is_for_one_runtime_is_refused_for_many(wrong: tuple[str, ...], path: Path) -> None:
    verb, *options = wrong
    assert call(verb, path, *options, "--label", "tenant=acme", "--yes").exit_code == WRONG_USE
    assert states(path) == ["idle"] * 4


def test_dead_letters_with_a_reason_are_retried_at_one_go(path: Path) -> None:
    assert answer("reset", path, "--kind", "chat", "--yes")["done"] == 4
    assert len(answer("dead-letters", path)) == 4
    chosen = ("--label", "tenant=acme", "--reason", "reset")
    would = answer("retry", path, *chosen)
    assert (would["dry_run"], would["done"], would["first"]) == (True, 2, ["r1", "r3"])
    assert answer("retry", path, *chosen, "--yes")["done"] == 2
    letters = answer("dead-letters", path)
    assert [each["runtime_id"] for each in letters] == ["r0", "r2"]
    assert answer("retry", path, *chosen, "--yes")["skipped"] == 2

    assert answer("retry", path, "r0", "--reason", "cancelled")["answer"] == []
    assert answer("retry", path, "r0", "--reason", "reset")["answer"] == [letters[0]["input_id"]]
    assert [each["inputs"] for each in answer("list", path)] == [1, 1, 0, 1]
    for wrong in (("r0",), ("--kind", "chat"), ("r0", "x", "--reason", "reset"), ("r0", "--reason", "bored")):
        assert call("retry", path, *wrong).exit_code == WRONG_USE
