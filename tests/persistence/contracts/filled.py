"""A store with rows in every table, of every sort that there is."""

from __future__ import annotations

from tenure import LogicalRuntimeId, MachineLifecycleBindingFacts, MachineLifecycleCommit, RuntimeState, Store
from tenure.persistence.commits.commit import Commit
from tenure.persistence.engines.engine import WriteConnection
from tenure.persistence.engines.promotion import PromotionState, Whereabouts, write_whereabouts
from tenure.persistence.facets.records.holds import PlaceHold
from tenure.persistence.facets.records.versions import RegisterVersions
from tenure.persistence.facets.runs.following.follow_ups import FollowKinds
from tenure.persistence.facets.runs.interrupted import PutAside
from tenure.persistence.model.contracts.operations import PersistedOpsSnapshot
from tenure.testing.observing import inside_of
from tests.persistence.contracts.builders import consumed, delta, queued, rewrite, snapshot
from tests.persistence.contracts.journals.test_journal_damage import fill
from tests.persistence.contracts.owners.owned import Owner, live
from tests.persistence.contracts.queued.test_queue_damage import fill_queue
from tests.persistence.contracts.schedules.scheduling import fill_schedules
from tests.persistence.contracts.sessions.test_sessions_damage import fill_graphs
from tests.persistence.contracts.test_attachments import fill_attachments


async def fill_every_table(store: Store) -> None:
    """Fill a new store, which was opened with `seen` seams; but for what only a codec writes."""
    await live(Owner(store, "alice"), Owner(store, "bob"))
    await _bring(store)
    await fill(store)
    await fill_graphs(store)
    await fill_queue(store)
    await fill_attachments(store)
    await fill_schedules(store)
    await inside_of(store).run(_have_come)


def _have_come(connection: WriteConnection) -> None:
    # As a store has it that came from another place.
    connection.begin_unnumbered()
    whereabouts = Whereabouts(
        promotion_id="a-move",
        state=PromotionState.HERE,
        store_id="a-store",
        place="/somewhere/agents.db",
        logical_hash="0123456789abcdef",
        promoted_at=1.0,
    )
    write_whereabouts(connection, whereabouts)
    connection.commit()


async def _bring(store: Store) -> None:
    # In the tables that no owner writes.
    facts = MachineLifecycleBindingFacts(agent_runtime_id="host-1")
    carol = "carol"
    await store.runtimes.commit_machine_lifecycle(carol, MachineLifecycleCommit.of(RuntimeState.IDLE, facts), [])
    await store.runtimes.commit_session_boundary(
        carol, delta("a", "b"), "run-1", "run_start", ["i1"], [consumed("i1"), queued("i2", idempotency_key="two")]
    )
    commit = rewrite(snapshot("a", "b"), snapshot("a", "x"))
    await store.runtimes.commit_session_transcript_rewrite_snapshot(carol, delta("a", "x"), commit)
    await store.operations.persist_ops_lifecycle(carol, PersistedOpsSnapshot(epoch_id="epoch"))
    await store.credentials.persist_auth_oauth_flow_snapshot(b"flow")
    await store.runtimes.commit_session_snapshot("dave", delta("a", "b", session="talk of dave"))
    envelope = await store.runtimes.load_session_snapshot("dave")
    assert envelope is not None
    assert await store.runtimes.clear_session_snapshot_if_current("dave", envelope)
    assert (await store.sessions.vacuum()).removed_node_count  # the newest nodes of all: that is remembered
    await store.commit(
        Commit(changes=(PlaceHold(runtime_id=LogicalRuntimeId("later"), note="why"), PlaceHold(kind="k")))
    )
    await store.commit(Commit(changes=(RegisterVersions(versions=(("agent", "1"), ("agent", "2"))),)))
    await store.commit(Commit(changes=(FollowKinds(kinds=("agent",)),)))
    frank = Owner(store, "frank")
    await frank.own()
    await frank.accept("waits")
    run_id = (await frank.begin("rests")).run_id
    (aside,) = await frank.write(PutAside(runtime_id=frank.runtime_id, run_id=run_id, wake_at=9e9, steerable=True))
    assert aside
    await store.runtimes.persist_runtime_state("erin", RuntimeState.DESTROYED)
    assert (await store.erase("erin")).gone
