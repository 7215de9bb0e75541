"""``tenure schedules``: made, shown, changed, paused, triggered and deleted from a shell, beside a host and without one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import trio

import tenure
from tenure.cli.exits import NOT_THERE, WRONG_USE
from tests.cli.test_verb_commands import answer, beside, call, hosted


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


def test_a_schedule_is_made_and_led_from_a_shell(path: Path) -> None:
    hosted(path, _nothing)
    at_eight = ("--cron", "0 8 * * 1-5", "--timezone", "Europe/Berlin", "--kind", "keep", "--catch-up", "latest")

    made = answer("schedules", "create", path, "morning", "alice", '{"go": 1}', *at_eight)

    assert (made["schedule_id"], made["when"]) == ("morning", "0 8 * * 1-5 Europe/Berlin")
    assert [each["schedule_id"] for each in answer("schedules", "list", path)] == ["morning"]
    assert answer("schedules", "update", path, "morning", "--jitter", "5", "--payload", "2")["jitter_s"] == 5
    assert answer("schedules", "pause", path, "morning", "--note", "holidays")["changed"]
    shown = answer("schedules", "show", path, "morning")
    assert (shown["payload"], shown["note"], shown["catch_up"]) == (2, "holidays", "latest")
    assert answer("schedules", "resume", path, "morning")["changed"]
    triggered = answer("schedules", "trigger", path, "morning")
    assert [each["input_id"] for each in answer("inbox", path, "alice")] == [triggered["input_id"]]
    assert [each["number"] for each in answer("schedules", "occurrences", path, "morning")] == [triggered["number"]]
    assert answer("show", path, "alice")["schedules"] == ["morning"]
    assert answer("schedules", "delete", path, "morning")["changed"]
    assert call("schedules", "show", path, "morning", "--json").exit_code == NOT_THERE
    assert call("schedules", "delete", path, "morning", "--json").exit_code == NOT_THERE


def test_a_schedule_that_is_made_beside_a_host_without_any_is_fired_by_that_host(path: Path) -> None:
    async def main() -> None:
        came = trio.Event()

        async def note(_run: tenure.Run) -> None:
            came.set()

        with trio.fail_after(60):
            async with tenure.open_supervisor(path, behaviours={"kind": note}) as supervisor:
                await beside("schedules", "create", path, "s", "alice", '"hello"', "--every", "1", "--kind", "kind")
                await came.wait()
                assert (await supervisor.schedules.occurrences("s"))[-1].input_id is not None

    trio.run(main)


def test_a_schedule_that_is_there_is_replaced_where_that_is_said(path: Path) -> None:
    hosted(path, _nothing)
    create = ("schedules", "create", path, "s", "alice")
    answer(*create, "1", "--every", "60")

    refused = call(*create, "2", "--every", "90", "--json")

    assert refused.exit_code == WRONG_USE
    assert "(when, payload)" in json.loads(refused.stderr)["message"]
    replaced = answer(*create, "2", "--every", "90", "--replace-existing")
    assert (replaced["payload"], replaced["when"]) == (2, "every 90 s")


@pytest.mark.parametrize(
    "wrong",
    [
        (),
        ("--cron", "0 8 * *"),
        ("--cron", "0 8 * * *", "--every", "5"),
        ("--every", "5", "--timezone", "Europe/Berlin"),
        ("--cron", "0 8 * * *", "--timezone", "Atlantis/Main"),
        ("--every", "0.1"),
    ],
    ids=["none", "fields", "both", "zone-alone", "zone", "short"],
)
def test_a_timetable_that_says_no_time_is_wrong_use(path: Path, wrong: tuple[str, ...]) -> None:
    hosted(path, _nothing)
    refused = call("schedules", "create", path, "s", "alice", "1", *wrong, "--json")
    assert refused.exit_code == WRONG_USE, refused.output
    assert json.loads(refused.stderr)["error"] == "InvalidInput"
    assert answer("schedules", "list", path) == []


async def _nothing(_supervisor: tenure.Supervisor) -> None:
    return
