"""``tenure steps``, ``runs`` and ``why``: what is on disk of a run, for people and programs; and the same from a supervisor."""

from __future__ import annotations

import json
import math
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import tenure
from tenure.cli.exits import DONE, NOT_THERE
from tenure.errors import NotFound
from tenure.persistence.upkeep.one_runtime.sentences import human
from tests.kit.alone import OpenHost
from tests.kit.commands import call


def answer(*arguments: object) -> Any:
    result = call(*arguments, "--json")
    assert result.exit_code == DONE, result.stderr
    return json.loads(result.stdout)


def look(secret: str) -> str:
    return f"{secret} found"


async def forever(_: str) -> None:
    await trio.sleep_forever()


def breaks() -> None:
    raise ValueError("it is broken")


async def tools(run: tenure.Run) -> None:
    await run.step("look", look, "hidden", repeat="freely")
    await run.sleep(0)
    await run.step("pay", forever, "hidden", repeat="never")


async def waits(run: tenure.Run) -> None:
    await run.wait_steered()


async def sleeps(run: tenure.Run) -> None:
    await run.sleep(7200)


async def executes(run: tenure.Run) -> None:
    if run.inputs[0].payload == "after":
        await run.step("look", look, "hidden", repeat="freely")
    await trio.sleep_forever()


async def tries(run: tenure.Run) -> None:
    await run.step("flaky", breaks, repeat="freely", attempts=3, backoff_s=600, backoff_limit_s=600)


async def fails(run: tenure.Run) -> None:
    raise ValueError("it is broken")


KINDS = {
    "tools": tenure.Behaviour(tools, version="7"),
    "waits": tenure.Behaviour(waits),
    "sleeps": tenure.Behaviour(sleeps, version="8"),
    "executes": tenure.Behaviour(executes),
    "tries": tenure.Behaviour(tries, version="8"),
    "fails": tenure.Behaviour(fails, restart=tenure.RestartPolicy(max_attempts=1)),
}


@pytest.fixture
async def path(autojump_clock: MockClock, open_host: OpenHost, tmp_path: Path) -> Path:
    """A store that a host has left in the middle of runs."""
    with trio.CancelScope() as scope:
        async with open_host(KINDS) as supervisor:
            for kind in KINDS:
                await (await supervisor.spawn(kind, kind)).accept("go")
            await wait_all_tasks_blocked()
            scope.cancel()
            await trio.sleep_forever()
    return tmp_path / "agents.db"


async def test_steps_are_listed_with_their_places_and_without_their_content(path: Path) -> None:
    found = await trio.to_thread.run_sync(answer, "steps", path, "tools")

    shown = [(each["place"], each["kind"], each["name"], each["status"], each["attempt"]) for each in found]
    assert shown == [
        ("main/1", "step", "look", "succeeded", 1),
        ("main/2", "sleep", "sleep", "succeeded", 1),
        ("main/3", "step", "pay", "dispatched", 1),
    ]
    assert {each["version"] for each in found} == {"7"}
    assert found[0]["bytes"] == len('"hidden found"')
    text = (await trio.to_thread.run_sync(call, "steps", path, "tools")).stdout
    assert "main/3" in text
    assert "UTC" in text
    assert "hidden" not in text + json.dumps(found)


async def test_content_is_shown_where_it_is_asked_for(path: Path) -> None:
    found = await trio.to_thread.run_sync(answer, "steps", path, "tools", "--content", "--run", await run_id(path))

    assert [each["result"] for each in found][::2] == ["hidden found", None]
    assert "hidden found" in (await trio.to_thread.run_sync(call, "steps", path, "tools", "--content")).stdout


async def run_id(path: Path) -> str:
    found: str = (await trio.to_thread.run_sync(answer, "runs", path, "--behaviour-version", "7"))[0]["run_id"]
    return found


async def test_a_runtime_or_a_run_that_is_not_there_is_said_so(path: Path) -> None:
    for arguments in (("nobody",), ("tools", "--run", "no such run"), ("waits", "--run", await run_id(path))):
        assert (await trio.to_thread.run_sync(call, "steps", path, *arguments)).exit_code == NOT_THERE


async def test_unfinished_runs_are_listed_by_the_version_of_their_behaviour(path: Path) -> None:
    everything = await trio.to_thread.run_sync(answer, "runs", path)
    eighth = await trio.to_thread.run_sync(answer, "runs", path, "--behaviour-version", "8")

    assert {each["runtime_id"] for each in everything} == {"tools", "waits", "sleeps", "executes", "tries"}
    assert {(each["runtime_id"], each["last_place"], tuple(each["versions"])) for each in eighth} == {
        ("sleeps", "main/1", ("8",)),
        ("tries", "main/1", ("8",)),
    }
    assert await trio.to_thread.run_sync(answer, "runs", path, "--behaviour-version", "9") == []


async def test_why_counts_dead_letters_and_prints_times_that_people_can_read(path: Path) -> None:
    told = await trio.to_thread.run_sync(answer, "why", path, "fails")
    assert (told["because"], told["dead_letters"]) == (
        "nothing waits in its inbox; 1 dead letter waits to be retried",
        1,
    )
    wake_at = (await trio.to_thread.run_sync(answer, "why", path, "sleeps"))["run"]["sleeps_until"]
    text = (await trio.to_thread.run_sync(call, "why", path, "sleeps")).stdout
    assert f"sleeps until {datetime.fromtimestamp(wake_at, UTC):%Y-%m-%d %H:%M:%S} UTC" in text


async def test_a_supervisor_says_at_which_entry_a_run_stands(autojump_clock: MockClock, open_host: OpenHost) -> None:
    with trio.CancelScope() as scope:
        async with open_host(KINDS) as supervisor:
            for kind in KINDS:
                await (await supervisor.spawn(kind, kind)).accept("go")
            await (await supervisor.spawn("after", "executes")).accept("after")
            await trio.sleep(90)

            told = {name: (await supervisor.why(name))["because"] for name in (*KINDS, "after")}
            entry = (await supervisor.why("tools"))["run"]["entry"]
            entries = await supervisor.entries("tools", content=True)
            unfinished = [each.runtime_id for each in await supervisor.unfinished_runs("7")]
            with pytest.raises(NotFound):
                await supervisor.entries("tools", "no such run")
            assert await supervisor.entries("fails") == []

            assert told == {
                "tools": "its run executes step pay at main/3, attempt 1, version 7, for 1 min 30 s",
                "waits": "its run waits to be steered, at main/1, for 1 min 30 s",
                "sleeps": "its run sleeps, at main/1",
                "executes": "its run executes, and has recorded nothing yet",
                "tries": "step flaky at main/1 failed in attempt 1 and is tried again in 8 min 30 s",
                "fails": "nothing waits in its inbox; 1 dead letter waits to be retried",
                "after": "its run executes what comes after step look at main/1, for 1 min 30 s",
            }
            assert (entry["place"], entry["attempt"], entry["version"], entry["status"]) == (
                "main/3",
                1,
                "7",
                "dispatched",
            )
            assert [each.result for each in entries] == ["hidden found", entries[1].result, None]
            assert unfinished == ["tools"]
            scope.cancel()
            await trio.sleep_forever()


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (3_725, "1 h 2 min"),
        (90_000, "1 d 1 h"),
        (86_400, "1 d"),
        (-5, "0 s"),
    ],
)
def test_lengths_of_time_have_two_units_at_most(seconds: float, text: str) -> None:
    assert human(seconds) == text


async def count_down(run: tenure.Run) -> tenure.Again | None:
    left: int = run.inputs[0].payload
    await run.step(f"count {left}", str, left, repeat="freely")
    if not left:
        await run.sleep(7200)
    return run.again(left - 1)


async def test_runs_that_go_on_are_shown_with_those_before(
    autojump_clock: MockClock, open_host: OpenHost, tmp_path: Path
) -> None:
    chain, alone = list[tenure.RunEntry](), list[tenure.RunEntry]()
    with trio.CancelScope() as scope:
        async with open_host({"counts": count_down}) as supervisor:
            await (await supervisor.spawn("a", "counts")).accept(2)
            await wait_all_tasks_blocked()
            chain = await supervisor.entries("a", chain=True)
            alone = await supervisor.entries("a")
            scope.cancel()
            await trio.sleep_forever()
    autojump_clock.autojump_threshold = math.inf  # else it asks without end whether the threads below are done
    path = tmp_path / "agents.db"
    names = ["count 2", "count 1", "count 0", "sleep"]
    runs = list(dict.fromkeys(each.run_id for each in chain))

    assert [each.name for each in chain] == names
    assert alone == chain[2:]
    assert len(runs) == 3
    found = await trio.to_thread.run_sync(answer, "steps", path, "a", "--chain")
    assert [(each["name"], each["run_id"]) for each in found] == [(each.name, each.run_id) for each in chain]
    middle = await trio.to_thread.run_sync(answer, "steps", path, "a", "--chain", "--run", runs[1])
    assert [each["name"] for each in middle] == names[:2]
    [line] = await trio.to_thread.run_sync(answer, "runs", path)
    assert (line["run_id"], line["goes_on_after"]) == (runs[2], runs[1])
    text = (await trio.to_thread.run_sync(call, "steps", path, "a")).stdout
    assert f"Steps of run {runs[2]}, which goes on after run {runs[1]}" in " ".join(text.split())
