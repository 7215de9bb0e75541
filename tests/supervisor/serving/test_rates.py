"""A stored rate goes by one clock for all hosts, and what waits for it asks now and then, whatever stands stored."""

from __future__ import annotations

import time
from collections.abc import Generator
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.persistence.contracts.queued.serving import Serving
from tenure.persistence.engines.postgres.writer import Writer
from tenure.persistence.facets.queue import rates
from tenure.persistence.facets.queue.heads import Heads
from tenure.persistence.facets.queue.rates import SetRate
from tenure.persistence.facets.queue.serving import Served, ServeNext
from tenure.persistence.store import ground_of
from tenure.testing.observing import inside_of
from tests.kit import postgres
from tests.kit.hosting import host
from tests.kit.seen import open_seen_store
from tests.kit.serving import Noting, draft, put, queue, served, serving

PER_MS = 100
APART_S = 0.08
"""By so much the clock of a host is wrong: less than that for which it is set."""


@pytest.fixture
def server() -> Generator[str]:
    postgres.needs_server()
    url = postgres.new_database()
    yield url
    postgres.drop([postgres.name_of(url)])


def set_wrong(store: tenure.Store, seconds: float) -> None:
    writer: Any = vars(inside_of(store))["_connection"]
    writer._clock._offset_s += seconds


def asked_of(number: int, rate: SetRate | None) -> ServeNext:
    """One piece of a session, under a rate."""
    return ServeNext(
        session_id=f"s{number}", owner_id="w", ttl_ms=60_000, count=1, per_session=1, max_crashes=5, rate=rate
    )


@pytest.mark.postgres
async def test_hosts_of_one_server_whose_clocks_are_apart_share_one_rate(server: str) -> None:
    rate = SetRate(name="r", starts=1, per_ms=PER_MS)
    began: list[tuple[float, int, float]] = []
    async with open_seen_store(server) as one, open_seen_store(server) as other:
        await put(one, *[draft(f"{n}", session=f"s{n}") for n in range(8)])
        set_wrong(one, APART_S)
        set_wrong(other, -APART_S)
        workers = [Serving(ground_of(one)), Serving(ground_of(other))]
        with trio.fail_after(30):
            while len(began) < 8:
                for worker in workers:
                    before = time.time()
                    claim = (await worker.claim(asked_of(len(began), rate))).claim
                    if claim is not None:
                        began.append((before, claim.claimed_at_epoch_ms, time.time()))
                        if len(began) == 8:
                            break

    for before, at_ms, after in began:
        assert int(before * 1000) <= at_ms <= after * 1000, "the server's time, within the commit"
    assert min(later - at for (_, at, _), (_, later, _) in pairwise(began)) >= PER_MS, began


@pytest.mark.postgres
async def test_a_rate_adds_two_round_trips_to_a_claim(server: str) -> None:
    async with open_seen_store(server) as store:
        await put(store, *[draft(f"{n}", session=f"s{n}") for n in range(22)])
        worker, writer = Serving(ground_of(store)), cast("Writer", vars(inside_of(store))["_connection"])

        async def trips(sessions: range, rate: SetRate | None) -> float:
            before = writer.trips
            for n in sessions:
                assert (await worker.claim(asked_of(n, rate))).claim is not None
            return (writer.trips - before) / len(sessions)

        rate = SetRate(name="r", starts=100, per_ms=PER_MS)
        await trips(range(1), None)
        await trips(range(1, 2), rate)

        assert await trips(range(2, 12), rate) - await trips(range(12, 22), None) <= 2.5


async def test_a_rate_that_another_host_stored_with_a_longer_time_is_asked_now_and_then_and_one_that_it_frees_soon(
    database: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, asked = Serving.claim, 0

    async def counted(self: Serving, change: ServeNext) -> Served:
        nonlocal asked
        asked += 1
        assert asked < 30, "it waits, and does not spin"
        return await claim(self, change)

    noting = Noting()
    monkeypatch.setattr(Serving, "claim", counted)
    async with host(database, {}) as supervisor:
        await queue(supervisor, "one", "two", "three")
        async with serving(supervisor, noting, rate=(1, 1.0)):
            await trio.sleep(0.5)
            other = Serving(ground_of(supervisor.store))
            await other.set_rate(SetRate(name="prefix:", starts=1, per_ms=86_400_000))
            await trio.sleep(100.0)
            assert noting.begun == ["one"]
            await other.set_rate(SetRate(name="prefix:", starts=10, per_ms=1_000))
            await trio.sleep(10.0)
            assert noting.begun == ["one", "two", "three"]
            await served(supervisor)


async def test_the_session_that_the_rate_kept_waiting_goes_first_though_the_next_look_is_far(
    database: Path, autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    look = Serving.look

    async def slow(self: Serving, sessions: str, per_session: int) -> Heads:
        await trio.sleep(5.0)  # of very many sessions; the next comes ten times as long after it
        return await look(self, sessions, per_session)

    noting = Noting()
    monkeypatch.setattr(Serving, "look", slow)
    async with host(database, {}) as supervisor:
        for name in "abcdef":
            await queue(supervisor, name, session=name)
            await trio.sleep(0.1)
        async with serving(supervisor, noting, rate=(1, 2.0)):
            await served(supervisor, *"abcdef")

    assert noting.begun == [*"abcdef"]
    assert noting.at[-1] - noting.at[0] == pytest.approx(10.0, abs=0.1)


@pytest.mark.parametrize(
    ("per_s", "per_ms"), [(0.0015, 2), (0.0001, 1), (1.0, 1_000), (0.07, 70), (86_400.0, 86_400_000)]
)
async def test_a_rate_whose_time_is_no_whole_number_of_milliseconds_is_not_shortened(
    database: Path, autojump_clock: MockClock, per_s: float, per_ms: int
) -> None:
    async with host(database, {}) as supervisor, serving(supervisor, Noting(), rate=(1, per_s)):
        found = await supervisor.store.read(lambda statements: rates.find(statements, "prefix:"))

        assert found is not None
        assert found.per_ms == per_ms
