"""Erasing: of what a runtime held no byte is left, of others every row; and it comes to its end whatever is in the way."""

from __future__ import annotations

import random
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import trio

import tenure
from tenure import Store
from tenure.errors import CannotOpen, Corrupt, InvalidTransition, NotFound
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.erasing import erasing
from tenure.persistence.facets.erasing.erasing import BeginErasure, ErasePage, MoveErasure, Sort, Stage
from tenure.persistence.facets.ownership.lifecycle import WriteLifecycle
from tenure.persistence.facets.records.holds import PlaceHold
from tenure.persistence.model.values import AbandonReason, LogicalRuntimeId, RuntimeState
from tenure.persistence.store import ground_of
from tenure.persistence.upkeep.verify import verify_runtime
from tenure.persistence.upkeep.verify_store import verify_parts
from tests.kit.seen import open_seen_store
from tests.persistence.contracts.damage import SCHEMA, execute, save
from tests.persistence.contracts.owners.owned import Owner, live
from tests.persistence.contracts.queued.test_queue import draft

pytestmark = pytest.mark.sqlite("pages and log of a file")

MARK: Final = "unforgettable"

GOES: Final = frozenset(
    {
        *("inputs", "payloads", "runs", "entries", "sends", "results", "asks", "receipts", "links", "session_moves"),
        *("sessions", "nodes", "branches", "session_configs", "session_metas", "session_snapshots", "token_usage"),
        *("checkpoints", "checkpoint_parts", "blobs", "turns", "queue_batches", "queue_claims", "queue_failures"),
        *("attachments", "attachment_removals", "streams", "events", "stream_snapshots", "stream_logs", "facts"),
        *("fact_references", "execution_bindings", "execution_snapshots", "state_values", "own_states", "own_values"),
        *("own_writes", "bindings", "quarantines", "operations", "requests", "anchors", "holds"),
        *("output_chunks", "schedules", "occurrences", "labels", "label_sets"),
    }
)
"""Tables whose rows of an erased runtime are deleted, with every column that they will ever have."""

STAYS: Final[dict[str, set[str]]] = {
    "promotion": {
        *("singleton", "promotion_id", "state", "store_id", "place", "logical_hash", "promoted_at", "digest", "scheme"),
    },
    "sealing": {"singleton", "marker", "key_id", "store_key", "sealed_at"},
    "store": {"singleton", "store_id", "last_fence_token"},
    "hosts": {
        *("host", "incarnation", "host_name", "boot_id", "pid", "process_start", "files", "durability", "group_number"),
        *("lease_until", "opened_at", "closed_at", "lost_at", "lost_how", "drain", "max_owned"),
    },
    "runtimes": {
        *(
            "runtime",
            "runtime_id",
            "kind",
            "record_version",
            "state",
            "generation",
            "fence_token",
            "epoch",
            "asked",
            "aside",
            "events",
        ),
        *("created_at", "updated_at"),
        # Emptied: what was held of the content.
        *("owner", "held", "held_detail", "session", "run", "crashes", "failures", "boundaries", "chain"),
    },
    "versions": {"version_key", "kind", "version", "registered_at"},
    "followed_kinds": {"followed_kind", "kind"},
    "node_floor": {"singleton", "last_node", "digest", "scheme"},
    "oauth_flow": {"singleton", "snapshot", "digest", "scheme", "updated_at"},  # of the store, and of no runtime
    "state_clock": {"singleton", "high_water", "digest", "scheme"},
    "queue_counter": {"singleton", "last_batch", "digest", "scheme"},
    "queue_rates": {"rate", "name", "starts", "per_ms", "digest", "scheme"},
    "queue_starts": {"rate", "place", "started_at", "digest", "scheme"},
    # Ids of runtimes and runs: whose child it was.
    "children": {
        *("child_key", "parent", "child", "run", "scope", "on_end", "digest", "scheme", "spawned_at", "ended_at"),
    },
    "asides": {"runtime", "run", "kind", "since", "wake_at", "steerable", "digest", "scheme"},
    "erasures": {"runtime", "peers", "stage", "asked_at", "done_at"},
    "output_floors": {"runtime", "chunk", "entries", "digest", "scheme"},  # only numbers: of the newest output of all
}
"""Every column of what stays: none of these holds a byte of a runtime's content when it is erased."""


def test_every_column_of_the_schema_is_decided() -> None:
    decided = {table: set(columns) for table, columns in SCHEMA.items() if table in GOES} | STAYS

    assert decided == {table: set(columns) for table, columns in SCHEMA.items()}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agents.db"


async def destroy(owner: Owner) -> None:
    await owner.write(
        WriteLifecycle(
            runtime_id=owner.runtime_id,
            state=RuntimeState.DESTROYED,
            abandon=AbandonReason.DESTROYED,
            end_run=True,
        )
    )


async def fill(store: Store, owner: Owner) -> None:
    """The mark in every facet that a caller's bytes reach beside the runtime's own runs."""
    text, data, session = MARK, MARK.encode(), f"talk-{owner.runtime_id}"
    token = owner.token
    await store.journal.bind(f"{text} stream", owner.runtime_id, fence=token)
    await store.journal.append(f"{text} stream", [{"a": text}], facts=[tenure.Fact(f"{text} fact", text)], fence=token)
    await store.journal.save_snapshot(f"{text} stream", 1, data, fence=token)
    await store.state.bind(f"{text} execution", owner.runtime_id, fence=token)
    await store.state.set(f"{text} execution:{text}", data, fence=token)
    await store.state.set(f"{owner.runtime_id}:{text}", data)
    await store.attachments.commit_refs(session, [await store.attachments.put(session, data, f"file:{text}")])
    await store.attachments.put("another", b"another's", "file:another")
    await store.queue.enqueue_queued_work(
        tenure.QueuedWorkBatchDraft(
            session_id=session,
            delivery_policy=tenure.DeliveryPolicy.EARLIEST_SAFE_BOUNDARY,
            slot_policy=tenure.SlotPolicy.JOIN,
            payloads=(tenure.QueuedWorkPayload(kind=tenure.QueuedWorkKind.TURN_INPUT, body=data),),
            source_key=text,
        )
    )
    await owner.accept(text, idempotency_key=text, source=f'{{"type":"external","by":"{text}"}}')
    await owner.write(owner.ask(text, verb="resume"))
    await store.commit(Commit(changes=(PlaceHold(runtime_id=owner.runtime_id, note=text),)))


def found(path: Path, mark: str = MARK) -> set[str]:
    """Files beside a store, and under it, in which the mark stands; names count too."""
    files = [each for each in path.parent.rglob("*") if each.is_file()]
    return {each.name for each in files if mark.encode() in each.read_bytes() or mark in each.name}


async def rows(store: Store) -> dict[str, set[tuple[Any, ...]]]:
    return {table: set(found) for table, found in (await save(store)).items() if table != "hosts"}


async def of_gone(store: Store) -> Owner:
    gone, stays = Owner(store, "gone"), Owner(store, "stays")
    await live(gone, stays)
    await fill(store, gone)
    await destroy(gone)
    return gone


async def test_everything_of_it_goes_and_others_have_every_row(path: Path) -> None:
    async with open_seen_store(path) as store:
        await of_gone(store)
        before = await rows(store)
        assert MARK in str(before)

        erasure = await store.erase("gone")

        assert erasure.gone, erasure.pending
        after = await rows(store)
        changed = {table for table in after if after[table] - before[table]}
        assert changed - {"node_floor", "output_floors"} == {"runtimes", "erasures"}, "rows that stay are touched"
        assert {table for table in after if before[table] - after[table]} <= GOES | changed
        assert await execute(store, "SELECT 1 FROM blobs") == []
        for runtime_id in ("gone", "stays"):
            verified = await store.read(partial(verify_runtime, runtime_id=LogicalRuntimeId(runtime_id)))
            assert verified.is_sound, verified.problems
            assert verified.erased is (runtime_id == "gone")
        assert not [part for part in await verify_parts(store) if part.problems]


async def test_a_row_goes_whose_damaged_key_is_below_all_that_are_given(path: Path) -> None:
    async with open_seen_store(path) as store:
        gone = await of_gone(store)
        (key,) = (await execute(store, f"SELECT runtime FROM runtimes WHERE runtime_id = '{gone.runtime_id}'"))[0]
        for table, column in (("own_values", "own_value"), ("events", "event"), ("runs", "run")):
            whose = (
                f"runtime = {key}"
                if table != "events"
                else f"stream IN (SELECT stream FROM streams WHERE runtime = {key})"
            )
            await execute(
                store,
                f"UPDATE {table} SET {column} = -5 WHERE {column} = (SELECT min({column}) FROM {table} WHERE {whose})",
            )
            assert await execute(store, f"SELECT 1 FROM {table} WHERE {column} = -5"), table

        assert (await store.erase("gone")).gone

        for table, column in (("own_values", "own_value"), ("events", "event"), ("runs", "run")):
            assert await execute(store, f"SELECT 1 FROM {table} WHERE {column} < 0") == [], table


async def problems_of(store: Store) -> list[object]:
    """What `verify` finds wrong in a store with two runtimes."""
    found: list[object] = [each for part in await verify_parts(store) for each in part.problems]
    for runtime_id in ("gone", "stays"):
        verified = await store.read(partial(verify_runtime, runtime_id=LogicalRuntimeId(runtime_id)))
        found.extend(verified.problems)
    return found


@pytest.mark.slow
async def test_an_erasure_that_is_under_way_is_no_damage(path: Path) -> None:
    """Its host may have died behind any page: who verifies then is not told to restore a backup."""
    async with open_seen_store(path) as store:
        gone = await of_gone(store)
        found_damaged: dict[str, list[object]] = {}
        await store.commit(Commit(changes=(BeginErasure(runtime_id=gone.runtime_id, peers=True),)))
        stored = await store.read(partial(erasing.find, runtime_id=gone.runtime_id))
        assert stored is not None
        for sort in Sort:
            look = partial(erasing.look, runtime_id=gone.runtime_id, runtime=stored.runtime, sort=sort)
            for key in await store.read(partial(look, after=0)):
                await store.commit(Commit(changes=(ErasePage(runtime_id=gone.runtime_id, sort=sort, keys=(key,)),)))
                if problems := await problems_of(store):
                    found_damaged.setdefault(sort, problems)

        assert found_damaged == {}


async def test_no_byte_of_it_is_left_in_any_file(path: Path) -> None:
    """Payloads of every size, of many runtimes that come and go: pages are balanced, and rows move over them."""
    source = random.Random(7)
    async with open_seen_store(path) as store:
        gone = await of_gone_among(store, source)
        assert found(path) >= {"agents.db-wal"}

        await destroy(gone)
        erasure = await store.erase("gone")

        assert erasure.gone, erasure.pending
        assert found(path) == set()
        assert (await store.erase("gone")).gone
    assert found(path) == set()


async def of_gone_among(store: Store, source: random.Random) -> Owner:
    gone, *others = [Owner(store, name) for name in ("gone", "ann", "bob", "cyd")]
    await live(gone, *others)
    await fill(store, gone)
    for number in range(300):
        owner = source.choice((gone, *others))
        mark = MARK if owner is gone else "forgettable"
        await owner.accept(
            mark * source.choice((1, 5, 40, 90, 200, 900)) + str(number), idempotency_key=f"{mark}{number}"
        )
        if number % 60 == 59:
            await others[0].reset()
            await store.prune(0, dead_letters=True)
    return gone


async def test_the_name_of_a_session_that_is_gone_may_be_used_again(path: Path) -> None:
    async with open_seen_store(path) as store:
        gone = await of_gone(store)
        changes = (
            BeginErasure(runtime_id=gone.runtime_id, peers=False),
            MoveErasure(runtime_id=gone.runtime_id, stage=Stage.PAGES),
        )
        for change in changes:
            await store.commit(Commit(changes=(change,)))

        assert await store.queue.enqueue_queued_work(draft(session="talk-gone"))


async def test_it_is_refused_before_the_runtime_is_destroyed(path: Path) -> None:
    async with open_seen_store(path) as store:
        await Owner(store, "lives").own()

        with pytest.raises(InvalidTransition):
            await store.erase("lives")
        with pytest.raises(NotFound):
            await store.erase("nobody")


async def ended(store: Store) -> None:
    """Wait until nothing is left to be erased; a task of the store does it, a second later at most."""
    with trio.fail_after(30):
        while await execute(store, "SELECT 1 FROM erasures WHERE done_at IS NULL"):  # noqa: ASYNC110 - in the file alone
            await trio.sleep(0.02)


READER = """
import sqlite3, sys
connection = sqlite3.connect(f"file:{sys.argv[1]}?mode=ro", uri=True)
connection.execute("BEGIN")
connection.execute("SELECT count(*) FROM inputs").fetchone()
print("reads", flush=True)
sys.stdin.read()
"""


@contextmanager
def reader(path: Path) -> Generator[None]:
    """Another program that holds a view of the file."""
    child = subprocess.Popen(
        [sys.executable, "-c", READER, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with child:
        try:
            assert child.stdout is not None
            assert child.stdout.readline().strip() == "reads"
            yield
        finally:
            child.kill()


async def test_bytes_that_cannot_be_removed_keep_nothing_else_and_no_other_host_says_that_they_are_gone(
    path: Path,
) -> None:
    async with open_seen_store(path) as store, open_seen_store(path) as other:
        await of_gone(store)

        def refuse(digest: str, _taker: str) -> None:
            raise CannotOpen(path=digest, detail="no permission")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ground_of(store).blobs, "take", refuse)
            erasure = await store.erase("gone")
            of_other = await other.erase("gone")
            left = found(path)

        assert "bytes of an attachment" in erasure.pending[-1]
        assert "bytes of an attachment" in of_other.pending[-1]
        assert {each for each in left if each.startswith("agents")} == set(), "the database, its log and its index"
        assert left, "the attachment"
        assert (await store.erase("gone")).gone
        assert (await other.erase("gone")).gone
        assert found(path) == set()


@pytest.mark.slow
async def test_a_reader_that_pins_the_log_keeps_it_from_its_end_and_no_longer(path: Path) -> None:
    async with open_seen_store(path) as store:
        await of_gone(store)
        with reader(path):
            erasure = await store.erase("gone")

            assert not erasure.gone
            assert "pins the log" in erasure.pending[0]
            assert found(path), "what is said to be there still is gone: this test shows nothing"
        await ended(store)
        assert found(path) == set()


async def test_what_was_begun_goes_on_with_the_next_host(path: Path) -> None:
    async with open_seen_store(path) as store:
        gone = await of_gone(store)
        # As a host that is killed right behind this commit leaves it.
        await execute(
            store,
            "INSERT INTO erasures (runtime, peers, stage, asked_at) SELECT runtime, 0, 0, 1.0 FROM runtimes"
            " WHERE runtime_id = ?",
            gone.runtime_id,
        )

    async with open_seen_store(path) as store:
        await ended(store)
        assert found(path) == set()


async def test_a_database_over_the_limit_is_not_rewritten_and_the_answer_says_so(path: Path) -> None:
    async with open_seen_store(path, limits=tenure.Limits(rewrite_bytes=1)) as store:
        await of_gone(store)

        erasure = await store.erase("gone")

        assert not erasure.gone
        assert "rewrite_bytes" in erasure.pending[0]
        assert await execute(store, "PRAGMA secure_delete") == [(1,)], "what is deleted stays where it stood"
    async with open_seen_store(path) as store:
        assert (await store.erase("gone")).gone


@pytest.mark.parametrize("column", sorted(STAYS["erasures"] - {"runtime"}))
async def test_a_damaged_row_is_found_and_keeps_no_other_from_its_end(path: Path, column: str) -> None:
    async with open_seen_store(path) as store:
        for name in ("ann", "bob"):
            owner = Owner(store, name)
            await owner.own()
            await destroy(owner)
        await execute(store, "INSERT INTO erasures SELECT runtime, 0, 1, 1.0, NULL FROM runtimes")
        await execute(store, f"UPDATE erasures SET {column} = 'junk' WHERE runtime = 1")

    async with open_seen_store(path) as store:
        assert (await store.erase("bob")).gone
        assert [part for part in await verify_parts(store) if part.problems]
        with pytest.raises(Corrupt):
            await store.erase("ann")
