"""Erasing through handles: own and foreign ones, what keys answer afterwards, and copies with other runtimes (design §20)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.errors import InvalidInput, InvalidTransition, RuntimeDestroyed
from tenure.persistence.upkeep.verify_store import verify_parts
from tests.kit.hosting import host
from tests.kit.worlds import supervisor
from tests.persistence.contracts.damage import execute

MARK = "unforgettable"


async def keeping(run: tenure.Run) -> str:
    run.session.append(run.inputs[0].payload)
    run.state.set("kept", MARK)
    await run.emit(MARK)
    return await run.step("look", lambda: MARK, repeat="freely")


async def sending(run: tenure.Run) -> Any:
    """Sends to a runtime that answers it, and to nobody."""
    run.send("nobody", MARK)
    return await run.ask("bob", MARK, kind="keeping")


async def held_up(run: tenure.Run) -> None:
    """Asks as well, and does not end before a person lets it."""
    await run.ask("alice", "what is it?", kind="keeping")
    await run.wait_steered()


async def asking(run: tenure.Run) -> Any:
    """Asks the runtime that is erased later, and keeps nothing of it but the record."""
    await run.ask("alice", "what is it?", kind="keeping")


BEHAVIOURS = {"keeping": keeping, "sending": sending, "asking": asking, "held_up": held_up}


async def answered(of: tenure.Supervisor, runtime_id: str, kind: str, key: str | None = None) -> tenure.Outcome:
    ticket = await of.accept(runtime_id, MARK, kind=kind, idempotency_key=key)
    outcome = await ticket.wait_outcome()
    assert outcome.phase == "consumed", outcome
    return outcome


def found(database: Path, mark: str = MARK) -> set[str]:
    files = [each for each in database.parent.rglob("*") if each.is_file()]
    return {each.name for each in files if mark.encode() in each.read_bytes()}


@pytest.mark.sqlite("bytes of a file")
async def test_destroy_erases_and_whatever_is_asked_by_a_key_is_answered_by_the_tombstone(
    database: Path, autojump_clock: MockClock
) -> None:
    async with host(database, BEHAVIOURS) as one:
        await answered(one, "alice", "keeping", key="k")
        input_id = (await one.ticket("alice", idempotency_key="k")).input_id
        runtime = await one.spawn("alice", "keeping")
        with pytest.raises(InvalidTransition):
            await runtime.erase()
        with pytest.raises(InvalidInput):
            await runtime.destroy(peers=True)

        erasure = await runtime.destroy(erase=True)

        assert erasure is not None
        assert erasure.gone, erasure.pending
        assert found(database) == set()
        with pytest.raises(RuntimeDestroyed):
            await one.ticket("alice", idempotency_key="k")
        with pytest.raises(RuntimeDestroyed):
            await one.ticket("alice", input_id=input_id)
        with pytest.raises(RuntimeDestroyed):
            await one.accept("alice", MARK, kind="keeping", idempotency_key="k")
        with pytest.raises(RuntimeDestroyed):
            await one.spawn("alice", "keeping")
        assert (await one.erase("alice")).gone


@pytest.mark.sqlite("bytes of a file")
async def test_another_host_has_its_runtime_erased_and_one_that_was_destroyed_before(
    database: Path, autojump_clock: MockClock
) -> None:
    async with supervisor(database, BEHAVIOURS) as one, supervisor(database, {}) as two:
        for name in ("alice", "carl"):
            await answered(one, name, "keeping")
        await one.runtime("carl").destroy()

        first = await (await two.find("alice")).destroy(erase=True)
        second = await (await two.find("carl")).erase()

        assert first is not None
        assert first.gone, first.pending
        assert second.gone, second.pending
        assert found(database) == set()
        with pytest.raises(RuntimeDestroyed):
            await one.accept("alice", "anew", kind="keeping")


@pytest.mark.parametrize("before", [{}, {"erase": True}])
async def test_a_destroy_that_erases_may_be_asked_for_again(
    database: Path, autojump_clock: MockClock, before: dict[str, bool]
) -> None:
    async with supervisor(database, BEHAVIOURS) as one, supervisor(database, {}) as two:
        await answered(one, "alice", "keeping")
        runtime, elsewhere = one.runtime("alice"), await two.find("alice")
        await runtime.destroy(**before)

        for each in (runtime, elsewhere, await one.find("alice")):
            again = await each.destroy(erase=True)
            assert again is not None
            assert again.runtime_id == "alice"
            with pytest.raises(RuntimeDestroyed):
                await each.destroy()


async def test_copies_with_others_go_where_they_are_asked_for(database: Path, autojump_clock: MockClock) -> None:
    """What bob has put into its own conversation, state and steps is bob's; here it is erased first."""
    async with host(database, BEHAVIOURS) as one:
        await answered(one, "alice", "sending")
        await one.runtime("bob").destroy(erase=True)

        without = await one.runtime("alice").destroy(erase=True)

        assert without is not None
        assert "copies with other runtimes" in without.stays[-1]
        assert found(database) == set(), "bob was erased, and nobody else has a copy"


@pytest.mark.sqlite("bytes of a file")
async def test_what_it_sent_and_answered_goes_from_the_records_of_others(
    database: Path, autojump_clock: MockClock
) -> None:
    async with host(database, BEHAVIOURS) as one:
        await (await one.accept("eve", "go", kind="asking")).wait_outcome()
        assert found(database)
        await one.runtime("alice").destroy(erase=True)
        kept = await execute(one.store, "SELECT result FROM entries WHERE name = 'alice'")
        assert MARK in str(kept), "eve keeps the answer"

        erasure = await one.erase("alice", peers=True)

        assert erasure.gone, erasure.pending
        assert erasure.counts["copies"] > 0
        assert found(database) == set()
        (entry,) = [each for each in await one.entries("eve", content=True) if each.name == "alice"]
        assert entry.result is None
        assert not [part for part in await verify_parts(one.store) if part.problems]


@pytest.mark.sqlite("bytes of a file")
async def test_what_is_its_own_goes_at_once_and_copies_when_the_runs_of_others_have_finished(
    database: Path, autojump_clock: MockClock
) -> None:
    async with host(database, BEHAVIOURS) as one:
        eve = await one.accept("eve", "go", kind="held_up")
        await answered(one, "alice", "keeping")
        await one.runtime("alice").relabel({"who": "indelible"})
        await one.store.state.set("alice:indelible", b"indelible value")
        await trio.sleep(10)  # eve has its answer
        await one.hold("alice", note="indelible note")
        assert found(database, "indelible")

        erasure = await one.runtime("alice").destroy(erase=True, peers=True)

        assert erasure is not None
        assert erasure.pending == ("runs of other runtimes have not finished with what they have of it",)
        assert found(database, "indelible") == set(), "its own is gone from every file"
        assert found(database), "eve has a copy"
        assert not [part for part in await verify_parts(one.store) if part.problems]

        await one.accept("eve", "end", kind="held_up", lane="steer")
        await eve.wait_outcome()
        erasure = await one.erase("alice", peers=True)

        assert erasure.gone, erasure.pending
        assert found(database) == set()


async def test_no_row_of_its_own_waits_for_the_runs_of_others(database: Path, autojump_clock: MockClock) -> None:
    waiting = "runs of other runtimes have not finished with what they have of it"
    async with host(database, BEHAVIOURS) as one:
        eve = await one.accept("eve", "go", kind="held_up")
        await answered(one, "alice", "keeping")
        await one.runtime("alice").relabel({"who": "alice"})
        await trio.sleep(10)  # eve has its answer
        await one.hold("alice", note="a note")

        erasure = await one.runtime("alice").destroy(erase=True, peers=True)

        assert erasure is not None
        assert erasure.pending[-1] == waiting
        for table in ("labels", "label_sets", "holds"):
            assert await execute(one.store, f"SELECT 1 FROM {table}") == [], table

        await one.accept("eve", "end", kind="held_up", lane="steer")
        await eve.wait_outcome()
        erasure = await one.erase("alice", peers=True)

        assert waiting not in erasure.pending
        assert erasure.counts["copies"] > 0
