"""Labels: given with a runtime that is made, changed by a verb, from wherever; and lists by them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidInput, LimitReached, NotFound, RuntimeDestroyed
from tests.kit.hosting import host, nothing
from tests.kit.worlds import idle, supervisor

BAD: dict[str, Any] = {
    "no name": {"": "x"},
    "a long name": {"n" * 64: "x"},
    "a space": {"a b": "x"},
    "not ASCII": {"né": "x"},
    "not a letter first": {"-a": "x"},
    "an equals sign": {"a=b": "x"},
    "a long value": {"a": "x" * 201},
    "a line": {"a": "x\ny"},
    "a NUL": {"a": "\x00"},
    "a lone surrogate": {"a": "\ud800"},
    "a number": {"a": 1},
    "too many": {f"n{number}": "" for number in range(33)},
    "a list": [("a", "b")],
}


async def ids(supervisor: tenure.Supervisor, **labels: str) -> list[str]:
    return [line.runtime_id for line in await supervisor.list(labels=labels)]


async def test_a_new_runtime_has_the_labels_it_is_given_and_one_that_is_there_keeps_its_own(
    target: Path | str, autojump_clock: MockClock
) -> None:
    async with host(target, {"kind": nothing}) as supervisor:
        await supervisor.spawn("alice", "kind", labels={"tenant": "acme", "tier": "gold"})
        await supervisor.spawn("alice", "kind", labels={"tenant": "beta"})
        await supervisor.accept("bob", "hello", kind="kind", labels={"tenant": "acme"})
        await supervisor.accept("bob", "again", kind="kind", labels={"tenant": "beta"})
        await supervisor.spawn("carol", "kind")

        assert await ids(supervisor, tenant="acme") == ["alice", "bob"]
        assert await ids(supervisor, tenant="acme", tier="gold") == ["alice"]
        assert await ids(supervisor, tenant="beta") == []
        assert [line.labels for line in await supervisor.list(labels={"tier": "gold"})] == [
            {"tenant": "acme", "tier": "gold"}
        ]
        assert [line.labels for line in await supervisor.list(after="bob")] == [{}]
        with pytest.raises(InvalidInput, match="go with a kind"):
            await supervisor.accept("alice", "hello", labels={"tenant": "acme"})


async def test_labels_go_with_every_other_filter_and_by_pages(target: Path | str, autojump_clock: MockClock) -> None:
    async with host(target, {"kind": nothing, "other": nothing}) as supervisor:
        for number in range(9):
            await supervisor.spawn(f"r{number}", "other" if number % 3 else "kind", labels={"a": "b"})
        await (await supervisor.find("r0")).retire()
        await supervisor.hold("r3")

        async def asked(**more: Any) -> list[str]:
            return [line.runtime_id for line in await supervisor.list(labels={"a": "b"}, **more)]

        assert await asked(kind="kind") == ["r0", "r3", "r6"]
        assert await asked(kind="kind", state=tenure.RuntimeState.IDLE) == ["r3", "r6"]
        assert await asked(held=True) == ["r3"]
        assert await asked(after="r1", limit=2) == ["r2", "r3"]


async def test_labels_are_changed_by_the_owner_from_elsewhere_and_where_nobody_owns_it(
    database: Path, autojump_clock: MockClock
) -> None:
    async with supervisor(database, {}) as asker:
        async with supervisor(database, {"kind": idle}) as owner:
            runtime = await owner.spawn("a", "kind", labels={"x": "1"})
            assert await runtime.relabel({"y": "2"}) == {"x": "1", "y": "2"}
            foreign = await asker.find("a")
            assert await foreign.relabel({"z": ""}, remove=["x", "nothing"]) == {"y": "2", "z": ""}
            assert await ids(owner, z="") == ["a"]
            with pytest.raises(LimitReached):
                await foreign.relabel({f"n{number}": "" for number in range(31)})
            with pytest.raises(InvalidInput, match="to be removed"):
                await foreign.relabel({"y": "3"}, remove=["y"])
            with pytest.raises(InvalidInput, match="give labels"):
                await foreign.relabel()
        token = (await asker.list())[0].fence_token
        assert await foreign.relabel({"y": "3"}, remove=["z"]) == {"y": "3"}
        assert (await asker.list())[0].fence_token >= token
        assert await ids(asker, y="3") == ["a"]
        await foreign.destroy()
        with pytest.raises(RuntimeDestroyed):
            await foreign.relabel({"y": "4"})


@pytest.mark.parametrize("bad", BAD)
async def test_a_bad_label_is_refused_wherever_it_comes_and_nothing_is_made(
    bad: str, target: Path | str, autojump_clock: MockClock
) -> None:
    given: Any = BAD[bad]
    async with host(target, {"kind": nothing}) as supervisor:
        alice = await supervisor.spawn("alice", "kind", labels={"a": "b"})
        for call in (
            supervisor.spawn("new", "kind", labels=given),
            supervisor.accept("new", "x", kind="kind", labels=given),
            supervisor.list(labels=given),
            alice.relabel(given),
        ):
            with pytest.raises(InvalidInput) as refused:
                await call
            assert refused.value.field is not None
            assert refused.value.field.startswith("labels")
        with pytest.raises(NotFound):
            await supervisor.find("new")
        assert [line.labels for line in await supervisor.list()] == [{"a": "b"}]


async def test_a_run_spawns_with_labels_once_and_others_in_their_place_are_a_mismatch(
    database: Path, autojump_clock: MockClock
) -> None:
    given = {"tenant": "acme"}
    tried = trio.Event()

    async def lead(run: tenure.Run) -> None:
        await run.spawn("child", "kind", labels=given)
        if not tried.is_set():
            tried.set()
            raise RuntimeError("once")

    policy = tenure.RestartPolicy(max_attempts=3, backoff_s=1.0)
    behaviours = {"lead": tenure.Behaviour(lead, restart=policy, version="1"), "kind": nothing}
    async with host(database, behaviours) as supervisor:
        alice = await supervisor.spawn("alice", "lead")
        ticket = await alice.accept("go")
        await tried.wait()
        given["tenant"] = "beta"
        assert await alice.wait_held() == "step mismatch"
        given["tenant"] = "acme"
        await alice.resume()
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert await ids(supervisor, tenant="acme") == ["child"]


async def test_labels_stay_over_resets_and_stops_and_go_when_a_runtime_is_erased(
    database: Path, autojump_clock: MockClock
) -> None:
    async with host(database, {"kind": nothing}) as supervisor:
        alice = await supervisor.spawn("alice", "kind", labels={"a": "b"})
        await alice.reset()
        await alice.stop()
        await supervisor.spawn("alice", "kind")
        await alice.destroy()
        assert await ids(supervisor, a="b") == ["alice"]
        await alice.erase()
        assert await ids(supervisor, a="b") == []
        assert [line.labels for line in await supervisor.list()] == [{}]
