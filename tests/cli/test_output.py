"""What the command line prints of ids and errors that somebody else has chosen."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trio

import tenure
from tenure.cli.exits import DONE, NOT_THERE, WRONG_USE
from tenure.cli.output import Output
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.ownership.lifecycle import Hold
from tenure.persistence.model.values import LogicalRuntimeId
from tests.kit.commands import call

MARKUP = "[customer]42[/x]"
ESCAPES = "esc\x1b[2J\x9b2J"
BIDI = "a\u202etxt.exe"
LINES = "one\ntwo"
IDS = [MARKUP, ESCAPES, BIDI, LINES]


async def fill(path: Path) -> None:
    async with tenure.open_store(path) as store:
        for name in IDS:
            await store.runtimes.persist_runtime_state(name, "idle")
        detail = "TypeError: expected list[int] but got [/int]\n  at \x1b[31mline 2\nrunning  held"
        hold = Hold(runtime_id=LogicalRuntimeId(MARKUP), reason="[bold]held", detail=detail)
        await store.commit(Commit(runtime_id=LogicalRuntimeId(MARKUP), changes=(hold,)))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    trio.run(fill, tmp_path / "a.db")
    return tmp_path / "a.db"


def test_ids_are_no_markup_and_steer_no_terminal(path: Path) -> None:
    printed = call("list", path).stdout

    assert MARKUP in printed
    assert "[bold]held" in printed
    for visible in (r"esc\x1b[2J\x9b2J", r"a\u202etxt.exe", r"one\ntwo"):
        assert visible in printed
    assert printed.replace("\n", "").isprintable()


def test_an_error_of_several_lines_keeps_them_behind_its_name(path: Path) -> None:
    printed = call("show", path, MARKUP).stdout

    assert "TypeError: expected list[int] but got [/int]\n" in printed
    assert r"  at \x1b[31mline 2" in printed
    assert not [line for line in printed.splitlines() if line.startswith("running")]
    assert printed.replace("\n", "").isprintable()


def test_json_has_the_same_strings_in_characters_that_steer_nothing(path: Path) -> None:
    printed = call("list", path, "--json").stdout

    assert sorted(each["runtime_id"] for each in json.loads(printed)) == sorted(IDS)
    assert printed.replace("\n", "").isprintable()


@pytest.mark.parametrize("form", [[], ["--json"]])
def test_an_error_that_repeats_an_id_is_one_line_of_visible_characters(path: Path, form: list[str]) -> None:
    result = call("show", path, "nobody\x1b[2J\u202e\nDone", *form)

    assert result.exit_code == NOT_THERE
    assert len(result.stderr.splitlines()) == 1
    assert result.stderr.removesuffix("\n").isprintable()


def test_plain_letters_of_any_script_are_printed_as_they_are(path: Path) -> None:
    async def add() -> None:
        async with tenure.open_store(path) as store:
            await store.runtimes.persist_runtime_state("müller-東京", "idle")

    trio.run(add)

    for form in ([], ["--json"]):
        result = call("list", path, *form)
        assert result.exit_code == DONE
        assert "müller-東京" in result.stdout


def test_a_stream_of_lines_steers_no_terminal_either(capsys: pytest.CaptureFixture[str]) -> None:
    for form in (False, True):
        Output(json=form).line({"run_id": f"{ESCAPES}{BIDI}{LINES}", "position": 1})

    people, programs = capsys.readouterr().out.splitlines()
    assert people.isprintable()
    assert programs.isprintable()
    assert json.loads(programs)["run_id"] == f"{ESCAPES}{BIDI}{LINES}"


def test_what_stands_in_a_thing_has_a_line_each_and_none_for_what_is_not_there(
    capsys: pytest.CaptureFixture[str],
) -> None:
    run: dict[str, object] = {
        "run_id": "r-1",
        "last_error": "OSError: net\nfailed_attempts 9",
        "retry_at": 0.5,
        "entry": None,
        "waits": [],
    }
    kept = [{"of": "kind", "since": 1_796_029_247.9}, {"of": "runtime", "note": "look\nat it", "since": 0.0}]

    Output(json=False).facts("Why", {"held": None, "run": run, "on_hold": kept})

    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    indent = " " * len("on hold  ")
    assert lines == [
        "Why",
        "held",
        "run      run id r-1",
        f"{indent}last error OSError: net",
        f"{indent}  failed_attempts 9",
        f"{indent}retry at 1970-01-01 00:00:00 UTC",
        "on hold  of kind, since 2026-11-30 09:00:47 UTC",
        f"{indent}of runtime, note look",
        f"{indent}  at it, since 1970-01-01 00:00:00 UTC",
    ]


def test_a_time_is_taken_as_it_was_printed(path: Path) -> None:
    printed = call("show", path, "one\ntwo").stdout
    at = next(line for line in printed.splitlines() if line.startswith("updated at")).removeprefix("updated at").strip()
    later = at.replace("20", "29", 1)

    assert call("accept", path, "one\ntwo", "1", "--at", later).exit_code == DONE

    (line,) = json.loads(call("inbox", path, "one\ntwo", "--json").stdout)
    assert f"{datetime.fromtimestamp(line['due_at'], UTC):%Y-%m-%d %H:%M:%S} UTC" == later
    assert call("restore", path.parent, "new.db", "--at", at).exit_code == NOT_THERE
    assert "2999-01-31T08:00:00Z" in call("accept", path, "a", "1", "--at", "2999-01-31T08:00").stderr


def test_a_payload_without_its_quotes_is_told_where_they_belong(path: Path) -> None:
    result = call("accept", path, "a", "yes")

    assert result.exit_code == WRONG_USE
    assert """a text is quoted: '"yes"'""" in result.stderr
