"""What a run does with its conversation: takes back, rewrites, forks; it lands once, with the boundaries."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

import tenure
from tenure.errors import ContinuityViolation, InvalidInput
from tenure.persistence.model.codec import message_of
from tenure.persistence.model.values import HeldReason
from tenure.persistence.upkeep.verify import verify_runtime
from tenure.persistence.upkeep.verify_store import verify_parts
from tests.kit.hosting import consumed, cut_off, host, peek

Acts = Callable[[tenure.Run], Awaitable[None]]


async def once(database: Path, act: Acts, payload: object = "go") -> list[Any]:
    """Run one behaviour over one input, to its end, and give the conversation after it."""
    async with host(database, {"kind": act}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), payload)
        return await supervisor.read_session("alice")


async def say(run: tenure.Run) -> None:
    for message in run.inputs[0].payload:
        run.session.append(message)


async def graph_of(supervisor: tenure.Supervisor, runtime_id: str = "alice") -> tenure.PersistedSessionRead:
    """The same conversation, as the verbs of `Store.sessions` read it."""
    session_id = await supervisor.session_id(runtime_id)
    found = await supervisor.store.sessions.load_session(session_id, tenure.FullGraph())
    assert found is not None
    return found


def payloads(read: tenure.PersistedSessionRead) -> list[bytes]:
    return [node.payload for node in read.graph.nodes]


async def check_whole(supervisor: tenure.Supervisor, runtime_id: str = "alice") -> None:
    """Snapshot, path and graph say the same, and verify finds nothing."""
    snapshot = await supervisor.store.runtimes.load_session_snapshot(runtime_id)
    assert snapshot is not None
    path = [node.message for node in await supervisor.read_session(runtime_id, after=0)]
    assert [message_of(each) for each in tenure.decode_snapshot(snapshot).messages] == path
    runtime = await supervisor.store.read(partial(verify_runtime, runtime_id=tenure.LogicalRuntimeId(runtime_id)))
    assert runtime.is_sound, runtime
    for part in await verify_parts(supervisor.store):
        assert part.is_sound, part


async def test_what_is_popped_is_returned_and_gone(database: Path, autojump_clock: MockClock) -> None:
    popped: list[Any] = []

    async def act(run: tenure.Run) -> None:
        run.session.append("mine")
        popped.append(await run.session.pop())
        popped.append(await run.session.pop(2))
        popped.append(run.session.count)
        run.session.append("then")
        popped.append(await run.session.messages())

    await once(database, say, ["a", "b", "c"])

    assert await once(database, act) == ["a", "then"]
    assert popped == [["mine"], ["b", "c"], 1, ["a", "then"]]


async def test_more_than_there_is_can_be_popped(database: Path, autojump_clock: MockClock) -> None:
    popped: list[Any] = []

    async def act(run: tenure.Run) -> None:
        popped.append(await run.session.pop(9))
        popped.append(await run.session.pop())

    await once(database, say, ["a", "b"])

    assert await once(database, act) == []
    assert popped == [["a", "b"], []]


async def test_a_rewrite_puts_messages_in_the_place_of_others(database: Path, autojump_clock: MockClock) -> None:
    async def compact(run: tenure.Run) -> None:
        run.session.append("d")
        said = await run.session.messages()
        await run.session.rewrite([f"summary of {len(said) - 1}", said[-1]], keep=1, reason="too long")
        run.session.append("e")

    await once(database, say, ["a", "b", "c"])
    assert await once(database, compact) == ["a", "summary of 3", "d", "e"]

    async with host(database, {"kind": say}) as supervisor:
        await check_whole(supervisor)
        snapshot = await supervisor.store.runtimes.load_session_snapshot("alice")
        assert snapshot is not None
        assert [each.reason for each in tenure.decode_snapshot(snapshot).rewrites] == ["too long"]
        assert payloads(await graph_of(supervisor)) == [b'"a"', b'"summary of 3"', b'"d"', b'"e"']


async def test_a_fork_leaves_a_branch_and_goes_there_again(database: Path, autojump_clock: MockClock) -> None:
    seen: list[Any] = []

    async def three_ways(run: tenure.Run) -> None:
        start, ways = run.session.count, dict[str, tenure.SessionBranch]()
        for way in ("left", "right", "middle"):
            run.session.append(way)
            run.session.append(f"{way} ends")
            ways[way] = await run.session.fork(start)
        seen.append(await run.session.messages())
        await run.checkpoint()
        await run.session.fork(ways["right"])
        run.session.append("home")

    await once(database, say, ["a"])

    assert await once(database, three_ways) == ["a", "right", "right ends", "home"]
    assert seen == [["a"]]
    async with host(database, {"kind": say}) as supervisor:
        await check_whole(supervisor)
        whole = await graph_of(supervisor)
        assert [message_of(each) for each in payloads(whole)] == [
            "a", "left", "left ends", "right", "right ends", "middle", "middle ends", "home",
        ]  # fmt: skip
        parents = {node.payload: node.parent_node_id for node in whole.graph.nodes}
        assert parents[b'"left"'] == parents[b'"right"'] == parents[b'"middle"'] != None  # noqa: E711
    assert peek(database, "SELECT count(*) FROM branches") == [[2]]


@pytest.mark.parametrize("lands_between", [False, True])
async def test_a_fork_goes_back_to_what_the_run_has_taken_back_since(
    database: Path, autojump_clock: MockClock, *, lands_between: bool
) -> None:
    async def back(run: tenure.Run) -> None:
        run.session.append("b")
        run.session.append("c")
        here = await run.session.fork(3)
        for taken in (lambda: run.session.pop(3), lambda: run.session.rewrite(["other"])):
            await taken()
            if lands_between:
                await run.checkpoint()
            await run.session.fork(here)
            await run.checkpoint()
        run.session.append("d")

    await once(database, say, ["a"])

    assert await once(database, back) == ["a", "b", "c", "d"]
    async with host(database, {"kind": say}) as supervisor:
        await check_whole(supervisor)
        whole = await graph_of(supervisor)
        assert [message_of(each) for each in payloads(whole)] == ["a", "b", "c", "other", "d"]


async def moving(run: tenure.Run) -> None:
    """Each kind of move, on both sides of a boundary; the payload says after which step it is cut off, if it is."""
    cut = run.inputs[0].payload
    run.session.append("b")
    await run.session.pop()
    await step(run, 1, cut)
    left = await run.session.fork(0)
    run.session.append("c")
    await run.session.rewrite(["C", "D"])
    await run.checkpoint()
    await step(run, 2, cut)
    other = await run.session.fork(left)
    await run.session.pop()
    run.session.append("e")
    await run.checkpoint()
    await step(run, 3, cut)
    await run.session.fork(other)
    run.session.append("f")
    await step(run, 4, cut)


async def step(run: tenure.Run, number: int, cut: int) -> None:
    async def act() -> None:
        if number == cut and number not in CUT:
            CUT.add(number)
            await trio.sleep_forever()

    await run.step(f"step {number}", act, repeat="freely")


CUT: set[int] = set()


@pytest.mark.parametrize("cut", range(5))
async def test_a_run_that_is_cut_off_anywhere_and_enters_again_moves_once(
    database: Path, autojump_clock: MockClock, cut: int
) -> None:
    CUT.clear()
    await once(database, say, ["x", "y"])

    async def begin(supervisor: tenure.Supervisor) -> None:
        await (await supervisor.spawn("alice", "kind")).accept(cut, idempotency_key="k")
        await wait_all_tasks_blocked()

    await cut_off(database, {"kind": moving}, begin)

    async with host(database, {"kind": moving}) as supervisor:
        ticket = await (await supervisor.spawn("alice", "kind")).accept(cut, idempotency_key="k")
        outcome = await ticket.wait_outcome()
        assert (outcome.phase, outcome.error) == ("consumed", None)
        assert await supervisor.read_session("alice") == ["C", "D", "f"]
        whole = [message_of(each) for each in payloads(await graph_of(supervisor))]
        assert whole == ["x", "C", "D", "e", "f"]
        await check_whole(supervisor)
        kinds = {entry.place: entry.kind for entry in await supervisor.entries("alice")}
        assert [kinds[f"main/{number}"] for number in range(1, 13)] == [
            "pop", "step", "fork", "rewrite", "checkpoint", "step", "fork", "pop", "checkpoint", "step", "fork", "step",
        ]  # fmt: skip


@pytest.mark.parametrize("cut", [2, 3, 4])
async def test_a_restart_takes_back_what_a_run_has_moved(database: Path, autojump_clock: MockClock, cut: int) -> None:
    CUT.clear()
    await once(database, say, ["x", "y"])

    async def begin(supervisor: tenure.Supervisor) -> None:
        await (await supervisor.spawn("alice", "kind")).accept(cut, idempotency_key="k")
        await wait_all_tasks_blocked()

    await cut_off(database, {"kind": moving}, begin)

    async def plain(run: tenure.Run) -> None:
        run.session.append("plain")

    async with host(database, {"kind": plain}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        await wait_all_tasks_blocked()
        await trio.sleep(100)  # what it does is not what it recorded
        assert alice.held is not None
        await alice.resume(restart_run=True)
        outcome = await (await alice.accept(cut, idempotency_key="k")).wait_outcome()
        assert outcome.phase == "consumed"
        assert await supervisor.read_session("alice") == ["x", "y", "plain"]
        await check_whole(supervisor)


async def test_a_move_that_differs_from_the_record_holds_the_runtime(database: Path, autojump_clock: MockClock) -> None:
    count = 1

    async def act(run: tenure.Run) -> None:
        await run.session.pop(count)
        await run.checkpoint()
        await trio.sleep_forever()

    await once(database, say, ["x", "y", "z"])

    async def begin(supervisor: tenure.Supervisor) -> None:
        await (await supervisor.spawn("alice", "kind")).accept("go")
        await wait_all_tasks_blocked()

    await cut_off(database, {"kind": tenure.Behaviour(act, version="1")}, begin)
    count = 2
    async with host(database, {"kind": tenure.Behaviour(act, version="1")}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        await trio.sleep(1)
        assert alice.held == HeldReason.STEP_MISMATCH
        assert await supervisor.read_session("alice") == ["x", "y"]
    async with host(database, {"kind": tenure.Behaviour(act, version="2")}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        await alice.resume()
        await trio.sleep(1)
        assert alice.held is None  # under another version what stands is taken
        assert await supervisor.read_session("alice") == ["x", "y"]


async def test_a_head_that_another_has_moved_is_not_taken_back(database: Path, autojump_clock: MockClock) -> None:
    errors: list[str] = []

    async def act(run: tenure.Run) -> None:
        store = supervisor.store
        session = tenure.decode_snapshot(await store.runtimes.load_session_snapshot("alice") or b"").session_id
        head = await store.sessions.load_session(session, tenure.ActivePath())
        assert head is not None
        node = tenure.SessionNodeRecord(node_id="theirs", payload=b"1", parent_node_id=head.graph.leaf_node_id)
        commit = tenure.RuntimeCommit(session_id=session, expected_head_revision=head.head_revision, nodes=(node,))
        if run.attempts == 0:
            await store.sessions.commit_runtime_state(commit, fence=run.fence_token)
        await run.session.pop()

    async with host(database, {"kind": tenure.Behaviour(say), "other": act}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), ["x"])
    policy = tenure.RestartPolicy(max_attempts=1)
    async with host(database, {"kind": tenure.Behaviour(act, restart=policy)}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        outcome = await (await alice.accept("go")).wait_outcome()
        errors.append(outcome.error or "")
        assert ContinuityViolation.__name__ in errors[0]
        assert await supervisor.read_session("alice") == ["x", 1]


@pytest.mark.parametrize("asks", ["pop", "rewrite", "fork"])
async def test_beside_another_branch_or_call_nothing_is_moved(
    database: Path, autojump_clock: MockClock, asks: str
) -> None:
    refused: list[str | None] = []

    async def move(run: tenure.Run) -> None:
        arguments: dict[str, tuple[Any, ...]] = {"pop": (), "rewrite": ([],), "fork": (0,)}
        try:
            await getattr(run.session, asks)(*arguments[asks])
        except InvalidInput as exc:
            refused.append(exc.field)

    async def act(run: tenure.Run) -> None:
        async def side() -> None:
            await move(run)

        async def call() -> None:
            await move(run)
            await trio.sleep(1)

        await run.gather(side, side)
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: run.step("slow", trio.sleep, 1, repeat="freely", call="c"))
            await wait_all_tasks_blocked()
            await move(run)
        await run.step("inside", call, repeat="freely")

    await once(database, act)

    assert refused == ["run"] * 4


@pytest.mark.parametrize(
    ("verb", "given", "named", "field"),
    [
        ("pop", 0, {}, "count"),
        ("rewrite", ["x"], {"keep": 3}, "keep"),
        ("rewrite", "text", {}, "messages"),
        ("rewrite", [{1, 2}], {}, "message"),
        ("fork", -1, {}, "at"),
        ("fork", 3, {}, "at"),
        ("fork", "main/1", {}, "at"),
    ],
)
async def test_what_is_no_move_is_refused_and_is_no_entry(
    database: Path, autojump_clock: MockClock, verb: str, given: object, named: dict[str, Any], field: str
) -> None:
    refused: list[str | None] = []

    async def act(run: tenure.Run) -> None:
        run.session.append("a")
        run.session.append("b")
        try:
            await getattr(run.session, verb)(given, **named)
        except InvalidInput as exc:
            refused.append(exc.field)

    async with host(database, {"kind": act}) as supervisor:
        await consumed(await supervisor.spawn("alice", "kind"), "go")
        assert refused == [field]
        assert await supervisor.entries("alice") == []
        assert await supervisor.read_session("alice") == ["a", "b"]


async def test_a_branch_that_another_run_has_left_is_refused(database: Path, autojump_clock: MockClock) -> None:
    left: list[tenure.SessionBranch] = []
    refused: list[str | None] = []

    async def act(run: tenure.Run) -> None:
        if not left:
            run.session.append("a")
            left.append(await run.session.fork(0))
            return
        try:
            await run.session.fork(left[0])
        except InvalidInput as exc:
            refused.append(exc.field)

    await once(database, act)
    await once(database, act)

    assert refused == ["at"]


async def test_a_popped_message_goes_with_prune_and_stays_while_its_run_may_enter_again(
    database: Path, autojump_clock: MockClock
) -> None:
    async def act(run: tenure.Run) -> None:
        await run.session.pop()
        await run.checkpoint()
        await trio.sleep_forever()

    await once(database, say, ["x", "y"])
    async with host(database, {"kind": act}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        await alice.accept("go")
        await wait_all_tasks_blocked()
        assert (await supervisor.store.sessions.vacuum()).removed_node_count == 0
        await alice.cancel()
        await alice.wait_state("attached")
        await check_whole(supervisor)
        await trio.sleep(1)
        pruned = await supervisor.store.prune(0, dead_letters=True)
        assert (pruned.runs, pruned.nodes) == (2, 1)
        assert (await supervisor.store.sessions.vacuum()).removed_node_count == 0
        await check_whole(supervisor)
        assert peek(database, "SELECT count(*) FROM session_moves") == [[0]]


async def test_a_pop_on_the_other_side_of_an_append_holds_the_runtime(
    database: Path, autojump_clock: MockClock
) -> None:
    first = True

    async def act(run: tenure.Run) -> None:
        if first:
            await run.session.pop()
        run.session.append("a")
        if not first:
            await run.session.pop()
        await run.checkpoint()
        await trio.sleep_forever()

    await once(database, say, ["x"])

    async def begin(supervisor: tenure.Supervisor) -> None:
        await (await supervisor.spawn("alice", "kind")).accept("go")
        await wait_all_tasks_blocked()

    await cut_off(database, {"kind": tenure.Behaviour(act, version="1")}, begin)
    first = False
    async with host(database, {"kind": tenure.Behaviour(act, version="1")}) as supervisor:
        alice = await supervisor.spawn("alice", "kind")
        await trio.sleep(1)
        assert alice.held == HeldReason.STEP_MISMATCH
        assert await supervisor.read_session("alice") == ["a"]


async def test_the_id_of_a_message_that_is_gone_is_never_given_again(database: Path, autojump_clock: MockClock) -> None:
    ids: list[str] = []

    async def act(run: tenure.Run) -> None:
        if run.inputs[0].payload == "pop":
            await run.session.pop()
        else:
            run.session.append(run.inputs[0].payload)

    for _ in range(2):
        async with host(database, {"kind": act}) as supervisor:
            alice = await supervisor.spawn("alice", "kind")
            await consumed(alice, "word")
            ids.append((await supervisor.read_session("alice", after=0))[0].node_id)
            await consumed(alice, "pop")
            await trio.sleep(1)
            assert (await supervisor.store.prune(0)).nodes == 1

    assert len(set(ids)) == 2
