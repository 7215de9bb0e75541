"""Children: spawned once, whoever dies when; and gone with the end of what they end with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import trio
import trio.testing

import tenure
from tenure.errors import AskFailed, ChildExists, InvalidInput, KindMismatch, RuntimeDestroyed
from tests.kit.hosting import cut_off, forever, host, nothing, peek

QUICK = tenure.RestartPolicy(backoff_s=0.001, jitter=0.0)


async def double(run: tenure.Run) -> int:
    doubled: int = sum(each.payload for each in run.inputs) * 2
    return doubled


async def outcome_of(runtime: tenure.Runtime, payload: Any) -> tenure.Outcome:
    return await (await runtime.accept(payload)).wait_outcome()


async def states(supervisor: tenure.Supervisor, parent: str = "alice") -> list[str]:
    return [each.state for each in await supervisor.list(parent=parent)]


async def test_a_child_is_spawned_with_a_drawn_id_and_can_be_asked(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def lead(run: tenure.Run) -> Any:
        child = await run.spawn(None, "double")
        return await run.ask(child, 21)

    async with host(target, {"lead": lead, "double": double}) as supervisor:
        assert (await outcome_of(await supervisor.spawn("alice", "lead"), "go")).result == 42
        [line] = await supervisor.list(parent="alice")
        assert (line.kind, line.state) == ("double", "idle")


async def test_what_stood_before_lands_with_the_child(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def lead(run: tenure.Run) -> Any:
        run.session.append("before")
        run.send("carol", "sent")
        run.state.set("spawned", 1)
        run.answer(run.inputs[0], "early")
        await run.spawn("bob", "double")
        await trio.sleep_forever()

    async with host(target, {"lead": lead, "double": double, "nothing": nothing}) as supervisor:
        await supervisor.spawn("carol", "nothing")
        alice = await supervisor.spawn("alice", "lead")

        assert (await outcome_of(alice, "go")).result == "early"
        assert await supervisor.read_session("alice") == ["before"]
        assert (await supervisor.execution_state("alice")).values == {"spawned": 1}
        await alice.stop()


async def test_a_run_that_enters_again_spawns_nothing_twice(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    seen: list[list[str]] = []

    async def lead(run: tenure.Run) -> list[str]:
        drawn = await run.spawn(None, "double")
        run.session.append("between")
        named = await run.spawn("bob", "double", scope="run", on_end="stop")
        seen.append([drawn, named])
        if run.attempts < 2:
            raise ValueError
        return [each.runtime_id for each in await run.children()]

    async with host(target, {"lead": tenure.Behaviour(lead, restart=QUICK), "double": double}) as supervisor:
        outcome = await outcome_of(await supervisor.spawn("alice", "lead"), "go")

        assert len(seen) == 3
        assert seen[0] == seen[1] == seen[2] == outcome.result
        assert await supervisor.read_session("alice") == ["between"]
        assert len(await supervisor.list(parent="alice")) == 2


async def test_the_children_of_a_run_that_enters_again_are_those_it_had_then(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    seen: list[list[str]] = []

    async def lead(run: tenure.Run) -> None:
        before = await run.children()
        await run.spawn(f"child {run.inputs[0].payload}", "double")
        seen.append([each.runtime_id for each in before])
        if run.inputs[0].payload == 2 and run.attempts < 1:
            raise ValueError

    async with host(target, {"lead": tenure.Behaviour(lead, restart=QUICK), "double": double}) as supervisor:
        alice = await supervisor.spawn("alice", "lead")
        await outcome_of(alice, 1)
        await outcome_of(alice, 2)

        assert seen == [[], ["child 1"], ["child 1"]]


async def end_normally(_alice: tenure.Runtime) -> None:
    return


async def end_by_cancel(alice: tenure.Runtime) -> None:
    await alice.cancel()


async def end_by_stop(alice: tenure.Runtime) -> None:
    await alice.stop()


async def end_by_destroy(alice: tenure.Runtime) -> None:
    await alice.destroy()


ENDS: dict[str, Callable[[tenure.Runtime], Awaitable[None]]] = {
    "returns": end_normally,
    "fails": end_normally,
    "is late": end_normally,
    "cancelled": end_by_cancel,
    "stopped": end_by_stop,
    "destroyed": end_by_destroy,
}


@pytest.mark.parametrize("whose", ["owned", "unowned"])
@pytest.mark.parametrize("how", ENDS)
async def test_children_of_a_run_end_with_every_end_of_it(
    target: Path | str, autojump_clock: trio.testing.MockClock, how: str, whose: str
) -> None:
    spawned = trio.Event()

    async def lead(run: tenure.Run) -> None:
        for on_end in ("leave", "stop", "destroy"):
            child = await run.spawn(on_end, "forever", scope="run", on_end=on_end)
            if whose == "owned":
                run.send(child, "work")
        await run.checkpoint()
        await trio.sleep(1)
        spawned.set()
        if how == "fails":
            raise ValueError
        if how != "returns":
            await trio.sleep_forever()

    once = tenure.RestartPolicy(max_attempts=1)
    behaviours = {"lead": tenure.Behaviour(lead, restart=once), "forever": forever}
    async with host(target, behaviours) as supervisor:
        alice = await supervisor.spawn("alice", "lead")
        ticket = await alice.accept("go", deadline_s=5 if how == "is late" else None)
        await spawned.wait()
        await ENDS[how](alice)
        await ticket.wait_outcome()
        await trio.sleep(1)

        found = {each.runtime_id: (each.state, each.inputs) for each in await supervisor.list(parent="alice")}
        assert found == {"destroy": ("destroyed", 0), "leave": ("idle", int(whose == "owned")), "stop": ("stopped", 0)}
        await (await supervisor.spawn("leave", "forever")).stop()


async def test_a_failed_attempt_is_no_end(target: Path | str, autojump_clock: trio.testing.MockClock) -> None:
    async def lead(run: tenure.Run) -> None:
        await run.spawn("bob", "double", scope="run", on_end="destroy")
        if not run.attempts:
            raise ValueError
        await trio.sleep_forever()

    async with host(target, {"lead": tenure.Behaviour(lead, restart=QUICK), "double": double}) as supervisor:
        alice = await supervisor.spawn("alice", "lead")
        await alice.accept("go")
        await trio.sleep(10)

        assert await states(supervisor) == ["idle"]
        await alice.cancel()
        assert await states(supervisor) == ["destroyed"]


async def test_to_go_on_in_a_new_run_is_no_end(target: Path | str, autojump_clock: trio.testing.MockClock) -> None:
    async def lead(run: tenure.Run) -> Any:
        if run.inputs[0].payload == "first":
            await run.spawn("bob", "double", scope="run", on_end="stop")
            return run.again("second")
        await trio.sleep(5)
        return None

    async with host(target, {"lead": lead, "double": double}) as supervisor:
        await outcome_of(await supervisor.spawn("alice", "lead"), "first")
        await trio.sleep(1)
        assert await states(supervisor) == ["idle"]
        await trio.sleep(10)

        assert await states(supervisor) == ["stopped"]


async def test_a_restart_carries_what_was_spawned(target: Path | str, autojump_clock: trio.testing.MockClock) -> None:
    ids: list[str] = []

    async def lead(run: tenure.Run) -> Any:
        if ids:
            await run.step("new", nothing_at_all, repeat="freely")
        ids.append(await run.spawn(None, "double", scope="run", on_end="stop"))
        if len(ids) == 1:
            raise ValueError
        return await run.ask(ids[-1], 4)

    def nothing_at_all() -> None: ...

    async with host(target, {"lead": tenure.Behaviour(lead, restart=QUICK), "double": double}) as supervisor:
        alice = await supervisor.spawn("alice", "lead")
        ticket = await alice.accept("go")
        assert await alice.wait_held() == "step mismatch"
        assert await states(supervisor) == ["idle"]
        await alice.resume(restart_run=True)

        assert (await ticket.wait_outcome()).result == 8
        assert ids[0] == ids[1]
        assert await states(supervisor) == ["stopped"]


async def test_a_restarted_run_spawns_nothing_else_while_it_has_not_come_to_what_it_spawned(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    entered = 0

    async def lead(run: tenure.Run) -> Any:
        nonlocal entered
        entered += 1
        await run.spawn("bob" if entered == 1 else "carol", "double")
        raise ValueError

    behaviour = tenure.Behaviour(lead, restart=QUICK, version="1")
    async with host(target, {"lead": behaviour, "double": double}) as supervisor:
        alice = await supervisor.spawn("alice", "lead")
        await alice.accept("go")
        assert await alice.wait_held() == "step mismatch"
        await alice.resume(restart_run=True)
        await trio.sleep(100)  # as long as it may wait for what is carried
        assert await alice.wait_held() == "step mismatch"

        assert [each.runtime_id for each in await supervisor.list(parent="alice")] == ["bob"]
        await alice.destroy()


async def test_an_id_that_is_there_and_is_no_child_is_refused_each_time(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    refusals: list[Any] = []

    async def lead(run: tenure.Run) -> list[str]:
        for child, kind in (("bob", "double"), ("alice", "lead"), ("gone", "double"), ("carol", "nothing")):
            try:
                await run.spawn(child, kind)
            except (ChildExists, RuntimeDestroyed, KindMismatch) as exc:
                refusals.append((type(exc).__name__, exc.runtime_id))
        if not run.attempts:
            raise ValueError
        return [each.runtime_id for each in await run.children()]

    async def first(run: tenure.Run) -> None:
        for child in ("gone", "carol"):
            await run.spawn(child, "double")

    behaviours = {"lead": tenure.Behaviour(lead, restart=QUICK), "double": double, "nothing": nothing}
    async with host(target, {**behaviours, "lead": first}) as supervisor:
        await outcome_of(await supervisor.spawn("alice", "lead"), "go")
        await (await supervisor.spawn("gone", "double")).destroy()
        await supervisor.spawn("bob", "double")
        if target == ":memory:":
            return
    async with host(target, behaviours) as supervisor:
        outcome = await outcome_of(await supervisor.spawn("alice", "lead"), "go")

        once = [
            ("ChildExists", "bob"),
            ("ChildExists", "alice"),
            ("RuntimeDestroyed", "gone"),
            ("KindMismatch", "carol"),
        ]
        assert refusals == [*once, *once]
        assert outcome.result == ["gone", "carol"]


async def test_a_stopped_child_lives_again_where_it_is_spawned_again(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def lead(run: tenure.Run) -> Any:
        return await run.ask(await run.spawn("bob", "double", scope="run", on_end="stop"), run.inputs[0].payload)

    async with host(target, {"lead": lead, "double": double}) as supervisor:
        alice = await supervisor.spawn("alice", "lead")

        assert [(await outcome_of(alice, each)).result for each in (1, 2, 3)] == [2, 4, 6]
        await trio.sleep(1)
        assert await states(supervisor) == ["stopped"]


async def test_a_child_that_is_being_stopped_lives_again_when_its_owner_is_done_with_that(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def lead(run: tenure.Run) -> Any:
        child = await run.spawn("bob", "child", scope="run", on_end="stop")
        if run.inputs[0].payload == "leave":
            run.send(child, "forever")
            await run.checkpoint()
            await trio.sleep(1)
            return None
        return await run.ask(child, run.inputs[0].payload)

    async def child(run: tenure.Run) -> Any:
        if run.inputs[0].payload == "forever":
            with trio.CancelScope(shield=True):
                await trio.sleep(20)  # long clean-up
        return run.inputs[0].payload

    async with host(target, {"lead": lead, "child": child}) as supervisor:
        alice = await supervisor.spawn("alice", "lead")
        left = await alice.accept("leave")
        again = await alice.accept("again")

        assert (await left.wait_outcome()).phase == "consumed"
        assert (await again.wait_outcome()).result == "again"


async def test_children_of_a_runtime_end_when_it_is_destroyed_and_theirs_with_them(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def lead(run: tenure.Run) -> None:
        await run.spawn("bob", "middle", on_end="destroy")
        await run.spawn("left", "double")
        run.send("bob", "go")

    async def middle(run: tenure.Run) -> None:
        await run.spawn("carol", "double", on_end="stop")

    async with host(target, {"lead": lead, "middle": middle, "double": double}) as supervisor:
        alice = await supervisor.spawn("alice", "lead")
        await outcome_of(alice, "go")
        await trio.sleep(1)
        assert [await states(supervisor, each) for each in ("alice", "bob")] == [["idle", "idle"], ["idle"]]
        await alice.destroy()
        await trio.sleep(1)

        assert await states(supervisor, "alice") == ["destroyed", "idle"]
        assert await states(supervisor, "bob") == ["stopped"]


async def test_who_waits_for_a_child_that_ends_hears_of_it(
    target: Path | str, autojump_clock: trio.testing.MockClock
) -> None:
    async def lead(run: tenure.Run) -> None:
        await run.spawn("bob", "forever", scope="run", on_end="stop")
        await run.sleep(5)

    async def other(run: tenure.Run) -> Any:
        try:
            return await run.ask("bob", "question")
        except AskFailed as exc:
            return [exc.reason, exc.outcome.reason if isinstance(exc.outcome, tenure.Outcome) else None]

    async with host(target, {"lead": lead, "other": other, "forever": forever}) as supervisor:
        await (await supervisor.spawn("alice", "lead")).accept("go")
        await trio.sleep(1)

        asked = await outcome_of(await supervisor.spawn("eve", "other"), "go")
        assert asked.result == ["abandoned", "stopped"]


async def test_a_host_that_dies_leaves_its_children_to_the_next_one(
    database: Path, autojump_clock: trio.testing.MockClock
) -> None:
    async def lead(run: tenure.Run) -> Any:
        child = await run.spawn(None, "double", scope="run", on_end="destroy")
        await run.sleep(50)
        return await run.ask(child, 5)

    behaviours = {"lead": lead, "double": double}

    async def before(supervisor: tenure.Supervisor) -> None:
        await (await supervisor.spawn("alice", "lead")).accept("go", idempotency_key="key")
        await trio.sleep(1)

    await cut_off(database, behaviours, before)
    async with host(database, behaviours) as supervisor:
        ticket = await supervisor.ticket("alice", idempotency_key="key")
        assert (await ticket.wait_outcome()).result == 10
        assert await states(supervisor) == ["destroyed"]

    assert peek(database, "SELECT count(*) FROM children") == [[1]]


@pytest.mark.parametrize(
    "call",
    [
        {"runtime_id": ""},
        {"runtime_id": 5},
        {"kind": ""},
        {"kind": None},
        {"scope": "host"},
        {"on_end": "die"},
    ],
    ids=["no id", "a number", "no kind", "none", "scope", "on_end"],
)
async def test_what_fits_no_child_is_refused(
    target: Path | str, autojump_clock: trio.testing.MockClock, call: dict[str, Any]
) -> None:
    wrong: dict[str, Any] = {"runtime_id": "bob", "kind": "double", **call}

    async def lead(run: tenure.Run) -> bool:
        with pytest.raises(InvalidInput):
            await run.spawn(**wrong)
        return True

    async with host(target, {"lead": lead, "double": double}) as supervisor:
        assert (await outcome_of(await supervisor.spawn("alice", "lead"), "go")).result is True
