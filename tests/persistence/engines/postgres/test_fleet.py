"""Several hosts on one server: each hears what the others write, and what a killed one owned goes on elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import psycopg
import pytest
import trio

import tenure
from tenure.errors import Error
from tenure.persistence.commits.commit import Commit
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.inbox import arrivals
from tenure.persistence.facets.ownership.ownership import MarkLost, ReleaseOwnership
from tenure.persistence.opening import open_store
from tenure.persistence.store import Store, ground_of
from tenure.persistence.upkeep.listing import list_hosts
from tenure.persistence.upkeep.verify import verify_runtime
from tenure.persistence.upkeep.verify_store import verify_parts
from tests.kit import fleet_host
from tests.kit.processes import running
from tests.kit.stores import landed, message, name, own

LEASE_S = 1.0


@contextmanager
def host(url: str, named: str, runtimes: int) -> Generator[None]:
    """A host as a process, which is killed in the end; it is ready when the body begins."""
    command = [sys.executable, "-m", "tests.kit.fleet_host", url, named, runtimes, LEASE_S]
    with running(command, cwd=Path(__file__).parents[4]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield


async def heard(store: Store, since: arrivals.Mark) -> tuple[set[str], arrivals.Mark]:
    def read(statements: Statements) -> tuple[set[str], arrivals.Mark]:
        found = arrivals.arrived(statements, ground_of(store).host, since)
        return {each.runtime_id for each in found}, arrivals.mark(statements)

    return await store.read(read)


async def test_an_input_that_lands_after_one_with_a_higher_key_is_heard_of(url: str) -> None:
    async with open_store(url) as store:
        await own(store)
        await store.commit(message(store, "first"))
        _, mark = await heard(store, arrivals.NOTHING_YET)
        with psycopg.connect(url) as slow:
            slow.execute("SET search_path TO tenure")
            columns = slow.execute("SELECT * FROM inputs LIMIT 0").description or ()
            names = [
                each.name for each in columns if each.name not in {"input", "input_id", "idempotency_key", "landed"}
            ]
            listed = ", ".join(names)
            slow.execute(f"INSERT INTO inputs (input_id, {listed}) SELECT 'slow', {listed} FROM inputs".encode())

            await store.commit(message(store, "second"))
            assert (await keys(store))[-1] > slow_key(slow)
            found, mark = await heard(store, mark)
            assert found == {"a"}
            found, mark = await heard(store, mark)
            assert found == set()
            slow.commit()

        found, mark = await heard(store, mark)
        assert found == {"a"}, "the one with the lower key"
        found, mark = await heard(store, mark)
        assert found == set()


async def keys(store: Store) -> list[int]:
    async with store.read_connection() as connection:
        return [key for (key,) in await connection.query("SELECT input FROM inputs ORDER BY input")]


def slow_key(connection: psycopg.Connection) -> int:
    row = connection.execute("SELECT input FROM inputs WHERE input_id = 'slow'").fetchone()
    assert row is not None
    return int(row[0])


async def test_hosts_that_take_the_same_runtimes_at_once_never_both_have_one(url: str) -> None:
    async with open_store(url) as one, open_store(url) as two:
        tokens: dict[str, list[int]] = {f"r-{n}": [] for n in range(100)}
        for runtime_id in tokens:
            release = ReleaseOwnership(runtime_id=name(runtime_id))
            await one.commit(
                Commit(runtime_id=name(runtime_id), fence_token=await own(one, runtime_id), changes=(release,))
            )

        async def take(store: Store, runtime_id: str) -> None:
            try:
                tokens[runtime_id].append(await own(store, runtime_id))
            except Error:
                return

        async with trio.open_nursery() as nursery:
            for runtime_id in tokens:
                nursery.start_soon(take, one, runtime_id)
                nursery.start_soon(take, two, runtime_id)

        assert {len(each) for each in tokens.values()} == {1}
        every = [token for each in tokens.values() for token in each]
        assert len(set(every)) == len(every)


async def test_hosts_that_bring_the_same_keys_at_once_store_each_once(url: str) -> None:
    async with open_store(url) as one, open_store(url) as two:
        await own(one)
        keys = [f"k-{n}" for n in range(40)]
        answers: list[tuple[str, bool]] = []

        async def bring(store: Store, key: str) -> None:
            (accepted,) = (await store.commit(message(store, key))).values
            answers.append((key, accepted.deduplicated))

        async with trio.open_nursery() as nursery:
            for key in keys:
                nursery.start_soon(bring, one, key)
                nursery.start_soon(bring, two, key)

        assert sorted(answers) == sorted([(key, False) for key in keys] + [(key, True) for key in keys])
        assert await landed(two, *keys) == keys


async def test_a_host_that_was_judged_dead_registers_anew_and_its_verdicts_are_final(url: str) -> None:
    async with open_store(url) as store, open_store(url) as judge:
        await own(store)
        before, group = store.incarnation, 10_000
        marked = MarkLost(host=ground_of(store).host, counter=None)
        await judge.commit(Commit(changes=(marked,)))

        assert not await judge.verdict(before, group)
        await store.commit(message(store, "m"))
        assert store.incarnation != before
        assert await landed(judge, "m") == ["m"]


async def test_a_host_is_judged_by_its_own_lease_and_not_by_that_of_who_judges(url: str) -> None:
    async with (
        tenure.open_supervisor(url, behaviours={}, limits=tenure.Limits(lease_s=600.0, renew_s=60.0)) as slow,
        tenure.open_supervisor(url, behaviours={}, limits=tenure.Limits(lease_s=0.5, renew_s=0.1)),
    ):
        await trio.sleep(1.5)
        async with slow.store.read_connection() as connection:
            assert await connection.query("SELECT lost_at FROM hosts") == [(None,), (None,)]


@pytest.mark.process
@pytest.mark.slow
async def test_hosts_that_are_killed_are_followed_by_others_and_every_input_is_consumed_once(url: str) -> None:
    tickets: list[tenure.Ticket] = []
    async with tenure.open_supervisor(
        url, behaviours=fleet_host.BEHAVIOURS, limits=fleet_host.limits_of(LEASE_S)
    ) as here:
        sent = 0

        async def send(count: int) -> None:
            nonlocal sent
            for _ in range(count):
                for runtime_id in names:
                    tickets.append(await here.accept(runtime_id, f"hello {sent}", idempotency_key=str(sent)))
                    sent += 1

        names: list[str] = []
        for generation in range(2):
            with host(url, f"g{generation}-a", 3), host(url, f"g{generation}-b", 3):
                names += [f"g{generation}-{each}-{n}" for each in "ab" for n in range(3)]
                await send(5)
            await send(2)  # their hosts were killed a moment ago
        with trio.fail_after(120):
            for ticket in tickets:
                assert (await ticket.wait_outcome()).phase == "consumed"

        for runtime_id in names:
            found = await here.store.read(partial(verify_runtime, runtime_id=name(runtime_id)))
            assert found.is_sound, found.problems
            rows = await here.store.read(lambda view, of=runtime_id: view.all("sessions.of_runtime", runtime_id=of))
            mine = [ticket for ticket in tickets if ticket.runtime_id == runtime_id]
            assert rows[0][2] == len(mine)
        assert all(part.is_sound for part in await verify_parts(here.store))


async def test_what_a_host_that_drains_gives_back_goes_on_elsewhere_at_once(url: str) -> None:
    done: dict[str, list[str]] = {"here": [], "there": []}
    entered, go_on = trio.Event(), trio.Event()

    def steps_of(host_name: str) -> tenure.Behaviour:
        async def step(said: str) -> None:
            entered.set()
            await go_on.wait()
            done[host_name].append(said)

        async def steps(run: tenure.Run) -> None:
            for said in ("one", "two"):
                await run.step(said, step, said, repeat="never")

        return tenure.Behaviour(steps, max_owned=50)

    limits = tenure.Limits(lease_s=60.0, renew_s=20.0)
    async with (
        tenure.open_supervisor(url, behaviours={"k": steps_of("here")}, limits=limits) as here,
        tenure.open_supervisor(url, behaviours={"k": steps_of("there")}, limits=limits),
        trio.open_nursery() as nursery,
    ):
        await here.spawn_many([f"idle-{number}" for number in range(20)], "k")
        ticket = await (await here.spawn("a", "k")).accept("x")
        await entered.wait()
        nursery.start_soon(here.drain)
        go_on.set()
        with trio.fail_after(10):  # long before the next renewal
            assert (await ticket.wait_outcome()).phase == "consumed"
            others = [await here.accept(f"idle-{number}", "y") for number in range(20)]
            for each in others:
                assert (await each.wait_outcome()).phase == "consumed"
        hosts = {each.incarnation: each for each in await here.store.read(list_hosts)}
        mine = hosts[here.store.incarnation]
        assert (mine.drain, mine.runtimes, mine.max_owned) == ("drained", 0, {"k": 50})
    assert done["here"] == ["one"]
    assert sorted(done["there"]) == sorted(["two", *["one", "two"] * 20])
