"""Events: what became of inputs and runs stands in one order with what the runs say, for those who ask (design §22)."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from click.testing import CliRunner
from trio.testing import MockClock

import tenure
from tenure.cli.app import app
from tenure.errors import InvalidInput
from tenure.persistence.upkeep.verify_store import verify_parts
from tests.kit.hosting import cut_off, host
from tests.kit.outputs import heard

QUICK = tenure.RestartPolicy(max_attempts=2, backoff_s=1.0, jitter=0.0)


async def read(supervisor: tenure.Supervisor, name: str = "alice", **terms: Any) -> list[tenure.OutputEntry]:
    """All that is there by now, with its events: a run that never was has ended."""
    runtime = await supervisor.find(name)
    return [entry async for entry in runtime.follow(run_id="none", events=True, **terms)]


def story(entries: list[tenure.OutputEntry], *names: str) -> list[Any]:
    """The entries as a test says them: words, what became of runs, and of inputs by their name."""
    told: list[Any] = []
    ids: dict[str, str] = dict(zip(names[::2], names[1::2], strict=True))
    for entry in entries:
        match entry.kind:
            case tenure.OutputKind.DATA:
                told.append(entry.value)
            case tenure.OutputKind.RUN:
                given = [ids[each] for each in entry.value.get("inputs", ())]
                told.append(
                    " ".join(["run", str(entry.value["state"]), *given, str(entry.value.get("outcome", ""))]).strip()
                )
            case tenure.OutputKind.INPUT:
                name = ids[entry.value["input_id"]]
                told.append(f"{name} {entry.value['phase']} {entry.value.get('reason', '')}".strip())
            case _:
                told.append(f"({entry.kind})")
    return told


async def test_words_runs_and_inputs_stand_in_one_order(database: Path, autojump_clock: MockClock) -> None:
    said, goes_on = trio.Event(), trio.Event()

    async def speak(run: tenure.Run) -> None:
        await run.emit("hello")
        await run.flush()
        said.set()
        await goes_on.wait()
        await run.checkpoint()
        assert [each.payload for each in run.steered()] == ["quick"]
        await run.emit("bye")

    async with host(database, {"kind": tenure.Behaviour(speak, events=True)}) as one:
        alice = await one.spawn("alice", "kind")
        first = await alice.accept("go")
        await said.wait()
        joins = await alice.accept("quick", lane="steer")
        waits = await alice.accept("later")
        await alice.cancel(waits.input_id)  # in the middle of the speech
        goes_on.set()
        await first.wait_outcome()
        names = (first.input_id, "first", joins.input_id, "joins", waits.input_id, "waits")
        entries = await read(one)
        assert story(entries, *names) == [
            "run begun first",
            "(begun)",
            "hello",
            "waits abandoned cancelled",
            "run joined joins",
            "bye",
            "(ended)",
            "first consumed",
            "joins consumed",
            "run ended finished",
        ]
        runs = {entry.run_id for entry in entries if entry.kind is not tenure.OutputKind.INPUT}
        assert len(runs) == 1
        assert [entry.run_id for entry in entries if entry.kind is tenure.OutputKind.INPUT] == ["", *runs, *runs]
        assert [entry.position for entry in entries] == sorted({entry.position for entry in entries})
        for place, entry in enumerate(entries):
            assert await read(one, after=entry.position) == entries[place + 1 :]
        seen = [entry async for entry in alice.follow(run_id="none")]
        assert seen == [entry for entry in entries if entry.kind not in ("run", "input")]
        reader = one.follow(events=True)
        assert [await anext(reader) for _ in entries] == entries


async def test_a_behaviour_without_events_writes_none(database: Path, autojump_clock: MockClock) -> None:
    async def silent(run: tenure.Run) -> None:
        await run.checkpoint()

    async with host(database, {"kind": silent}) as one:
        alice = await one.spawn("alice", "kind")
        await (await alice.accept("go")).wait_outcome()
        assert await read(one) == []
    async with host(database, {"kind": tenure.Behaviour(silent, events=True)}) as one:
        await (await (await one.spawn("alice", "kind")).accept("go")).wait_outcome()
        assert [entry.kind for entry in await read(one)] == ["run", "input", "run"]
    async with host(database, {"kind": silent}) as one:
        await (await (await one.spawn("alice", "kind")).accept("go")).wait_outcome()
        assert [entry.kind for entry in await read(one)] == ["run", "input", "run"]


async def test_failures_and_what_is_abandoned_say_why(database: Path, autojump_clock: MockClock) -> None:
    async def act(run: tenure.Run) -> None:
        if run.inputs[0].payload == "fail":
            raise RuntimeError("no luck " + "x" * 10_000)
        await trio.sleep_forever()

    async with host(database, {"kind": tenure.Behaviour(act, events=True, restart=QUICK)}) as one:
        alice = await one.spawn("alice", "kind")
        fails = await alice.accept("fail")
        await fails.wait_outcome()
        runs = [entry for entry in await read(one) if entry.kind == "run"]
        assert [entry.value["state"] for entry in runs] == ["begun", "failed", "again", "ended"]
        assert runs[1].value["error"].startswith("RuntimeError: no luck")
        assert len(runs[1].value["error"]) <= 2_000
        assert runs[1].value["retry_at"] > runs[1].said_at
        hangs, waits = await alice.accept("hang"), await alice.accept("late", deadline_s=5.0)
        await waits.wait_outcome()
        await alice.stop()
        after = story(await read(one, after=runs[-1].position), hangs.input_id, "hangs", waits.input_id, "waits")
        assert after == [
            "run begun hangs",
            "waits abandoned deadline_exceeded",
            "hangs abandoned stopped",
            "run ended stopped",
        ]


async def test_a_run_that_is_put_aside_and_one_that_a_crash_interrupts_enter_again(
    database: Path, autojump_clock: MockClock
) -> None:
    async def nap(run: tenure.Run) -> None:
        await run.emit("tired")
        await run.sleep(100.0)
        await run.emit("awake")

    behaviours = {"kind": tenure.Behaviour(nap, events=True, aside_after_s=1.0)}

    async def begin(one: tenure.Supervisor) -> None:
        alice = await one.spawn("alice", "kind")
        await alice.accept("go")
        reader = alice.follow(events=True)
        async for entry in reader:
            if entry.kind == "run" and entry.value["state"] == "aside":
                assert entry.value["wake_at"] > entry.said_at
                return

    async def wake(one: tenure.Supervisor) -> None:
        async for entry in (await one.find("alice")).follow(events=True):
            if entry.value == "awake":
                return

    await cut_off(database, behaviours, begin)
    await cut_off(database, behaviours, wake)
    async with host(database, behaviours) as one:
        async for entry in (await one.find("alice")).follow(events=True):
            if entry.kind == "run" and entry.value["state"] == "ended":
                break
        entries = await read(one)
        assert heard(entries) == ["tired", "awake"]
        told = [entry.value["state"] for entry in entries if entry.kind == "run"]
        assert told[:3] == ["begun", "aside", "again"]
        assert told[-1] == "ended"
        assert {*told[3:-1]} <= {"again"}  # where the second host died after its word and before the end


async def test_an_event_of_another_host_neither_ends_nor_repeats_what_is_being_said(
    database: Path, autojump_clock: MockClock
) -> None:
    said, goes_on = trio.Event(), trio.Event()

    async def speak(run: tenure.Run) -> None:
        for number in range(3):
            await run.emit(number)
        await run.flush()
        said.set()
        await goes_on.wait()
        for number in range(3, 6):
            await run.emit(number)

    async with host(database, {"kind": tenure.Behaviour(speak, events=True)}) as one, host(database, {}) as another:
        alice = await one.spawn("alice", "kind")
        first = await alice.accept("go")
        await said.wait()
        waits = await another.accept("alice", "queued", deadline_s=1.0)
        await waits.wait_outcome()
        goes_on.set()
        await first.wait_outcome()
        entries = [entry async for entry in (await another.find("alice")).follow(run_id="none", events=True)]
        assert heard(entries) == [0, 1, 2, 3, 4, 5]
        assert "deadline_exceeded" in [entry.value.get("reason") for entry in entries if entry.kind == "input"]
        assert [problem for part in await verify_parts(one.store) for problem in part.problems] == []


async def test_the_command_line_prints_events_where_it_is_asked_to(database: Path, autojump_clock: MockClock) -> None:
    async def speak(run: tenure.Run) -> None:
        await run.emit("word")

    async with host(database, {"kind": tenure.Behaviour(speak, events=True)}) as one:
        alice = await one.spawn("alice", "kind")
        await (await alice.accept("go")).wait_outcome()
        call = partial(CliRunner().invoke, app)
        line = ["output", str(database), "alice", "--json"]
        with_events = [
            json.loads(each) for each in (await trio.to_thread.run_sync(call, [*line, "--events"])).stdout.splitlines()
        ]
        without = [json.loads(each) for each in (await trio.to_thread.run_sync(call, line)).stdout.splitlines()]
    assert [each["kind"] for each in with_events] == ["run", "begun", "data", "ended", "input", "run"]
    assert without == [each for each in with_events if each["kind"] not in ("run", "input")]


async def test_events_is_true_or_false(database: Path, autojump_clock: MockClock) -> None:
    async def act(run: tenure.Run) -> None:
        await run.checkpoint()

    wrong: Any = "yes"
    with pytest.raises(InvalidInput):
        tenure.Behaviour(act, events=wrong)
    async with host(database, {"kind": act}) as one:
        alice = await one.spawn("alice", "kind")
        with pytest.raises(InvalidInput):
            alice.follow(events=wrong)
        with pytest.raises(InvalidInput):
            one.follow(events=wrong)
