"""What went wrong in the systems before: the cases that the tests of single verbs do not show."""

from __future__ import annotations

from pathlib import Path

import pytest
import trio

import tenure
from tenure import InputPhase, InputState, RunApplyBoundary, RuntimeState, Store
from tenure.errors import Error, InboxFull, NotFound
from tenure.persistence.commits.commit import (
    Change,
    Commit,
)
from tenure.persistence.facets.conversation.snapshots import WriteSnapshot
from tenure.persistence.facets.inbox.inputs import AcceptInput
from tenure.persistence.facets.inbox.receipts import MintReceipt
from tenure.persistence.facets.ownership.lifecycle import PersistState
from tenure.persistence.facets.runs.entries import SettleEntry
from tenure.persistence.model.codec import digest
from tenure.persistence.model.values import (
    InputId,
    LogicalRuntimeId,
    RunId,
)
from tests.persistence.contracts.builders import (
    delta,
    queued,
    snapshot,
)

ALICE = LogicalRuntimeId("alice")


def accept(input_id: str, **more: object) -> AcceptInput:
    fields: dict[str, object] = {"runtime_id": ALICE, "input_id": InputId(input_id), "payload": b"1"}
    return AcceptInput(**(fields | {"payload_digest": digest(b"1")} | more))  # type: ignore[arg-type]


@pytest.mark.parametrize("place", range(4))
async def test_a_commit_that_fails_at_any_of_its_changes_leaves_no_half_of_it(store: Store, place: int) -> None:
    await store.runtimes.persist_runtime_state("alice", "idle")
    whole: list[Change] = [
        WriteSnapshot(runtime_id=ALICE, snapshot=snapshot("a")),
        MintReceipt(
            runtime_id=ALICE,
            run_id=RunId("run-1"),
            boundary=RunApplyBoundary.RUN_START,
            contributing_input_ids=(),
            any_run=True,
        ),
        PersistState(runtime_id=ALICE, state=RuntimeState.RETIRED),
    ]
    failing = SettleEntry(runtime_id=ALICE, place="main/1", ran=False)  # refused when it is applied

    with pytest.raises(NotFound):
        await store.commit(Commit(runtime_id=ALICE, changes=(*whole[:place], failing, *whole[place:])))

    assert await store.runtimes.load_session_snapshot("alice") is None
    assert await store.runtimes.load_boundary_receipt("alice", "run-1", 1) is None
    assert await store.runtimes.load_runtime_state("alice") == "idle"
    # What the failed commit had in hand is forgotten too: the next one starts from what is stored.
    minted = await store.runtimes.commit_session_boundary("alice", delta("b"), "run-1", "run_start", [], [])
    assert (minted.sequence, minted.message_count) == (1, 1)


async def test_a_cancelled_caller_leaves_no_write_behind_that_lands_later(store: Store) -> None:
    with trio.CancelScope() as scope:
        scope.cancel()
        await store.runtimes.persist_input_state("alice", queued("i1"))

    assert scope.cancelled_caught
    await store.runtimes.persist_runtime_state("bob", "idle")  # a group later: nothing is on its way any more
    assert await store.runtimes.load_input_state("alice", "i1") is None


async def test_a_caller_that_is_cancelled_too_late_has_written_and_knows_it(store: Store) -> None:
    done: list[str] = []

    async def write() -> None:
        await store.runtimes.persist_input_state("alice", queued("i1"))
        done.append("told")

    async with trio.open_nursery() as nursery:
        nursery.start_soon(write)
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()
        nursery.cancel_scope.cancel()

    landed = await store.runtimes.load_input_state("alice", "i1") is not None
    assert landed == bool(done)


async def test_what_is_replaced_is_written_with_what_replaces_it(store: Store) -> None:
    await store.runtimes.persist_runtime_state("alice", "idle")
    await store.commit(Commit(changes=(accept("i1", supersession_key="s"),)))
    groups = store.statistics().groups

    await store.commit(Commit(changes=(accept("i2", supersession_key="s"),)))

    assert store.statistics().groups == groups + 1
    found = await store.runtimes.load_input_state("alice", "i1")
    assert found is not None
    assert (found.state.phase, found.state.successor) == ("coalesced", "i2")


async def test_a_refused_replacement_leaves_what_it_would_have_replaced(tmp_path: Path) -> None:
    limits = tenure.Limits(inbox_inputs=1)
    async with tenure.open_store(tmp_path / "agents.db", limits=limits) as store:
        await store.runtimes.persist_runtime_state("alice", "idle")
        await store.commit(Commit(changes=(accept("i1", supersession_key="s"),)))
        with pytest.raises(InboxFull):
            await store.commit(Commit(changes=(accept("i2", supersession_key="s"),)))

        found = await store.runtimes.load_input_state("alice", "i1")
        assert found is not None
        assert found.state.phase is InputPhase.QUEUED


async def test_running_is_never_found_by_the_next_process(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    async with tenure.open_store(path) as store:
        await store.runtimes.persist_runtime_state("alice", "running")
        await store.runtimes.persist_runtime_state("bob", "attached")

    async with tenure.open_store(path) as store:
        assert await store.runtimes.load_runtime_state("alice") == "idle"
        assert await store.runtimes.load_runtime_state("bob") == "idle"
        asked = {"after": "", "count": 9, "most": 9, "kind": None, "state": None, "held": 0, "parent": None}
        rows = await store.read(lambda statements: statements.all("runtimes.list", **asked))
        assert {row[2] for row in rows} == {"idle"}


async def test_order_survives_rows_that_are_rewritten(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    async with tenure.open_store(path) as store:
        for number in range(5):
            await store.runtimes.persist_input_state(
                "alice",
                InputState(input_id=InputId(f"i{number}"), phase=InputPhase.QUEUED, admission_sequence=9 - number),
            )
        await store.runtimes.persist_input_state("alice", queued("i4", error="touched"))

    async with tenure.open_store(path) as store:
        found = await store.runtimes.load_input_states("alice")
        assert [each.state.input_id for each in found if not isinstance(each, Error)] == ["i4", "i3", "i2", "i1", "i0"]
