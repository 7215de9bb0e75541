"""What stands on a command line for a store is judged by the store, with its error and its exit code, and not by the parser."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

import tenure.cli
from tenure.cli.app import app
from tenure.cli.exits import NOT_THERE, WRONG_USE
from tests.kit.commands import call

WORDS = {
    "target": [],
    "runtime": ["alice"],
    "input_id": ["1"],
    "payload": ["{}"],
    "place": ["main/1"],
    "days": ["--older-than", "1"],
}
"""What is written on a command line for a parameter, by its name."""

MORE = {
    **dict.fromkeys(("retire", "reset", "stop", "hold", "resume"), ("alice",)),
    "destroy": ("alice", "--yes"),
    "cut-log": ("--yes",),
    "settle-step": ("--did-not-run",),
    "retry": ("alice", "1"),
}
"""What commands are given besides what their parser requires."""


def commands(group: click.Group) -> Iterator[click.Command]:
    for each in group.commands.values():
        yield from commands(each) if isinstance(each, click.Group) else [each]


def test_no_command_lets_the_parser_judge_a_path() -> None:
    paths = [
        (each.name, given.name)
        for each in [app, *commands(app)]
        for given in each.params
        if isinstance(given.type, click.Path) and (given.type.readable or given.type.exists)
    ]

    assert not paths


def of_one_store() -> list[tuple[str, ...]]:
    """Every command that needs no more than a store and one of its runtimes or inputs, as it is called behind the store."""
    called: list[tuple[str, ...]] = []
    for each in app.commands.values():
        name, needed = str(each.name), [str(given.name) for given in each.params if given.required]
        if name != "migrate" and "target" in needed and WORDS.keys() >= set(needed):
            called.append((name, *(word for given in needed for word in WORDS[given]), *MORE.get(name, ())))
    return called


@pytest.mark.parametrize("words", of_one_store(), ids=lambda words: words[0])
def test_no_command_makes_a_store_that_is_not_there(words: tuple[str, ...], tmp_path: Path) -> None:
    name, *others = words

    result = call(name, tmp_path / "mistyped.db", *others)

    assert (result.exit_code, list(tmp_path.iterdir())) == (NOT_THERE, []), result.output


def test_the_commands_of_one_store_are_nearly_all_that_there_are() -> None:
    assert len(of_one_store()) > len(app.commands) * 3 // 4


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("list",), "Missing argument 'TARGET'"),
        (("list", "a.db", "--state", "asleep"), "'asleep'"),
        (("unheard-of",), "No such command"),
        (("list", "a.db", "--unheard-of"), "No such option"),
    ],
)
def test_wrong_use_is_json_too(
    words: tuple[str, ...], said: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["tenure", *words, "--json"])

    with pytest.raises(SystemExit) as ended:
        tenure.cli.main()

    out, error = capsys.readouterr()
    assert (ended.value.code, out, error.count("\n")) == (WRONG_USE, "", 1)
    assert json.loads(error)["error"] == "InvalidInput"
    assert said in json.loads(error)["fields"]["detail"]


def test_help_and_results_end_as_ever_with_json(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.argv", ["tenure", "list", "--json", "--help"])

    with pytest.raises(SystemExit) as ended:
        tenure.cli.main()

    assert ended.value.code == 0
    assert "Usage: tenure list" in capsys.readouterr().out
