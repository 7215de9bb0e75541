"""Accept from anywhere: what is missing is made by the commit that accepts, by a host that owns nothing (design §20)."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import (
    IdempotencyConflict,
    InvalidInput,
    KindMismatch,
    NotAccepting,
    NotFound,
    PayloadTooLarge,
    RuntimeDestroyed,
)
from tenure.persistence.commits.commit import Commit
from tenure.persistence.engines.statements import load_statements
from tenure.persistence.facets.inbox.outcomes import TOGETHER
from tests.kit.hosting import (
    echo,
    peek,
)
from tests.kit.processes import running
from tests.kit.statements import statements_heard
from tests.kit.worlds import LIMITS, Reader, supervisor

WORKER = Path(__file__).with_name("accepting_worker.py")
ROOT = WORKER.parents[3]
ANSWERED_S = 5.0
REQUESTS = 500
AGENTS = 40


async def test_a_process_without_behaviours_makes_an_agent_that_a_worker_runs(
    database: Path, autojump_clock: MockClock
) -> None:
    async with supervisor(database, {}) as web, supervisor(database, {"chat": echo}):
        ticket = await web.accept("alice", "hello", kind="chat")

        with trio.fail_after(ANSWERED_S):
            outcome = await ticket.wait_outcome()

        assert outcome.phase == "consumed"
        assert await web.read_session("alice") == ["hello"]


async def test_an_agent_that_no_host_can_run_yet_is_stored_and_waits_for_one(
    database: Path, autojump_clock: MockClock
) -> None:
    async with supervisor(database, {}) as web:
        first = await web.accept("alice", 1, kind="chat")
        await web.accept("alice", 2, kind="chat")
        assert [(each.runtime_id, each.kind, each.reason) for each in await web.unowned()] == [
            ("alice", "chat", "kind")
        ]
        assert await web.read_session("alice") == []
        assert (await web.find("alice")).kind == "chat"
        assert await web.store.runtimes.load_runtime_state("alice") == "idle"

        async with supervisor(database, {"chat": echo}) as worker:
            with trio.fail_after(ANSWERED_S):
                await first.wait_outcome()
                await (await worker.accept("alice", 3)).wait_outcome()
            assert await worker.read_session("alice") == [1, 2, 3]
            assert (await worker.spawn("alice", "chat")).generation == 0


async def test_hosts_that_meet_a_new_agent_at_once_make_one_of_it_and_refuse_nothing(
    database: Path, autojump_clock: MockClock
) -> None:
    async with supervisor(database, {"chat": echo}) as one, supervisor(database, {"chat": echo}) as other:

        async def request(host: tenure.Supervisor, number: int) -> None:
            ticket = await host.accept(f"agent {number % 5}", number, kind="chat")
            assert (await ticket.wait_outcome()).phase == "consumed"

        with trio.fail_after(60):
            async with trio.open_nursery() as nursery:
                for number in range(40):
                    nursery.start_soon(request, (one, other)[number % 3 > 0], number)

        for number in range(5):
            assert sorted(await one.read_session(f"agent {number}")) == list(range(number, 40, 5))
    assert peek(
        database, "SELECT count(*), count(DISTINCT session), (SELECT count(*) FROM sessions) FROM runtimes"
    ) == [[5, 5, 5]]


async def test_a_key_is_known_again_however_its_agent_came_to_be(database: Path, autojump_clock: MockClock) -> None:
    async with supervisor(database, {}) as web, supervisor(database, {}) as other:
        first = await web.accept("alice", 1, kind="chat", idempotency_key="k")
        again = await other.accept("alice", 1, kind="chat", idempotency_key="k")

        assert (again.input_id, again.deduplicated) == (first.input_id, True)
        with pytest.raises(IdempotencyConflict):
            await other.accept("alice", 2, kind="chat", idempotency_key="k")


async def test_a_kind_is_compared_and_the_state_of_what_is_there_holds(
    database: Path, autojump_clock: MockClock
) -> None:
    async with supervisor(database, {"chat": echo, "other": echo}) as host:
        with pytest.raises(NotFound, match="give its kind to make it"):
            await host.accept("alice", 1)
        alice = await host.spawn("alice", "chat")
        with pytest.raises(KindMismatch) as refused:
            await host.accept("alice", 1, kind="other")
        assert (refused.value.stored, refused.value.given) == ("chat", "other")
        await alice.retire()
        with pytest.raises(NotAccepting):
            await host.accept("alice", 1, kind="chat")
        await alice.destroy()
        with pytest.raises(RuntimeDestroyed):
            await host.accept("alice", 1, kind="chat")
    assert peek(database, "SELECT count(*) FROM inputs") == [[0]]


async def test_a_runtime_of_store_verbs_alone_gets_the_kind_and_is_run(
    database: Path, autojump_clock: MockClock
) -> None:
    async with supervisor(database, {}) as web, supervisor(database, {"chat": echo}):
        await web.store.runtimes.persist_runtime_state("alice", "idle")
        ticket = await web.accept("alice", 1, kind="chat")
        with trio.fail_after(ANSWERED_S):
            assert (await ticket.wait_outcome()).phase == "consumed"


async def test_an_agent_that_a_refused_accept_would_have_made_is_not_there(
    database: Path, autojump_clock: MockClock
) -> None:
    small = tenure.Limits(payload_bytes=10)
    async with supervisor(database, {}, limits=small) as web:
        with pytest.raises(PayloadTooLarge):
            await web.accept("alice", "x" * 100, kind="chat")
        for kind in ("", "a\0b", "k" * 501, 5):
            hostile: Any = kind
            with pytest.raises(InvalidInput) as refused:
                await web.accept("alice", 1, kind=hostile)
            assert refused.value.field == "kind"
        with pytest.raises(NotFound):
            await web.find("alice")


async def test_an_input_of_a_new_agent_steers_and_is_consumed_on_accept_as_any_other(
    database: Path, autojump_clock: MockClock
) -> None:
    at_once = tenure.PolicyDecision(consume_point=tenure.ConsumePoint.ON_ACCEPT)
    async with supervisor(database, {}) as web, supervisor(database, {"chat": echo}):
        noted = await web.accept("alice", 1, kind="chat", policy=at_once)
        asked = await web.accept("alice", 2, kind="chat", lane="steer")
        with trio.fail_after(ANSWERED_S):
            assert (await noted.wait_outcome()).phase == "consumed"
            assert (await asked.wait_outcome()).phase == "consumed"


@pytest.mark.slow
@pytest.mark.process
def test_of_a_thousand_requests_to_two_workers_that_start_together_none_fails(database: Path) -> None:
    # B8: 23 of 60 got `RuntimeOwned` under `uvicorn --workers 2`.
    with ExitStack() as stack:
        workers = [
            stack.enter_context(
                running(
                    [sys.executable, WORKER, database, name, REQUESTS, AGENTS],
                    stdin=subprocess.PIPE,
                    env={"PYTHONPATH": str(ROOT)},
                )
            )
            for name in ("one", "two")
        ]
        for _ in ("serve", "close"):
            said = [worker.stdout.readline() for worker in workers if worker.stdout]
            for worker in workers:
                assert worker.stdin is not None
                worker.stdin.write("\n")
                worker.stdin.flush()
            answers = said
        assert [json.loads(each) for each in answers] == [[], []]
    assert peek(database, "SELECT count(*) FROM inputs WHERE phase = 'consumed'") == [[2 * REQUESTS]]
    assert peek(database, "SELECT count(*) FROM runtimes") == [[AGENTS]]


async def test_a_look_asks_for_all_inputs_that_are_waited_for_together(
    database: Path, autojump_clock: MockClock
) -> None:
    reader, heard = Reader(), list[str]()
    outcome = load_statements()["inputs.outcome"]
    reader.wait_in_step()
    async with supervisor(database, {"kind": reader}) as owner:
        await owner.spawn("a", "kind")
        with statements_heard(lambda sql: heard.extend([sql] if sql == outcome else [])):
            async with supervisor(database, {}) as web:
                tickets = [await web.accept("a", str(number)) for number in range(3 * TOGETHER)]
                await trio.sleep(10 * LIMITS.poll_wait_s)
                heard.clear()
                for _ in range(20):
                    await owner.store.commit(Commit(changes=()))
                    await trio.sleep(LIMITS.poll_wait_s)
                assert heard == [], "none has ended"
                reader.go_on.set()
                with trio.fail_after(60):
                    for ticket in tickets:
                        assert (await ticket.wait_outcome()).phase == "consumed"
                assert len(heard) <= 2 * len(tickets), "each is read when it has ended"
