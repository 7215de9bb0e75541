"""Versions of a behaviour in one store: which of them goes on with a run, and who leaves it (design §18, "Versions")."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidInput, NotFound, OlderVersion
from tenure.supervisor.runs.behaviour import Given, as_behaviours
from tests.kit.alone import OpenHost
from tests.kit.hosting import host

LONG = tenure.RestartPolicy(max_attempts=9, backoff_s=3600.0, backoff_limit_s=3600.0)


class Kind:
    """Behaviours of one kind in several versions, and what each of them did."""

    def __init__(self) -> None:
        self.did: list[tuple[str, object]] = []
        self.restart = LONG
        self.failing = {"1", "2", "3"}

    def version(self, version: str, *, moves: bool = False) -> tenure.Behaviour:
        async def act(run: tenure.Run) -> None:
            payload = run.inputs[0].payload
            await run.step("look", str, payload, repeat="freely")
            self.did.append((version, payload))
            if version in self.failing:
                raise ConnectionError("of a test")

        return tenure.Behaviour(act, version=version, moves=moves, restart=self.restart)


@pytest.fixture
def kind() -> Kind:
    return Kind()


async def leave_behind(open_host: OpenHost, given: Given, payload: str = "old") -> None:
    """Record a step of a run, and let its first attempt fail."""
    async with open_host({"k": given}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        await runtime.accept(payload, idempotency_key=payload)
        await trio.sleep(100)


async def test_a_run_stays_with_its_version_and_what_begins_takes_the_first(
    autojump_clock: MockClock, open_host: OpenHost, kind: Kind
) -> None:
    await leave_behind(open_host, kind.version("1"))
    kind.failing = set()

    async with open_host({"k": (kind.version("2"), kind.version("1"))}) as supervisor:
        await (await supervisor.runtime("a").accept("new")).wait_outcome()

    assert kind.did == [("1", "old"), ("1", "old"), ("2", "new")]


async def test_a_version_that_moves_takes_a_run_whose_last_attempt_failed(
    autojump_clock: MockClock, open_host: OpenHost, kind: Kind
) -> None:
    await leave_behind(open_host, kind.version("1"))
    kind.failing = set()

    async with open_host({"k": (kind.version("2", moves=True), kind.version("1"))}) as supervisor:
        await (await supervisor.ticket("a", idempotency_key="old")).wait_outcome()

    assert kind.did == [("1", "old"), ("2", "old")]


async def test_a_younger_version_alone_goes_on_with_the_run_of_an_older_one(
    autojump_clock: MockClock, open_host: OpenHost, kind: Kind
) -> None:
    await leave_behind(open_host, kind.version("1"))
    kind.failing = set()

    async with open_host({"k": kind.version("2")}) as supervisor:
        await (await supervisor.ticket("a", idempotency_key="old")).wait_outcome()

    assert kind.did == [("1", "old"), ("2", "old")]


async def test_an_older_version_leaves_what_a_younger_one_recorded(
    autojump_clock: MockClock, open_host: OpenHost, kind: Kind
) -> None:
    async with open_host({"k": kind.version("1")}):
        pass  # the store hears of it first
    await leave_behind(open_host, kind.version("2"))

    async with open_host({"k": kind.version("1")}) as supervisor:
        await trio.sleep(10_000)
        (left,) = await supervisor.unowned()
        assert (left.runtime_id, left.reason) == ("a", "version")
        with pytest.raises(OlderVersion) as refused:
            await supervisor.spawn("a", "k")
        assert (refused.value.recorded, refused.value.offered) == ("2", "1")

    assert kind.did == [("2", "old")]


async def test_a_person_moves_a_run_back(autojump_clock: MockClock, open_host: OpenHost, kind: Kind) -> None:
    async with open_host({"k": kind.version("1")}):
        pass
    await leave_behind(open_host, kind.version("2"))
    kind.failing = set()

    async with open_host({"k": kind.version("1")}) as supervisor:
        runtime = await supervisor.find("a")
        with pytest.raises(NotFound):
            await runtime.resume(version="7")
        await runtime.resume(version="1")
        await (await supervisor.ticket("a", idempotency_key="old")).wait_outcome()

    assert kind.did == [("2", "old"), ("1", "old")]


async def test_a_run_that_a_person_has_moved_stays_there(
    autojump_clock: MockClock, open_host: OpenHost, kind: Kind
) -> None:
    async with open_host({"k": kind.version("1")}):
        pass
    await leave_behind(open_host, kind.version("2"))
    kind.failing = {"1"}
    async with open_host({"k": kind.version("1")}) as supervisor:
        await (await supervisor.find("a")).resume(version="1")
        await trio.sleep(100)

    async with open_host({"k": (kind.version("2", moves=True), kind.version("1"))}):
        await trio.sleep(4000)

    assert {version for version, _ in kind.did[1:]} == {"1"}


async def test_a_dead_letter_is_retried_by_another_version(
    autojump_clock: MockClock, open_host: OpenHost, kind: Kind
) -> None:
    once = tenure.RestartPolicy(max_attempts=1)
    async with open_host({"k": kind.version("1")}):
        pass

    async def fails(run: tenure.Run) -> None:
        await run.step("look", str, run.inputs[0].payload, repeat="freely")
        raise ConnectionError("of a test")

    async with open_host({"k": tenure.Behaviour(fails, version="2", restart=once)}) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        ticket = await runtime.accept("old")
        await ticket.wait_outcome()
    kind.failing = set()

    async with open_host({"k": kind.version("1")}) as supervisor:
        handle = await supervisor.find("a")
        await handle.retry(ticket.input_id, version="1")
        again = await supervisor.ticket("a", input_id=ticket.input_id)
        assert (await again.wait_outcome()).phase == "consumed"

    assert kind.did == [("1", "old")]


async def test_an_owner_whose_run_was_moved_to_a_version_that_it_has_not_gives_the_runtime_up(
    autojump_clock: MockClock, open_host: OpenHost, kind: Kind
) -> None:
    async with open_host({"k": (kind.version("2"), kind.version("1"))}):
        pass
    await leave_behind(open_host, kind.version("1"))

    async with open_host({"k": kind.version("1")}) as supervisor:
        await supervisor.runtime("a").resume(version="2")
        await trio.sleep(10)
        with pytest.raises(NotFound):
            supervisor.runtime("a")
        (left,) = await supervisor.unowned()
        assert left.reason == "version"
    kind.failing = set()
    async with open_host({"k": kind.version("2")}) as supervisor:
        await (await supervisor.ticket("a", idempotency_key="old")).wait_outcome()
    assert kind.did[-1] == ("2", "old")


async def test_a_run_that_recorded_nothing_is_for_any_version(
    autojump_clock: MockClock, open_host: OpenHost, kind: Kind
) -> None:
    async def fails(run: tenure.Run) -> None:
        raise ConnectionError("of a test")

    async with open_host({"k": kind.version("1")}):
        pass
    await leave_behind(open_host, tenure.Behaviour(fails, version="2", restart=LONG))
    kind.failing = set()

    async with open_host({"k": kind.version("1")}) as supervisor:
        await (await supervisor.ticket("a", idempotency_key="old")).wait_outcome()
    assert kind.did == [("1", "old")]


async def test_a_run_that_was_moved_goes_to_the_host_that_has_its_version(
    tmp_path: Path, autojump_clock: MockClock, kind: Kind
) -> None:
    target = tmp_path / "agents.db"
    kind.restart = tenure.RestartPolicy(max_attempts=9, backoff_s=10.0)
    async with host(target, {"k": kind.version("1")}) as older, host(target, {"k": kind.version("2")}) as younger:
        runtime = await older.spawn("a", "k")
        ticket = await runtime.accept("old")
        await trio.sleep(1)
        kind.failing = set()
        await runtime.resume(version="2")
        assert (await ticket.wait_outcome()).phase == "consumed"
        assert younger.runtime("a").kind == "k"
        with pytest.raises(NotFound):
            older.runtime("a")

    assert kind.did == [("1", "old"), ("2", "old")]


def test_a_behaviour_that_stands_alone_takes_the_version_of_its_host() -> None:
    async def nothing(run: tenure.Run) -> None:
        """Do nothing."""

    found = as_behaviours({"a": nothing, "b": tenure.Behaviour(nothing, version="7")}, "3")
    assert [found["a"].version, found["b"].version] == ["3", "7"]
    assert found.versions == (("a", "3"), ("b", "7"))


@pytest.mark.parametrize("versions", [(), ("1", "1"), ("", "1"), ("", "")])
def test_behaviours_of_one_kind_have_versions_of_their_own(versions: tuple[str, ...], kind: Kind) -> None:
    with pytest.raises(InvalidInput):
        as_behaviours({"k": tuple(kind.version(each) for each in versions)})


@pytest.mark.parametrize("version", ["a\0b", "x" * 201])
def test_a_version_is_a_short_text(version: str) -> None:
    async def nothing(run: tenure.Run) -> None:
        """Do nothing."""

    with pytest.raises(InvalidInput):
        tenure.Behaviour(nothing, version=version)
