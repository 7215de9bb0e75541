"""Hosts in processes of their own, really killed and really frozen (design §4)."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

import tenure
from tenure.errors import Contended
from tests.kit.children import child
from tests.kit.shares import share

pytestmark = pytest.mark.process

LONGEST_S = 100
"""Seconds after which a test is taken to hang; nothing here depends on how long it takes."""

SHORT = tenure.Limits(lease_s=2.0, renew_s=0.25)
"""A lease that a test can wait for, and that a living host keeps on a machine that is busy."""


@pytest.fixture
def database(tmp_path: Path) -> Path:
    return tmp_path / "agents.db"


async def reader(run: tenure.Run) -> None:
    for entry in run.inputs:
        run.session.append(entry.payload)


@asynccontextmanager
async def here(database: Path, limits: tenure.Limits | None = None) -> AsyncGenerator[tenure.Supervisor]:
    with trio.fail_after(LONGEST_S):
        async with tenure.open_supervisor(
            database, behaviours={"reader": reader}, limits=limits, drain_s=0
        ) as supervisor:
            yield supervisor


@pytest.mark.turns(2)
@pytest.mark.slow
async def test_what_a_killed_host_ran_is_taken_over_and_ends_once(database: Path) -> None:
    async with here(database) as supervisor, child(database) as host:
        spawned = await host.ask("spawn a", "spawned")
        await host.ask("accept a wait", "step")
        ticket = await supervisor.ticket("a", idempotency_key="wait")

        await host.kill()

        outcome = await ticket.wait_outcome()
        assert outcome.phase == "consumed"
        assert outcome.receipt is not None
        assert outcome.receipt.fence_token > spawned["token"]
        assert await supervisor.read_session("a") == ["wait"]


@pytest.mark.turns(2)
@pytest.mark.slow
async def test_a_host_that_was_frozen_past_its_lease_lands_nothing_of_what_it_lost(database: Path) -> None:
    async with (
        here(database, SHORT) as supervisor,
        child(database, {"lease_s": SHORT.lease_s, "renew_s": SHORT.renew_s}) as zombie,
    ):
        await zombie.ask("spawn lost", "spawned")
        await zombie.ask("spawn kept", "spawned")
        await zombie.ask("accept lost wait", "step")
        await zombie.freeze()

        taken = await supervisor.spawn("lost", "reader", wait=True)
        await (await supervisor.ticket("lost", idempotency_key="wait")).wait_outcome()
        zombie.thaw()

        # Its run was cancelled or refused; its ticket hears of the new owner's receipt; the rest of it goes on.
        await zombie.tell("go")
        outcome = await zombie.ask("outcome wait", "outcome")
        assert (outcome["phase"], outcome["token"]) == ("consumed", taken.fence_token)
        await zombie.ask("accept kept again", "ended")
        assert (await zombie.ask("outcome again", "outcome"))["phase"] == "consumed"
        assert await supervisor.read_session("lost") == ["wait"]
        assert await supervisor.read_session("kept") == ["again"]
        assert taken.fence_token == supervisor.runtime("lost").fence_token
        await zombie.close()


@pytest.mark.slow
async def test_a_host_that_is_frozen_inside_a_transaction_holds_the_file_and_loses_nothing(database: Path) -> None:
    async with here(database, tenure.Limits(busy_s=1.0)) as supervisor, child(database) as host:
        mine = await supervisor.spawn("mine", "reader")
        await host.ask("spawn theirs", "spawned")
        await host.ask("freeze-in-commit", "armed")
        await host.tell("accept theirs x")
        await host.wait_frozen()

        with pytest.raises(Contended):
            await mine.accept("y")
        host.thaw()

        await host.wait_event("accepted")
        assert (await host.ask("outcome x", "outcome"))["phase"] == "consumed"
        assert (await (await mine.accept("z")).wait_outcome()).phase == "consumed"
        assert await supervisor.read_session("theirs") == ["x"]
        assert await supervisor.read_session("mine") == ["z"]
        await host.close()


@pytest.mark.turns(2)
@pytest.mark.slow
@pytest.mark.parametrize("commit", share([1, 2, 3, 4], 4))
async def test_a_host_that_is_killed_while_it_takes_over_leaves_everything_to_the_next(
    database: Path, commit: int
) -> None:
    with trio.fail_after(LONGEST_S):
        async with child(database) as first:
            token = (await first.ask("spawn a", "spawned"))["token"]
            await first.ask("accept a wait", "step")
            await first.kill()
        # Its first transactions: its own row, the takeover, the begin of the run, the step.
        async with child(database, die_in_commit=commit) as second:
            await second.wait_killed()
        async with here(database) as supervisor:
            outcome = await (await supervisor.ticket("a", idempotency_key="wait")).wait_outcome()
            assert outcome.phase == "consumed"
            assert outcome.receipt is not None
            assert outcome.receipt.fence_token > token
            assert await supervisor.read_session("a") == ["wait"]


@pytest.mark.slow
async def test_a_host_whose_loop_is_blocked_for_longer_than_its_lease_loses_nothing_to_a_verb_from_outside(
    database: Path,
) -> None:
    async with (
        here(database, SHORT) as supervisor,
        child(database, {"lease_s": SHORT.lease_s, "renew_s": SHORT.renew_s}) as owner,
    ):
        token = (await owner.ask("spawn sibling", "spawned"))["token"]
        await owner.ask("accept sibling wait", "step")
        await owner.ask("spawn blocking", "spawned")
        await owner.ask("accept blocking block", "step")

        assert await (await supervisor.find("sibling")).cancel()

        assert supervisor.statistics().lost_hosts == 0
        await owner.wait_event("ended")  # of what has blocked
        assert (await owner.ask("accept sibling again", "ended"))["token"] == token
        await owner.close()


@pytest.mark.slow
async def test_a_verb_is_carried_out_in_the_process_of_the_owner(database: Path) -> None:
    async with here(database) as supervisor, child(database) as owner:
        await owner.ask("spawn a", "spawned")

        await (await supervisor.find("a")).retire()

        assert (await owner.ask("state a", "state"))["state"] == "retired"
        await owner.close()


@pytest.mark.turns(2)
@pytest.mark.slow
async def test_hosts_that_open_a_new_file_all_at_once_all_have_it(database: Path) -> None:
    count = 4
    tokens: list[int] = []

    async def work(number: int) -> None:
        async with child(database) as host:
            tokens.append((await host.ask(f"spawn r{number}", "spawned"))["token"])
            await host.ask(f"accept r{number} x", "accepted")
            assert (await host.ask("outcome x", "outcome"))["phase"] == "consumed"
            await host.close()

    with trio.fail_after(LONGEST_S):
        async with trio.open_nursery() as nursery:
            for number in range(count):
                nursery.start_soon(work, number)
    assert sorted(tokens) == sorted(set(tokens))
    async with here(database) as supervisor:
        for number in range(count):
            assert await supervisor.read_session(f"r{number}") == ["x"]
