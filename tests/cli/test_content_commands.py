"""``tenure accept``, ``steer``, ``inbox``, ``messages``, ``state`` and ``hosts``: beside a host that runs, and without one."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any

import pytest
import trio

import tenure
from tenure.cli import verbs
from tenure.cli.exits import NOT_THERE, REFUSED, WRONG_USE
from tenure.cli.output import Output
from tenure.persistence.upkeep.listing import list_hosts
from tests.cli.test_verb_commands import answer, beside, call, hosted
from tests.kit.seen import open_seen_store, open_seen_supervisor
from tests.persistence.contracts.damage import execute


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "a.db"


async def remember(run: tenure.Run) -> None:
    """Keep what was said, and wait for a yes where a purchase is asked for."""
    (entry,) = run.inputs
    run.session.append(entry.payload)
    await run.emit(["hears", entry.payload])
    run.state.set("heard", await run.state.get("heard", 0) + 1)
    if entry.payload == "buy":
        (said,) = await run.wait_steered()
        run.session.append(f"bought: {said.payload}")
    if entry.payload == "fail":
        raise ValueError("broken")


BEHAVIOURS = {"kind": tenure.Behaviour(remember, restart=tenure.RestartPolicy(max_attempts=1))}


def alone(path: Path, *payloads: Any) -> None:
    """A host that has worked on these, and gone."""

    async def main() -> None:
        with trio.fail_after(60):
            async with open_seen_supervisor(path, behaviours=BEHAVIOURS) as supervisor:
                runtime = await supervisor.spawn("alice", "kind")
                for payload in payloads:
                    await (await runtime.accept(payload)).wait_outcome()

    trio.run(main)


def test_an_input_from_a_shell_is_taken_and_its_end_is_waited_for(path: Path) -> None:
    async def main() -> None:
        async with open_seen_supervisor(path, behaviours=BEHAVIOURS) as supervisor:
            await supervisor.spawn("alice", "kind")
            done = await beside("accept", path, "alice", '{"n": 1}', "--key", "k", "--wait")
            again = await beside("accept", path, "alice", '{"n": 1}', "--key", "k")
            assert (done["phase"], done["deduplicated"], again["deduplicated"]) == ("consumed", False, True)
            assert again["input_id"] == done["input_id"]
            assert await supervisor.read_session("alice") == [{"n": 1}]
            failed = await trio.to_thread.run_sync(lambda: call("accept", path, "alice", '"fail"', "--wait", "--json"))
            assert failed.exit_code == REFUSED
            assert json.loads(failed.stdout)["reason"] == "max_attempts_exhausted"

    trio.run(main)


def test_who_waits_long_for_an_end_hears_why(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said, notes = threading.Event(), list[str]()

    def note(_: Output, text: str) -> None:
        notes.append(text)
        said.set()

    async def main() -> None:
        async with open_seen_supervisor(path, behaviours=BEHAVIOURS) as supervisor:
            alice = await supervisor.spawn("alice", "kind")
            await alice.hold("look first")
            asked: list[Any] = []

            async def ask() -> None:
                asked.append(await beside("accept", path, "alice", "1", "--wait"))

            async with trio.open_nursery() as nursery:
                nursery.start_soon(ask)
                assert await trio.to_thread.run_sync(said.wait, 60.0)
                await alice.resume(hold=True)
            assert asked[0]["phase"] == "consumed"

    monkeypatch.setattr(verbs, "NOTE_S", 0.0)
    monkeypatch.setattr(Output, "note", note)
    trio.run(main)

    (text,) = notes
    assert text.startswith("it is on disk, and has not ended after 0 s: ")
    assert "on hold" in text


def test_a_note_is_one_line_for_people_beside_what_is_read_by_programs(capsys: pytest.CaptureFixture[str]) -> None:
    Output(json=True).note("it waits")
    Output(json=False).note("it waits\nfor a\x1b host")
    assert capsys.readouterr() == ("", "tenure: it waits for a\\x1b host\n")


def test_an_agent_is_made_from_a_shell_by_its_first_input(path: Path) -> None:
    alone(path)
    assert call("accept", path, "newt", "1", "--json").exit_code == NOT_THERE

    given = answer("accept", path, "newt", "1", "--kind", "kind")

    assert [(each["runtime_id"], each["kind"]) for each in answer("list", path)] == [
        ("alice", "kind"),
        ("newt", "kind"),
    ]
    assert [each["input_id"] for each in answer("inbox", path, "newt")] == [given["input_id"]]
    refused = call("accept", path, "newt", "1", "--kind", "other", "--json")
    assert (refused.exit_code, json.loads(refused.stderr)["error"]) == (REFUSED, "KindMismatch")


def test_an_approval_is_given_from_a_shell(path: Path) -> None:
    async def main() -> None:
        with trio.fail_after(60):
            async with open_seen_supervisor(path, behaviours=BEHAVIOURS) as supervisor:
                ticket = await (await supervisor.spawn("alice", "kind")).accept("buy")
                await beside("steer", path, "alice", '"yes"', "--answers", ticket.input_id)
                assert (await ticket.wait_outcome()).phase == "consumed"
                assert await supervisor.read_session("alice") == ["buy", "bought: yes"]

    trio.run(main)


def test_an_input_waits_in_the_inbox_where_no_host_runs(path: Path) -> None:
    alone(path)
    given = answer("accept", path, "alice", '{"secret": 1}', "--key", "k")
    answer("steer", path, "alice", '"now"')

    first, second = answer("inbox", path, "alice")

    assert given["phase"] is None
    assert (first["input_id"], first["lane"], first["phase"], first["size"]) == (
        given["input_id"],
        "queue",
        "queued",
        12,
    )
    assert (first["idempotency_key"], second["lane"]) == ("k", "steer")
    assert "secret" not in call("inbox", path, "alice").stdout + call("inbox", path, "alice", "--json").stdout
    assert [each["payload"] for each in answer("inbox", path, "alice", "--content")] == [{"secret": 1}, "now"]
    assert "secret" in call("inbox", path, "alice", "--content").stdout


def test_what_inputs_came_to_is_listed_with_those_that_have_ended(path: Path) -> None:
    async def main() -> None:
        async def answers(run: tenure.Run) -> dict[str, str]:
            return {"secret": "result"}

        async with open_seen_supervisor(path, behaviours={"kind": answers}) as supervisor:
            runtime = await supervisor.spawn("alice", "kind")
            await (await runtime.accept("go", correlation_id="c-1")).wait_outcome()
            asked = await trio.to_thread.run_sync(lambda: call("accept", path, "alice", '"x"', "--wait", "--json"))
            assert json.loads(asked.stdout)["result"] == {"secret": "result"}

            asked = await trio.to_thread.run_sync(lambda: call("ask", path, "bob", '"x"', "--kind", "kind"))
            assert json.loads(asked.stdout) == {"secret": "result"}

    trio.run(main)

    assert answer("inbox", path, "alice") == []
    first, second = answer("inbox", path, "alice", "--all", "--content")
    assert (first["phase"], first["correlation_id"], first["result"]) == ("consumed", "c-1", {"secret": "result"})
    assert second["result"] == {"secret": "result"}
    assert "secret" not in call("inbox", path, "alice", "--all").stdout


def test_an_inbox_of_many_pages_is_listed_whole(path: Path) -> None:
    async def body(supervisor: tenure.Supervisor) -> None:
        runtime = await supervisor.spawn("alice", "asleep")
        async with trio.open_nursery() as nursery:
            for number in range(1_200):
                nursery.start_soon(runtime.accept, number)

    hosted(path, body)

    assert len(answer("inbox", path, "alice")) == 1_200


def test_what_goes_to_the_front_stands_there_in_the_inbox(path: Path) -> None:
    urgent = tenure.PolicyDecision(queue_mode=tenure.QueueMode.PRIORITY)

    async def body(supervisor: tenure.Supervisor) -> None:
        runtime = await supervisor.spawn("alice", "asleep")
        for number in range(4):
            await runtime.accept(number, policy=urgent)

    hosted(path, body)

    assert [each["payload"] for each in answer("inbox", path, "alice", "--content")] == [3, 2, 1, 0]


def test_a_conversation_and_a_state_are_printed(path: Path) -> None:
    alone(path, "hello", {"more": [1]})

    assert answer("messages", path, "alice") == [
        {"number": 1, "message": "hello"},
        {"number": 2, "message": {"more": [1]}},
    ]
    assert answer("state", path, "alice") == {"revision": 2, "values": {"heard": 2}}
    assert "hello" in call("messages", path, "alice").stdout
    assert "heard" in call("state", path, "alice").stdout


def test_a_message_that_is_no_json_is_printed_as_its_bytes(path: Path) -> None:
    async def main() -> None:
        async def raw(run: tenure.Run) -> None:
            run.session.append(b"\xff\x00")

        async with open_seen_supervisor(path, behaviours={"kind": raw}) as supervisor:
            await (await (await supervisor.spawn("alice", "kind")).accept(1)).wait_outcome()

    trio.run(main)

    assert answer("messages", path, "alice") == [{"number": 1, "message": {"bytes": "ff00"}}]


def test_hosts_that_have_the_store_open_are_listed(path: Path) -> None:
    alone(path, "hello")

    async def body(supervisor: tenure.Supervisor) -> None:
        await supervisor.spawn("bob", "asleep")
        (line,) = await beside("hosts", path)
        assert (line["incarnation"], line["pid"]) == (supervisor.store.incarnation, os.getpid())
        assert (line["state"], line["runtimes"], line["durability"]) == ("open", 1, "disk")
        assert [each["state"] for each in await beside("hosts", path, "--all")] == ["closed", "open"]

    hosted(path, body)
    assert answer("hosts", path) == []


def test_a_host_drains_and_takes_again_as_a_shell_asks(path: Path) -> None:
    async def main() -> None:
        bounded = {"kind": tenure.Behaviour(remember, max_owned=5)}
        async with open_seen_supervisor(path, behaviours=bounded) as supervisor:
            incarnation = supervisor.store.incarnation
            await supervisor.spawn("alice", "kind")
            (line,) = await beside("hosts", path)
            assert (line["runtimes"], line["max_owned"], line["drain"]) == (1, {"kind": 5}, None)

            said = await beside("drain", path)
            assert said == {"host": incarnation, "asked": "asked", "drain": "drained", "runtimes": 0}
            assert (await beside("hosts", path))[0]["drain"] == "drained"
            assert supervisor.statistics().runtimes == 0
            await beside("accept", path, "alice", '"hello"')

            assert (await beside("undrain", path, incarnation[:30]))["drain"] is None
            with trio.fail_after(60):
                ticket = await supervisor.accept("alice", "more")
                assert (await ticket.wait_outcome()).phase == "consumed"
            assert (await beside("drain", path, "--no-wait"))["drain"] in {"asked", "drains", "drained"}

            assert (await trio.to_thread.run_sync(call, "drain", path, "nobody")).exit_code == NOT_THERE
            async with open_seen_store(path):
                assert (await trio.to_thread.run_sync(call, "drain", path)).exit_code == WRONG_USE

    trio.run(main)


def test_a_drain_that_is_ended_while_a_shell_waits_for_it_is_no_success(path: Path) -> None:
    async def main() -> None:
        entered, ended = trio.Event(), list[int]()

        async def waits(run: tenure.Run) -> None:
            entered.set()
            await trio.sleep_forever()

        async with tenure.open_supervisor(path, behaviours={"kind": waits}, drain_s=600) as supervisor:
            await (await supervisor.spawn("alice", "kind")).accept(1)
            await entered.wait()

            async def drain() -> None:
                ended.append((await trio.to_thread.run_sync(call, "drain", path, abandon_on_cancel=True)).exit_code)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(drain)
                with trio.move_on_after(30):
                    while (await supervisor.store.read(list_hosts))[0].drain != "drains":  # noqa: ASYNC110 - it says so to no one
                        await trio.sleep(0.05)
                    await supervisor.undrain()
                    while not ended:  # noqa: ASYNC110 - as above
                        await trio.sleep(0.05)
                nursery.cancel_scope.cancel()
            await supervisor.drain(drain_s=0)
            assert ended == [REFUSED]

    trio.run(main)


def test_a_host_that_was_killed_is_not_listed_as_open(path: Path) -> None:
    alone(path)

    async def kill() -> None:
        async with open_seen_store(path) as store:
            await execute(store, "UPDATE hosts SET closed_at = NULL")

    trio.run(kill)  # the last one to close writes that it has; the first one looks as if it had been killed

    assert answer("hosts", path) == []
    assert {each["state"] for each in answer("hosts", path, "--all")} == {"lost", "closed"}


def test_output_is_printed_from_a_position_on_and_as_it_comes(path: Path) -> None:
    alone(path, "hello")
    lines = [json.loads(line) for line in call("output", path, "alice", "--json").stdout.splitlines()]
    assert [line["kind"] for line in lines] == ["begun", "data", "ended"]
    assert lines[1]["value"] == ["hears", "hello"]
    after = call("output", path, "alice", "--json", "--after", lines[1]["position"]).stdout
    assert [json.loads(line) for line in after.splitlines()] == lines[2:]
    assert "hears" not in call("output", path, "alice", "--channel", "thoughts").stdout
    assert "hears" in call("output", path, "alice").stdout
    assert call("output", path, "alice", "--after", "nowhere").exit_code == WRONG_USE

    async def destroyed() -> None:
        async with tenure.open_supervisor(path, behaviours=BEHAVIOURS) as supervisor:
            await (await supervisor.spawn("alice", "kind")).destroy()

    trio.run(destroyed)
    assert json.loads(call("output", path, "alice", "--follow", "--json").stdout.splitlines()[-1]) == lines[-1]


@pytest.mark.parametrize("name", ["accept", "steer", "inbox", "messages", "state", "output"])
def test_a_runtime_that_is_not_there_is_said(path: Path, name: str) -> None:
    alone(path)
    arguments = ('"x"',) if name in ("accept", "steer") else ()

    assert call(name, path, "nobody", *arguments).exit_code == NOT_THERE
    assert call(name, path.with_name("no.db"), "alice", *arguments).exit_code == NOT_THERE


def test_a_payload_that_is_no_json_is_wrong_use(path: Path) -> None:
    alone(path)

    assert call("accept", path, "alice", "no json").exit_code == WRONG_USE
    assert answer("inbox", path, "alice") == []


def test_an_accept_can_be_delayed_to_a_time(path: Path) -> None:
    alone(path)
    later = answer("accept", path, "newt", "1", "--kind", "kind", "--at", "2999-01-31T08:00+01:00")
    assert later["phase"] is None
    answer("accept", path, "newt", "2", "--after", "900")
    assert [(each["phase"], each["due_at"] is not None) for each in answer("inbox", path, "newt")] == [
        ("accepted", True),
        ("accepted", True),
    ]
    told = answer("why", path, "newt")
    assert told["delayed_inputs"] == 2
    assert "2 inputs are delayed" in told["because"]
    assert call("accept", path, "newt", "1", "--at", "tomorrow", "--json").exit_code != 0
    assert call("accept", path, "newt", "1", "--at", "2999-01-31T08:00", "--json").exit_code != 0
