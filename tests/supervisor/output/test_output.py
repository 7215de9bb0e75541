"""What a run emits: on disk in its order, kept or dropped as its record says, and followed by whoever asks."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from copy import copy
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import tenure
from tenure.errors import InvalidInput, NotFound, PayloadTooLarge, PositionGone, RunEnded
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.output.output import PruneOutput
from tenure.persistence.facets.records import spoken
from tenure.testing.observing import inside_of
from tests.kit.hosting import Gate, consumed, cut_off, host, peek
from tests.kit.outputs import heard

Acts = Callable[[tenure.Run], Awaitable[Any]]

QUICK = tenure.RestartPolicy(max_attempts=3, backoff_s=1.0, jitter=0.0)


async def read(supervisor: tenure.Supervisor, name: str = "alice", **terms: Any) -> list[tenure.OutputEntry]:
    """All that is there by now: a run that never was has ended."""
    runtime = await supervisor.find(name)
    return [entry async for entry in runtime.follow(run_id="none", **terms)]


def kinds(entries: Iterable[tenure.OutputEntry]) -> list[str]:
    return [str(entry.kind) for entry in entries]


async def test_what_a_run_emits_is_followed_in_its_order_until_its_input_has_ended(
    database: Path, autojump_clock: MockClock
) -> None:
    async def speak(run: tenure.Run) -> None:
        await run.emit("one")
        await run.step("work", lambda: [tenure.emit(each) for each in ("two", "three")] and None, repeat="freely")
        await run.emit({"n": 4}, channel="thoughts")

    async with host(database, {"kind": speak}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        ticket = await alice.accept("go")
        entries = [entry async for entry in alice.follow(ticket=ticket)]

        assert heard(entries) == ["one", "two", "three", {"n": 4}]
        assert kinds(entries) == ["begun", *["data"] * 4, "ended"]
        assert entries[-1].value == "finished"
        assert [entry.position for entry in entries] == sorted({entry.position for entry in entries})
        assert [entry.channel for entry in entries[1:-1]] == ["output"] * 3 + ["thoughts"]
        assert heard([entry async for entry in alice.follow(ticket=ticket, channel="thoughts")]) == [{"n": 4}]
        for place, entry in enumerate(entries):
            assert [each async for each in alice.follow(entry.position, ticket=ticket)] == entries[place + 1 :]
        assert await read(supervisor) == entries


async def test_a_run_that_emits_nothing_leaves_no_output(database: Path, autojump_clock: MockClock) -> None:
    async def silent(run: tenure.Run) -> None:
        await run.checkpoint()

    async with host(database, {"kind": silent}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")
        assert await read(supervisor) == []


async def test_what_is_followed_comes_within_20_ms_and_else_within_a_second(
    database: Path, autojump_clock: MockClock
) -> None:
    async def speak(run: tenure.Run) -> None:
        await run.emit("word")
        await trio.sleep(60)

    async with host(database, {"kind": speak}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        await alice.accept("go")
        await trio.sleep(0.9)
        assert await read(supervisor) == []
        await trio.sleep(0.2)
        assert heard(await read(supervisor)) == ["word"]

        bob = await supervisor.spawn("bob", "kind")
        reader = bob.follow()
        async with trio.open_nursery() as nursery:

            async def wait() -> None:
                assert kinds([await anext(reader), await anext(reader)]) == ["begun", "data"]
                assert trio.current_time() - began < 0.05

            nursery.start_soon(wait)
            await wait_all_tasks_blocked()
            began = trio.current_time()
            await bob.accept("go")
        await bob.cancel()
        await alice.cancel()


async def test_flush_returns_when_what_was_emitted_is_on_disk(database: Path, autojump_clock: MockClock) -> None:
    async def speak(run: tenure.Run) -> None:
        await run.flush()
        await run.emit("word")
        await run.flush()
        seen.append(heard(await read(supervisor)))
        await run.flush()

    seen: list[Any] = []
    async with host(database, {"kind": speak}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")
    assert seen == [["word"]]


async def test_output_rides_the_commits_of_its_run(database: Path, autojump_clock: MockClock) -> None:
    async def speak(run: tenure.Run) -> None:
        for number in range(5):
            await run.emit(number)
            await run.checkpoint()
        await run.emit("last")

    async def silent(run: tenure.Run) -> None:
        for _ in range(5):
            await run.checkpoint()

    counts: list[int] = []
    async with host(database, {"speaks": speak, "silent": silent}) as supervisor:
        for name in ("speaks", "silent"):
            runtime = await supervisor.spawn(name, name)
            before = supervisor.store.statistics().commits
            await consumed(runtime, "go")
            counts.append(supervisor.store.statistics().commits - before)
        assert heard(await read(supervisor, "speaks")) == [0, 1, 2, 3, 4, "last"]
    assert counts[0] == counts[1]


async def test_what_a_crashed_attempt_said_after_its_last_entry_is_dropped_and_what_stood_before_is_not_said_again(
    database: Path, autojump_clock: MockClock
) -> None:
    lives = [0]

    async def speak(run: tenure.Run) -> None:
        await run.emit("kept")
        await run.step("first", lambda: tenure.emit("kept too") and None, repeat="freely")
        await run.emit(f"between in life {lives[0]}")

        async def second() -> None:
            tenure.emit(f"within in life {lives[0]}")
            if lives[0] == 1:
                await run_into_the_end()

        await run.step("second", second, repeat="freely")

    async def run_into_the_end() -> None:
        reached.set()
        await trio.sleep_forever()

    async def leave(supervisor: tenure.Supervisor) -> None:
        lives[0] += 1
        alice = await supervisor.spawn("alice", "kind")
        await alice.accept("go")
        await reached.wait()
        await trio.sleep(2)
        before.extend(await read(supervisor))

    reached, before = trio.Event(), list[tenure.OutputEntry]()
    await cut_off(database, {"kind": speak}, leave)
    assert heard(before) == ["kept", "kept too", "between in life 1", "within in life 1"]
    lives[0] += 1
    async with host(database, {"kind": speak}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        await alice.wait_state("idle", "attached")
        entries = await read(supervisor)

    assert entries[: len(before)] == before
    assert kinds(entries) == ["begun", *["data"] * 4, "restarted", "data", "data", "ended"]
    assert entries[5].drop_after is not None
    assert entries[2].position <= entries[5].drop_after < entries[3].position
    assert heard(entries) == ["kept", "kept too", "between in life 2", "within in life 2"]
    assert [entry.attempt for entry in entries] == [1, 1, 1, 1, 1, 2, 2, 2, 2]


async def test_a_failed_attempt_is_dropped_by_the_next_one_and_the_last_one_stands(
    database: Path, autojump_clock: MockClock
) -> None:
    async def speak(run: tenure.Run) -> None:
        await run.emit(run.attempts)
        raise ValueError

    async with host(database, {"kind": tenure.Behaviour(speak, restart=QUICK)}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        outcome = await (await alice.accept("go")).wait_outcome()
        entries = await read(supervisor)

    assert outcome.phase == "abandoned"
    assert heard(entries) == [2]
    assert entries[-1].value == "failed"


async def test_a_run_that_enters_again_and_had_said_nothing_in_vain_drops_nothing(
    database: Path, autojump_clock: MockClock
) -> None:
    async def speak(run: tenure.Run) -> None:
        await run.emit("asked")
        await run.wait_steered()
        await run.emit("answered")

    async def leave(supervisor: tenure.Supervisor) -> None:
        await (await supervisor.spawn("alice", "kind")).accept("go")
        await trio.sleep(5)

    await cut_off(database, {"kind": speak}, leave)
    async with host(database, {"kind": speak}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        await trio.sleep(5)
        ticket = await alice.accept("yes", lane="steer")
        entries = [entry async for entry in alice.follow(ticket=ticket)]
    assert heard(entries) == ["asked", "answered"]
    assert "restarted" not in kinds(entries)


async def test_a_step_that_tries_again_drops_what_its_failed_attempts_said_and_nothing_beside_it(
    database: Path, autojump_clock: MockClock
) -> None:
    tries = [0]

    async def shaky() -> None:
        tries[0] += 1
        tenure.emit(f"try {tries[0]}")
        await trio.sleep(1)
        if tries[0] < 3:
            raise ValueError

    async def steady() -> None:
        for number in range(6):
            tenure.emit(number)
            await trio.sleep(1)

    async def speak(run: tenure.Run) -> None:
        async with trio.open_nursery() as nursery:
            for name, function in (("shaky", shaky), ("steady", steady)):
                nursery.start_soon(step, run, name, function)

    async def step(run: tenure.Run, name: str, function: Any) -> None:
        await run.step(name, function, repeat="freely", call=name, attempts=3, backoff_s=0.1)

    async with host(database, {"kind": speak}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")
        entries = await read(supervisor)
    assert sorted(map(str, heard(entries))) == sorted(["try 3", "0", "1", "2", "3", "4", "5"])
    assert kinds(entries).count("restarted") == 2


async def test_beside_a_branch_that_is_kept_only_what_the_others_said_is_dropped(
    database: Path, autojump_clock: MockClock
) -> None:
    lives = [0]

    def side(run: tenure.Run, name: str) -> Callable[[], Awaitable[None]]:
        async def act() -> None:
            await run.emit(f"{name} begins")
            await run.step("work", trio.sleep, 1 if name == "a" else 100, repeat="freely")
            await run.emit(f"{name} has worked")
            await run.step("more", trio.sleep, 1, repeat="freely")
            await run.emit(f"{name} ends")

        return act

    async def speak(run: tenure.Run) -> None:
        lives[0] += 1
        await run.emit("both")
        await run.gather(side(run, "b"), side(run, "a"))
        await run.emit("done")

    async def leave(supervisor: tenure.Supervisor) -> None:
        await (await supervisor.spawn("alice", "kind")).accept("go")
        await trio.sleep(10)

    await cut_off(database, {"kind": speak}, leave)
    async with host(database, {"kind": speak}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        await alice.wait_state("running")
        await alice.wait_state("idle", "attached")
        entries = await read(supervisor)

    assert lives == [2]
    sides = [{f"{name} {what}" for what in ("begins", "has worked", "ends")} for name in "ab"]
    found = heard(entries)
    assert sorted(found) == sorted(["both", "done", *sides[0], *sides[1]])
    dropped = [entry.place for entry in entries if entry.kind is tenure.OutputKind.RESTARTED]
    assert dropped
    assert "" not in dropped


async def test_emit_waits_while_the_buffer_is_full_and_in_a_step_says_so(autojump_clock: MockClock) -> None:
    gate, said = Gate(), list[Any]()

    async def speak(run: tenure.Run) -> None:
        gate.shut()
        for number in range(40):
            await run.emit(["x" * 1_000, number])
            said.append(number)
        await run.step("work", fill, repeat="freely")

    async def fill() -> list[bool]:
        gate.shut()
        return [tenure.emit("x" * 1_000) for _ in range(40)]

    limits = tenure.Limits(output_bytes=20_000)
    async with host(":memory:", {"kind": speak}, gate=gate, limits=limits) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        ticket = await alice.accept("go")
        await trio.sleep(5)
        assert 10 < len(said) < 20
        gate.open()
        await trio.sleep(5)
        assert len(said) == 40
        gate.open()
        await ticket.wait_outcome()
        (entry,) = await supervisor.entries("alice", content=True)
        assert entry.result is not None
        results = [value for value in heard(await read(supervisor)) if not isinstance(value, list)]
    assert 10 < len(results) < 20


async def test_an_execution_that_has_ended_says_nothing_more(database: Path, autojump_clock: MockClock) -> None:
    answers: list[bool] = []

    async def stubborn() -> None:
        try:
            await trio.sleep_forever()
        finally:
            with trio.CancelScope(shield=True):
                await trio.sleep(10)
                answers.append(tenure.emit("too late"))

    async def speak(run: tenure.Run) -> None:
        await run.step("hangs", stubborn, repeat="freely", timeout_s=1.0, attempts=2, backoff_s=0.1, overlap=True)

    runs: list[tenure.Run] = []

    async def keep(run: tenure.Run) -> None:
        runs.append(run)
        await run.emit("word")

    behaviours = {
        "kind": tenure.Behaviour(speak, grace_s=1.0, restart=tenure.RestartPolicy(max_attempts=1)),
        "keep": keep,
    }
    async with host(database, behaviours) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        await (await alice.accept("go")).wait_outcome()
        await trio.sleep(20)
        assert answers == [False, False]
        assert await read(supervisor) == []
        await consumed(await supervisor.spawn("bob", "keep"), "go")
        with pytest.raises(RunEnded):
            await runs[0].emit("too late")
        with pytest.raises(RunEnded):
            await runs[0].flush()


async def test_what_cannot_be_emitted_is_refused_and_nothing_of_it_is_there(
    database: Path, autojump_clock: MockClock
) -> None:
    async def inner(run: tenure.Run) -> None:
        with pytest.raises(PayloadTooLarge):
            tenure.emit("x" * 256 * 1024)
        with pytest.raises(InvalidInput):
            tenure.emit(object())
        with pytest.raises(InvalidInput):
            tenure.emit("word", "")
        with pytest.raises(InvalidInput):
            await run.emit("word")

    async def speak(run: tenure.Run) -> None:
        with pytest.raises(PayloadTooLarge):
            await run.emit("x" * 256 * 1024)
        for value, channel in ((object(), "output"), ("word", ""), ("word", "x" * 201), ("word", "\ud800")):
            with pytest.raises(InvalidInput):
                await run.emit(value, channel)
        with pytest.raises(InvalidInput):
            tenure.emit("word")

        async def act() -> None:
            await inner(run)

        await run.step("work", act, repeat="freely")
        await run.emit("x" * (256 * 1024 - 2))

    async with host(database, {"kind": speak}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")
        assert [len(value) for value in heard(await read(supervisor))] == [256 * 1024 - 2]


async def test_a_position_from_before_what_is_still_there_is_gone_and_says_where_to_begin(
    database: Path, autojump_clock: MockClock
) -> None:
    async def speak(run: tenure.Run) -> None:
        for number in range(10):
            await run.emit(number)
            await run.flush()

    kept = tenure.Retention(output_entries=20)
    async with host(database, {"kind": speak}, retention=kept) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        bob = await supervisor.spawn("bob", "kind")
        await consumed(alice, "go")
        first = await read(supervisor)
        for _ in range(4):
            await consumed(alice, "go")
        await consumed(bob, "go")
        entries = await read(supervisor)
        assert 20 <= len(entries) < 30
        assert len(await read(supervisor, "bob")) == 12
        with pytest.raises(PositionGone) as caught:
            await read(supervisor, after=first[0].position)
        assert await read(supervisor, after=caught.value.oldest) == entries
        with pytest.raises(PositionGone):
            await anext(supervisor.follow(first[0].position))
        await trio.sleep(1)
        pruned = await supervisor.store.prune(0)
        assert pruned.output
        await consumed(alice, "go")
        assert [each for each in await read(supervisor) if each.position <= entries[-1].position] == []
        assert (await supervisor.store.read(lambda statements: statements.all("output.strays", count=9))) == []


async def test_old_output_goes_with_what_is_said_next(database: Path, autojump_clock: MockClock) -> None:
    async def speak(run: tenure.Run) -> None:
        await run.emit("word")

    async with host(database, {"kind": speak}, retention=tenure.Retention(output_s=60.0)) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        await consumed(alice, "go")
        await trio.sleep(100)
        await consumed(alice, "go")
        assert len(await read(supervisor)) == 3


async def test_old_output_of_a_runtime_that_is_silent_goes_by_itself_and_a_position_in_it_is_gone(
    database: Path, autojump_clock: MockClock
) -> None:
    async def speak(run: tenure.Run) -> None:
        await run.emit("word")
        if run.runtime_id == "bob":
            await trio.sleep(60)

    async with host(database, {"kind": speak}, retention=tenure.Retention(output_s=12.0)) as supervisor:
        for _ in range(2):
            await consumed(await supervisor.spawn("alice", "kind"), "go")
        (first, *_) = entries = await read(supervisor)
        ticket = await (await supervisor.spawn("bob", "kind")).accept("go")
        await consumed(await supervisor.spawn("carol", "kind"), "go")
        await trio.sleep(10)
        assert await read(supervisor) == entries
        await trio.sleep(10)
        assert await read(supervisor) == []
        assert heard(await read(supervisor, "bob")) == ["word"]  # its run goes on
        with pytest.raises(PositionGone):
            await read(supervisor, after=first.position)
        await ticket.wait_outcome()
        await trio.sleep(20)
        assert await read(supervisor, "carol") == []
        newest = await read(supervisor, "bob")
        assert [entry.kind for entry in newest] == [
            "ended"
        ]  # the newest of the store stays: no position is given twice


async def test_all_are_followed_at_once_and_a_destroyed_runtime_ends_its_reader(
    database: Path, autojump_clock: MockClock
) -> None:
    async def speak(run: tenure.Run) -> None:
        await run.emit(run.runtime_id)

    async with host(database, {"kind": speak}) as supervisor:
        reader = supervisor.follow()
        for name in ("alice", "bob"):
            await consumed(await supervisor.spawn(name, "kind"), "go")
        found = [await anext(reader) for _ in range(6)]
        assert heard(found) == ["alice", "bob"]
        alice = supervisor.runtime("alice")
        entries = list[tenure.OutputEntry]()
        async with trio.open_nursery() as nursery:

            async def follow() -> None:
                entries.extend([entry async for entry in alice.follow()])

            nursery.start_soon(follow)
            await trio.sleep(1)
            await alice.destroy()
        assert kinds(entries) == ["begun", "data", "ended"]
        with pytest.raises(InvalidInput):
            alice.follow("nowhere")
        with pytest.raises(InvalidInput):
            alice.follow(channel="")


async def test_a_slow_reader_holds_nothing_up_and_misses_nothing(database: Path, autojump_clock: MockClock) -> None:
    async def speak(run: tenure.Run) -> None:
        for number in range(200):
            await run.emit(number)
            await trio.sleep(0.01)

    async with host(database, {"kind": speak}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        ticket = await alice.accept("go")
        slow, seen = alice.follow(ticket=ticket), list[tenure.OutputEntry]()
        seen.append(await anext(slow))
        began = trio.current_time()
        await ticket.wait_outcome()
        assert trio.current_time() - began < 5
        async for entry in slow:
            seen.append(entry)
        assert heard(seen) == list(range(200))


async def test_a_reader_on_another_host_gets_the_same(database: Path, autojump_clock: MockClock) -> None:
    async def speak(run: tenure.Run) -> None:
        for number in range(5):
            await run.emit(number)
            await trio.sleep(1)

    async with host(database, {"kind": speak}) as first, host(database, {}) as second:
        alice = await first.spawn("alice", "kind")
        ticket = await alice.accept("go")
        there = await second.find("alice")
        claim = await second.ticket("alice", input_id=ticket.input_id)
        entries = [entry async for entry in there.follow(ticket=claim)]
        assert heard(entries) == list(range(5))
        assert entries == await read(first)
        with pytest.raises(NotFound):
            await read(first, "nobody")


@pytest.mark.sqlite("bytes of a file")
async def test_who_follows_all_misses_nothing_behind_an_output_that_was_erased(
    database: Path, autojump_clock: MockClock
) -> None:
    async def talk(run: tenure.Run) -> None:
        await run.emit(run.inputs[0].payload)

    async with host(database, {"kind": talk}) as one:
        for name in ("stays", "gone"):
            await (await one.accept(name, f"of {name}", kind="kind")).wait_outcome()
        last = ""
        async for entry in one.follow():
            last = entry.position
            if entry.kind is tenure.OutputKind.ENDED and entry.runtime_id == "gone":
                break
        erasure = await (await one.find("gone")).destroy(erase=True)
        assert erasure is not None
        assert erasure.gone
    async with host(database, {"kind": talk}) as another:  # which counts the keys anew
        await (await another.accept("stays", "after it", kind="kind")).wait_outcome()
        async for entry in another.follow(after=last):
            if entry.value == "after it":
                assert entry.position > last
                break
        assert not [entry async for entry in (await another.find("gone")).follow(after=last)]


async def test_output_goes_from_its_beginning_alone_whatever_is_asked_for(
    database: Path, autojump_clock: MockClock
) -> None:
    async def talk(run: tenure.Run) -> None:
        for number in range(3):
            await run.emit(number)
            await run.flush()

    async with host(database, {"kind": talk}) as one:
        await (await one.accept("a", None, kind="kind")).wait_outcome()
        first, second, *_ = [row[0] for row in peek(database, "SELECT chunk FROM output_chunks ORDER BY chunk")]
        for chunk, gone in (
            (second, 0),
            (first, 2),
            (second, 1),
        ):  # the first has the entry that says that the run begins
            result = await one.store.commit(Commit(changes=(PruneOutput(chunks=(chunk,), before=9e9),)))
            assert result.values == (gone,)
        assert [entry.value async for entry in (await one.find("a")).follow(run_id="none")] == [2, "finished"]


@pytest.mark.sqlite("asks in words of SQLite")
async def test_what_is_in_hand_of_output_is_what_is_stored_when_some_of_it_was_pruned(
    database: Path, autojump_clock: MockClock
) -> None:
    async def talk(run: tenure.Run) -> None:
        for number in range(3):
            await run.emit(number)
            await run.flush()

    async with host(database, {"kind": talk}) as one:
        await (await one.accept("a", None, kind="kind")).wait_outcome()
        ((runtime, chunk),) = peek(database, "SELECT runtime, min(chunk) FROM output_chunks")
        place = spoken.RECORD, runtime
        before = copy(inside_of(one.store).kept[place])
        await one.store.commit(Commit(changes=(PruneOutput(chunks=(chunk,), before=9e9),)))
        stored = await one.store.read(partial(spoken.find, runtime=runtime))
        assert (before.gone, stored.gone) == (0, 2)
        assert inside_of(one.store).kept.get(place, stored) == stored
