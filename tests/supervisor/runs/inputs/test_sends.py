"""Sends: they land once, with the commit of the run that sent them, and a refused one harms nobody."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import InvalidInput
from tests.kit.hosting import (
    consumed,
    echo,
    forever,
    host,
    nothing,
    peek,
)

QUICK = tenure.RestartPolicy(backoff_s=0.001, jitter=0.0)


async def test_a_send_becomes_an_input_that_says_where_it_came_from(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    received: list[Any] = []
    sent_by: list[str] = []

    async def sender(run: tenure.Run) -> None:
        sent_by.append(run.run_id)
        run.send("bob", {"n": 1})

    async def receiver(run: tenure.Run) -> None:
        received.extend((entry.kind, entry.payload, entry.source) for entry in run.inputs)

    async with host(target, {"sender": sender, "receiver": receiver}) as supervisor:
        await supervisor.spawn("bob", "receiver")
        await consumed(await supervisor.spawn("alice", "sender"), "go")
        await trio.testing.wait_all_tasks_blocked()

    assert received == [
        ("peer_message", {"n": 1}, {"type": "peer", "runtime_id": "alice", "run_id": sent_by[0]}),
    ]


async def test_what_a_failed_attempt_sent_is_not_sent(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def sender(run: tenure.Run) -> None:
        run.send("bob", run.attempts)
        if run.attempts < 2:
            raise ValueError

    async with host(target, {"sender": tenure.Behaviour(sender, restart=QUICK), "echo": echo}) as supervisor:
        await supervisor.spawn("bob", "echo")
        await consumed(await supervisor.spawn("alice", "sender"), "go")
        await trio.testing.wait_all_tasks_blocked()

        assert await supervisor.read_session("bob") == [2]


async def test_what_was_sent_with_a_checkpoint_is_not_sent_again_when_the_run_enters_again(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def sender(run: tenure.Run) -> None:
        run.send("bob", "first")
        await run.checkpoint()
        run.send("bob", "second")
        if run.attempts < 2:
            raise ValueError

    async with host(target, {"sender": tenure.Behaviour(sender, restart=QUICK), "echo": echo}) as supervisor:
        await supervisor.spawn("bob", "echo")
        await consumed(await supervisor.spawn("alice", "sender"), "go")
        await trio.testing.wait_all_tasks_blocked()

        assert await supervisor.read_session("bob") == ["first", "second"]


async def test_the_send_and_the_end_of_its_run_are_one_commit(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def sender(run: tenure.Run) -> None:
        run.session.append("told bob")
        run.send("bob", "told")

    async with host(database, {"sender": sender, "slow": forever}) as supervisor:
        bob = await supervisor.spawn("bob", "slow")
        receipt = await consumed(await supervisor.spawn("alice", "sender"), "go")
        [[arrived]] = peek(database, "SELECT min(created_at) FROM inputs WHERE kind = 'peer_message'")
        await bob.stop()

    # The time of a commit is the time of its group.
    assert arrived == receipt.committed_at
    assert receipt.message_count == 1


async def test_a_send_to_oneself_is_the_next_input(target: Path | str, autojump_clock: trio.testing.MockClock) -> None:
    async def counter(run: tenure.Run) -> None:
        [entry] = run.inputs
        run.session.append(entry.payload)
        if entry.payload < 3:
            run.send(run.runtime_id, entry.payload + 1)

    async with host(target, {"kind": counter}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), 0)
        await trio.testing.wait_all_tasks_blocked()

        assert await supervisor.read_session("alice") == [0, 1, 2, 3]


@pytest.mark.parametrize("why", ["unknown", "stopped", "retired", "destroyed", "too large"])
async def test_a_refused_send_becomes_a_dead_letter_of_its_sender_and_does_not_fail_it(
    why: str, target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    payload = "x" * 1000 if why == "too large" else {"n": 1}

    async def sender(run: tenure.Run) -> None:
        run.send("bob", payload)
        run.send("carol", "fine")
        run.session.append("sent")

    behaviours = {"sender": sender, "echo": echo}
    async with host(target, behaviours, limits=tenure.Limits(payload_bytes=500)) as supervisor:
        if why != "unknown":
            bob = await supervisor.spawn("bob", "echo")
            await {"stopped": bob.stop, "retired": bob.retire, "destroyed": bob.destroy}.get(
                why, trio.lowlevel.checkpoint
            )()
        await supervisor.spawn("carol", "echo")
        await consumed(await supervisor.spawn("alice", "sender"), "go")
        await trio.testing.wait_all_tasks_blocked()

        [refused] = await supervisor.refused_sends("alice")
        assert (refused.target, json.loads(refused.payload), refused.index) == ("bob", payload, 1)
        assert refused.refused
        assert ("give its kind to make it" in refused.refused) == (why == "unknown")
        assert await supervisor.read_session("alice") == ["sent"]
        assert await supervisor.read_session("carol") == ["fine"]
        [letter] = await supervisor.dead_letters("alice")
        assert (letter.input_id, letter.target, letter.reason) == (refused.input_id, "bob", "refused")
        assert (letter.payload, letter.error) == (refused.payload, refused.refused)


async def test_a_full_inbox_does_not_refuse_a_send(autojump_clock: trio.testing.MockClock) -> None:
    async def sender(run: tenure.Run) -> None:
        for n in range(5):
            run.send("bob", n)

    limits = tenure.Limits(inbox_inputs=2)
    async with host(":memory:", {"sender": sender, "echo": echo}, limits=limits) as supervisor:
        await supervisor.spawn("bob", "echo")
        await consumed(await supervisor.spawn("alice", "sender"), "go")
        await trio.testing.wait_all_tasks_blocked()

        assert await supervisor.read_session("bob") == [0, 1, 2, 3, 4]


async def test_a_send_wakes_a_runtime_that_an_earlier_host_has_left(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def sender(run: tenure.Run) -> None:
        run.send("bob", "wake up")

    async with host(database, {"echo": echo}) as supervisor:
        await supervisor.spawn("bob", "echo")
    async with host(database, {"sender": sender, "echo": echo, "quiet": nothing}) as supervisor:
        await consumed(await supervisor.spawn("alice", "sender"), "go")
        while not await supervisor.read_session("bob"):
            await trio.testing.wait_all_tasks_blocked()

        assert await supervisor.read_session("bob") == ["wake up"]


async def test_a_child_that_answers_in_the_steer_lane_is_heard_by_the_run_that_waits(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def parent(run: tenure.Run) -> list[Any]:
        run.send("child", "work")
        return [(each.payload, each.correlation_id) for each in await run.wait_steered()]

    async def child(run: tenure.Run) -> None:
        run.send("parent", "done", lane="steer", correlation_id="c-1")

    async with host(target, {"parent": parent, "child": child}) as supervisor:
        await supervisor.spawn("child", "child")
        runtime = await supervisor.spawn("parent", "parent")
        ticket = await runtime.accept("go")

        assert (await ticket.wait_outcome()).result == [["done", "c-1"]]


async def test_a_send_with_a_kind_makes_its_target(target: Path | str, autojump_clock: trio.testing.MockClock) -> None:
    async def sender(run: tenure.Run) -> None:
        run.send("bob", "hello", kind="echo")
        run.send("alice", "no", kind="echo")

    async with host(target, {"sender": sender, "echo": echo}) as supervisor:
        await consumed(await supervisor.spawn("alice", "sender"), "go")
        while not await supervisor.read_session("bob"):
            await trio.testing.wait_all_tasks_blocked()

        assert await supervisor.read_session("bob") == ["hello"]
        [refused] = await supervisor.refused_sends("alice")
        assert refused.target == "alice"
        assert "kind" in refused.refused


async def test_a_refused_send_is_sent_again_on_its_terms(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    heard: list[Any] = []

    async def sender(run: tenure.Run) -> None:
        if run.inputs[0].payload == "go":
            run.send("bob", "hello", lane="steer", correlation_id="c-1")

    async def waits(run: tenure.Run) -> None:
        heard.extend((each.payload, each.correlation_id) for each in await run.wait_steered())

    async with host(target, {"sender": sender, "waits": waits}) as supervisor:
        alice = await supervisor.spawn("alice", "sender")
        await consumed(alice, "go")
        [refused] = await supervisor.refused_sends("alice")
        bob = await supervisor.spawn("bob", "waits")
        ticket = await bob.accept("begin")
        await trio.testing.wait_all_tasks_blocked()
        await alice.retry(refused.input_id)
        await ticket.wait_outcome()

    assert heard == [("hello", "c-1")]


async def test_a_replay_that_sends_on_other_terms_is_a_mismatch(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def sender(run: tenure.Run) -> None:
        run.send("bob", 1, correlation_id=f"attempt {run.attempts}")
        await run.checkpoint()
        raise ValueError

    behaviour = tenure.Behaviour(sender, restart=QUICK, version="1")
    async with host(database, {"sender": behaviour, "echo": echo}) as supervisor:
        await supervisor.spawn("bob", "echo")
        alice = await supervisor.spawn("alice", "sender")
        await alice.accept("go")

        assert await alice.wait_held() == "step mismatch"


@pytest.mark.parametrize("terms", [{"lane": "fast"}, {"correlation_id": ""}, {"kind": "a\0b"}, {"kind": 7}])
async def test_terms_of_a_send_that_there_are_not_are_refused_where_it_is_sent(
    terms: dict[str, Any], autojump_clock: trio.testing.MockClock
) -> None:
    async def sender(run: tenure.Run) -> str:
        with pytest.raises(InvalidInput):
            run.send("bob", 1, **terms)
        return "refused"

    async with host(":memory:", {"sender": sender}) as supervisor:
        ticket = await (await supervisor.spawn("alice", "sender")).accept("go")

        assert (await ticket.wait_outcome()).result == "refused"
