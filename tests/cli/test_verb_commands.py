"""The verbs of runtimes, ``why``, ``tail`` and ``dead-letters``: beside a host that runs, and without one."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

import tenure
from tenure.cli.exits import DONE, NOT_THERE, REFUSED, WRONG_USE
from tests.architecture.tree import ROOT
from tests.kit.commands import call
from tests.kit.processes import running

ONE_ATTEMPT = tenure.RestartPolicy(max_attempts=1)
LONG_BACKOFF = tenure.RestartPolicy(backoff_s=1e6, backoff_limit_s=1e6)
FEW_FAILURES = tenure.RestartPolicy(budget=1)


def answer(*arguments: object) -> Any:
    """What a command prints with --json; it must have been done."""
    result = call(*arguments, "--json")
    assert result.exit_code == DONE, result.stderr
    return json.loads(result.stdout)


async def beside(*arguments: object) -> Any:
    """The same from beside a host of this process."""
    return await trio.to_thread.run_sync(partial(answer, *arguments))


async def forever(run: tenure.Run) -> None:
    await trio.sleep_forever()


async def looking(run: tenure.Run) -> None:
    await run.step("look", trio.sleep_forever, repeat="freely")


async def failing(run: tenure.Run) -> None:
    raise ValueError("secretly broken")


async def sender(run: tenure.Run) -> None:
    run.send("nobody", {"private": True})


async def keep(run: tenure.Run) -> None:
    run.session.append(run.inputs[0].payload)


async def asleep(run: tenure.Run) -> None:
    await run.sleep(1e6)


BEHAVIOURS = {
    "forever": forever,
    "looking": looking,
    "failing": tenure.Behaviour(failing, restart=ONE_ATTEMPT),
    "backing": tenure.Behaviour(failing, restart=LONG_BACKOFF),
    "moody": tenure.Behaviour(failing, restart=FEW_FAILURES),
    "sender": sender,
    "keep": keep,
    "asleep": asleep,
}

Body = Callable[[tenure.Supervisor], Awaitable[None]]


def hosted(path: Path, body: Body) -> None:
    """Do something in a host on real threads."""

    async def main() -> None:
        with trio.fail_after(60):
            async with tenure.open_supervisor(path, behaviours=BEHAVIOURS, drain_s=0) as supervisor:
                await body(supervisor)

    trio.run(main)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


# --- Verbs


def test_the_lifecycle_is_led_from_outside_through_the_host_that_owns_the_runtime(path: Path) -> None:
    async def body(supervisor: tenure.Supervisor) -> None:
        runtime = await supervisor.spawn("alice", "keep")
        await (await runtime.accept("hello")).wait_outcome()
        assert await beside("retire", path, "alice") == {"runtime_id": "alice", "verb": "retire", "done": True}
        assert runtime.state == "retired"
        await beside("recycle", path, "alice")
        await beside("reset", path, "alice", "--clear-session")
        assert (runtime.generation, await supervisor.read_session("alice")) == (1, [])
        await beside("stop", path, "alice")
        assert runtime.state == "stopped"
        await beside("destroy", "--yes", path, "alice")
        assert runtime.state == "destroyed"

    hosted(path, body)


def test_a_run_and_an_input_are_cancelled_from_outside(path: Path) -> None:
    async def body(supervisor: tenure.Supervisor) -> None:
        runtime = await supervisor.spawn("alice", "forever")
        first, second = await runtime.accept(1), await runtime.accept(2)
        await runtime.wait_state("running")
        assert (await beside("cancel", path, "alice", second.input_id))["answer"] is True
        assert (await beside("cancel", "--in-run", path, "alice", second.input_id))["answer"] is False
        assert (await beside("cancel", path, "alice"))["answer"] is True
        assert (await beside("cancel", path, "alice"))["answer"] is False
        for ticket in (first, second):
            assert (await ticket.wait_outcome()).reason == "cancelled"
        mistyped = await trio.to_thread.run_sync(partial(call, "cancel", path, "alice", f"{first.input_id}0"))
        assert (mistyped.exit_code, mistyped.stdout) == (NOT_THERE, "")

    hosted(path, body)


def test_a_held_runtime_is_explained_and_resumed_from_outside(path: Path) -> None:
    async def body(supervisor: tenure.Supervisor) -> None:
        runtime = await supervisor.spawn("alice", "moody")
        await runtime.accept(1)
        await runtime.wait_held()
        told = await beside("why", path, "alice")
        assert told["because"] == "it is held until a person resumes it: budget used up"
        assert told["held"]["detail"] == told["run"]["last_error"].splitlines()[0] == "ValueError: secretly broken"
        run_id = told["run"]["run_id"]
        await beside("resume", path, "alice", "--restart-run")
        await until(path, "alice", lambda run: run["run_id"] != run_id)

    hosted(path, body)


def test_dead_letters_are_listed_without_content_retried_and_dropped_from_outside(path: Path) -> None:
    ids: dict[str, str] = {}

    async def body(supervisor: tenure.Supervisor) -> None:
        ticket = await (await supervisor.spawn("alice", "failing")).accept({"private": True})
        await ticket.wait_outcome()
        ids["alice"] = ticket.input_id
        await (await (await supervisor.spawn("bob", "sender")).accept(1)).wait_outcome()
        assert (await beside("retry", path, "alice", ticket.input_id))["answer"] == [ticket.input_id]
        again = await supervisor.ticket("alice", input_id=ticket.input_id)
        assert (await again.wait_outcome()).phase == "abandoned"

    hosted(path, body)
    letters = answer("dead-letters", path)
    assert [(each["runtime_id"], each["reason"], each["target"]) for each in letters] == [
        ("alice", "max_attempts_exhausted", None),
        ("bob", "refused", "nobody"),
    ]
    assert letters[0]["bytes"] == len('{"private":true}')
    assert "private" not in call("dead-letters", path).stdout + json.dumps(letters)
    assert answer("dead-letters", path, "bob") == letters[1:]
    assert call("retry", path, "bob", letters[1]["input_id"]).exit_code == NOT_THERE  # its target is still not there

    answer("drop", path, "bob", letters[1]["input_id"])
    assert answer("dead-letters", path, "bob") == []
    assert call("drop", path, "alice", "no such letter").exit_code == NOT_THERE
    assert answer("retry", path, "alice", ids["alice"], "--fresh")["answer"] == [ids["alice"]]
    assert answer("why", path, "alice")["because"] == "no living host has it: none has the store open"


def kill_a_host_in_a_step(path: Path) -> None:
    """Leave a store as a host leaves it that was killed while alice's step was under way."""
    program = """
import os, signal, sys, trio, tenure
async def die():
    os.kill(os.getpid(), signal.SIGKILL)
async def buyer(run):
    await run.step("pay", die, repeat="never")
async def main():
    async with tenure.open_supervisor(sys.argv[1], behaviours={"buyer": buyer}) as supervisor:
        await (await supervisor.spawn("alice", "buyer")).accept(1, idempotency_key="k")
        await trio.sleep_forever()
trio.run(main)
"""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", program, str(path)], env=environment, timeout=60, check=False)
    assert done.returncode == -signal.SIGKILL


@pytest.mark.slow
def test_a_step_in_doubt_is_settled_from_outside(path: Path) -> None:
    kill_a_host_in_a_step(path)

    async def pay() -> str:
        return "paid again"

    async def buyer(run: tenure.Run) -> None:
        run.session.append(await run.step("pay", pay, repeat="never"))

    async def main() -> None:
        with trio.fail_after(60):
            async with tenure.open_supervisor(path, behaviours={"buyer": buyer}) as supervisor:
                runtime = supervisor.runtime("alice")
                await runtime.wait_held()
                await beside("settle-step", path, "alice", "main/1", "--ran", '"paid"')
                await (await supervisor.ticket("alice", idempotency_key="k")).wait_outcome()
                assert await supervisor.read_session("alice") == ["paid"]

    trio.run(main)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("destroy", "alice"), WRONG_USE),
        (("settle-step", "alice", "main/1"), WRONG_USE),
        (("settle-step", "alice", "main/1", "--ran", "{"), WRONG_USE),
        (("settle-step", "alice", "main/1", "--did-not-run"), NOT_THERE),
        (("resume", "alice", "--ran", "main/1", "{"), WRONG_USE),
        (("resume", "alice", "--ran", "main/1", "1", "--did-not-run", "main/1"), WRONG_USE),
        (("resume", "alice", "--did-not-run", "main/1"), NOT_THERE),
        (("retire", "nobody"), NOT_THERE),
        (("why", "nobody"), NOT_THERE),
        (("tail", "nobody"), NOT_THERE),
        (("dead-letters", "nobody"), NOT_THERE),
        (("reset", "stopped"), REFUSED),
    ],
    ids=str,
)
def test_what_cannot_be_done_ends_with_its_code_and_changes_nothing(
    path: Path, arguments: tuple[str, ...], code: int
) -> None:
    async def body(supervisor: tenure.Supervisor) -> None:
        await supervisor.spawn("alice", "keep")
        await (await supervisor.spawn("stopped", "keep")).stop()

    hosted(path, body)
    name, *rest = arguments

    assert call(name, path, *rest).exit_code == code
    assert answer("why", path, "alice")["state"] == "idle"


@pytest.mark.parametrize("command", ["retire", "why", "tail", "dead-letters"])
def test_a_store_that_is_not_there_is_not_made(tmp_path: Path, command: str) -> None:
    assert call(command, tmp_path / "none.db", "alice").exit_code == NOT_THERE
    assert not list(tmp_path.iterdir())


# --- Holds


def test_a_hold_ends_as_it_was_placed_also_of_a_runtime_that_is_not_there_yet(path: Path) -> None:
    async def body(supervisor: tenure.Supervisor) -> None:
        await supervisor.spawn("alice", "keep")
        for name in ("alice", "later"):
            await beside("hold", path, name, "--note", "night")
            ticket = await supervisor.accept(name, 1, kind="keep")
            if name == "alice":
                told = await beside("resume", path, name)  # of the held mark, which it has not
                assert [(each["of"], each["note"]) for each in told["still_on_hold"]] == [("runtime", "night")]
                assert ticket.outcome is None

            assert (await beside("resume", path, name, "--hold"))["was_on_hold"]

            assert (await ticket.wait_outcome()).phase == "consumed"
        assert not (await beside("resume", path, "later", "--hold"))["was_on_hold"]
        assert "still_on_hold" not in await beside("resume", path, "alice")

    async def empty(supervisor: tenure.Supervisor) -> None:
        await supervisor.hold("never there")

    hosted(path, body)
    hosted(path, empty)
    assert answer("resume", path, "never there", "--hold")["was_on_hold"]
    answer("hold", path, "alice")
    assert "it stays on hold: resume --hold" in call("resume", path, "alice").stderr
    assert " UTC" in next(line for line in call("why", path, "alice").stdout.splitlines() if line.startswith("on hold"))
    assert call("resume", path, "alice", "--hold", "--take-recorded").exit_code == WRONG_USE


# --- What is said


def test_a_command_takes_no_output_away_that_the_hosts_keep(path: Path) -> None:
    async def speak(run: tenure.Run) -> None:
        for number in range(3):
            await run.emit(number)
            await run.flush()
        await trio.sleep_forever()

    async def long_ago() -> None:
        kept = tenure.Retention(output_s=365 * 86_400.0)
        seams = tenure.Seams(wall_clock=lambda: time.time() - 30 * 86_400.0)
        async with tenure.open_supervisor(
            path, behaviours={"kind": speak}, retention=kept, seams=seams, drain_s=0
        ) as supervisor:
            spoken = await supervisor.spawn("b", "kind")
            await spoken.accept("go")
            with trio.fail_after(30):
                async for entry in spoken.follow():
                    if entry.value == 2:
                        break

    trio.run(long_ago)
    said = call("output", path, "b").output.splitlines()
    assert len(said) == 4  # that its run has begun, and three words

    answer("stop", path, "b")

    assert call("output", path, "b").output.splitlines()[:4] == said


# --- Why and tail


async def until(path: Path, runtime: str, reached: Callable[[dict[str, Any]], bool]) -> None:
    """Wait for something that is stored of a runtime's run."""
    while (run := (await beside("why", path, runtime))["run"]) is None or not reached(run):  # noqa: ASYNC110
        await trio.sleep(0.01)


def test_why_tells_the_first_reason_that_holds(path: Path) -> None:
    async def body(supervisor: tenure.Supervisor) -> None:
        for name, kind in (("busy", "forever"), ("asleep", "asleep"), ("backing", "backing")):
            await (await supervisor.spawn(name, kind)).accept({"private": True})
        await supervisor.spawn("empty", "keep")
        await (await supervisor.spawn("drained", "keep")).retire()
        await (await supervisor.spawn("stopped", "keep")).stop()
        await (await supervisor.spawn("destroyed", "keep")).destroy()
        names = ("busy", "asleep", "backing", "empty", "drained", "stopped", "destroyed")
        await until(path, "busy", lambda run: True)
        await until(path, "asleep", lambda run: run["sleeps_until"] is not None)
        await until(path, "backing", lambda run: run["retry_at"] is not None)
        told = {name: await beside("why", path, name) for name in names}
        assert {name: each["because"] for name, each in told.items()} == {
            "busy": "its run executes, and has recorded nothing yet",
            "asleep": "its run sleeps, at main/1",
            "backing": "its run has failed and waits to be tried again",
            "empty": "nothing waits in its inbox",
            "drained": "it is retired, and has nothing left to drain",
            "stopped": "it is stopped until it is spawned again",
            "destroyed": "it was destroyed, and never comes back",
        }
        assert told["busy"]["owner"]["pid"] == os.getpid()
        assert told["busy"]["oldest_input"]["phase"] == "staged"
        assert told["backing"]["run"]["failed_attempts"] == 1
        assert "private" not in json.dumps(told)

    hosted(path, body)
    assert answer("why", path, "busy")["because"] == "no living host has it: none has the store open"


@pytest.mark.slow
def test_tail_prints_the_newest_of_the_chain_and_follows_what_lands(path: Path) -> None:
    async def two(supervisor: tenure.Supervisor) -> None:
        runtime = await supervisor.spawn("alice", "keep")
        for text in ("private", "more"):
            await (await runtime.accept(text)).wait_outcome()
        await runtime.reset()

    hosted(path, two)
    lines = [json.loads(line) for line in call("tail", path, "alice", "--json").stdout.splitlines()]
    assert [(line["position"], line["event"], line["message_count"]) for line in lines] == [
        (1, "run_start", 1),
        (2, "run_start", 2),
        (3, "reset", None),
    ]
    last = call("tail", path, "alice", "--lines", 1).stdout
    assert last.startswith("position 3")
    assert "private" not in last

    command = [sys.executable, "-m", "tenure.cli", "tail", "--json", "-n", "0", "-f", str(path), "alice"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with running(command, env=environment) as child:
        assert child.stdout is not None
        try:

            async def more(supervisor: tenure.Supervisor) -> None:
                runtime = await supervisor.spawn("alice", "keep")
                for number in range(200):
                    await (await runtime.accept(number)).wait_outcome()
                    if await trio.to_thread.run_sync(readable, child.stdout, 0.2):
                        return

            hosted(path, more)
            first = json.loads(child.stdout.readline())
        finally:
            child.send_signal(signal.SIGINT)
        assert child.wait(30) == 130
    assert (first["event"], first["position"] > 3) == ("run_start", True)


@pytest.mark.slow
@pytest.mark.process
def test_a_command_that_waits_is_ended_by_sigterm_as_by_ctrl_c(path: Path) -> None:
    async def body(supervisor: tenure.Supervisor) -> None:
        await supervisor.accept("alice", 1, kind="keep")

    hosted(path, body)
    command = [sys.executable, "-m", "tenure.cli", "ask", str(path), "bob", "1", "--kind", "of no host"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}

    with running(command, env=environment, stderr=subprocess.PIPE) as child:
        while call("inbox", path, "bob").exit_code == NOT_THERE:
            assert child.poll() is None
        child.send_signal(signal.SIGTERM)
        _, errors = child.communicate(timeout=60)

    assert (child.returncode, errors) == (130, "")


def test_why_beside_hosts_that_lack_the_behaviour_says_what_is_needed(path: Path) -> None:
    async def body(supervisor: tenure.Supervisor) -> None:
        await supervisor.accept("bob", 1, kind="of no host")
        told = await beside("why", path, "bob")
        assert told["because"].startswith(
            "no living host has it: none of 1 that have behaviours has one of its kind 'of no host'; they have '"
        )
        assert "'keep'" in told["because"]
        assert told["because"] in (await trio.to_thread.run_sync(call, "inbox", path, "bob")).stderr
        health = await beside("health", path)
        assert (health["ready"], health["kinds_without_hosts"]) == (True, {"of no host": 1})
        (line,) = await beside("unowned", path)
        assert (line["runtime_id"], line["kind"], line["unfinished_inputs"]) == ("bob", "of no host", 1)
        assert line["because"] == told["because"], "the command itself is no host that could take it"

    hosted(path, body)


def readable(stream: Any, timeout_s: float) -> bool:
    """Whether a line has come."""
    return bool(select.select([stream], [], [], timeout_s)[0])


@pytest.mark.slow
def test_why_does_not_take_a_killed_host_for_a_living_one(path: Path) -> None:
    kill_a_host_in_a_step(path)

    told = answer("why", path, "alice")

    assert told["because"] == "no living host has it: none has the store open"
    assert told["owner"] is None


def test_why_asks_the_host_for_what_stands_in_no_record(path: Path) -> None:
    async def body(supervisor: tenure.Supervisor) -> None:
        runtime = await supervisor.spawn("alice", "looking")
        await runtime.accept(1)
        while not (await supervisor.why("alice"))["because"].startswith("its run executes step look"):  # noqa: ASYNC110
            await trio.sleep(0.01)

        told = await beside("why", path, "alice")

        assert told["because"].startswith("its run executes step look at main/1, attempt 1, for ")

    hosted(path, body)
