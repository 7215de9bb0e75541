"""What an acknowledgement survives, and what a group says of it."""

from __future__ import annotations

from pathlib import Path

import apsw
import pytest

import tenure
from tenure.errors import InvalidInput
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.inbox.cancelling import CancelInput
from tenure.persistence.model.values import InputId
from tenure.persistence.store import Store
from tests.kit.faulty_vfs import FaultyVfs
from tests.kit.stores import (
    OpenMode,
    landed,
    message,
    name,
    own,
)


def syncs(vfs: FaultyVfs) -> int:
    """How often the log was synced since the last time."""
    count = vfs.calls.count(("xSync", "-wal"))
    vfs.calls.clear()
    return count


@pytest.mark.parametrize(("durability", "of_message", "of_token"), [("disk", 1, 1), ("os", 0, 1), ("memory", 0, 0)])
async def test_a_group_is_synced_as_its_class_says_and_tokens_in_os_too(
    open_file: OpenMode, vfs: FaultyVfs, durability: str, of_message: int, of_token: int
) -> None:
    async with open_file(vfs=vfs.vfs_name, durability=durability) as store:
        await own(store)  # the first group also writes the head of the log
        syncs(vfs)
        for n in range(3):
            await store.commit(message(store, f"m-{n}"))
            assert syncs(vfs) == of_message
            await own(store, f"r-{n}")
            assert syncs(vfs) == of_token


@pytest.mark.parametrize("durability", ["disk", "os", "memory"])
async def test_a_receipt_names_the_class_of_its_group(tmp_path: Path, durability: str) -> None:
    async def read(run: tenure.Run) -> None:
        run.session.append("seen")

    async with tenure.open_supervisor(tmp_path / "a.db", behaviours={"k": read}, durability=durability) as supervisor:
        runtime = await supervisor.spawn("a", "k")
        outcome = await (await runtime.accept("hello")).wait_outcome()

    assert outcome.receipt is not None
    assert outcome.receipt.durability == durability


async def test_readers_in_the_way_of_a_new_log_do_not_make_every_group_a_checkpoint(
    tmp_path: Path, vfs: FaultyVfs
) -> None:
    open_mode = OpenMode("file", tmp_path / "agents.db")
    async with open_mode(vfs=vfs.vfs_name, wal_pages=40) as store:
        await own(store)
        reader = apsw.Connection(str(open_mode.path))
        vfs.calls.clear()
        for n in range(60):
            # There is always a view of the newest state: the log is moved, and cannot begin anew.
            reader.execute("BEGIN; SELECT count(*) FROM inputs").fetchall()
            await store.commit(message(store, f"m-{n}"))
            reader.execute("ROLLBACK")
        reader.close()
        checkpoints = syncs(vfs) - 60  # each begins with a sync of the log

    assert 0 < checkpoints < 30


async def test_what_no_engine_can_store_is_the_callers_mistake(store: Store) -> None:
    await own(store)

    with pytest.raises(InvalidInput):
        await store.commit(message(store, "\ud800"))

    assert await landed(store, "m-1") == []


async def test_a_commit_cannot_carry_a_change_of_another_runtime_past_its_fence(store: Store) -> None:
    token = await own(store, "a")
    await own(store, "b")
    change = CancelInput(runtime_id=name("b"), input_id=InputId("none"))

    for runtime_id in (name("a"), None):
        with pytest.raises(InvalidInput):
            Commit(runtime_id=runtime_id, fence_token=token, changes=(change,))
