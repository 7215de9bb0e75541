"""Rekeying: all that is stored comes under the key of today, beside hosts that run, and whatever cuts it off."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

import tenure
from tenure.crypto import AesGcm
from tenure.errors import KeyMissing, Unsupported
from tenure.persistence.contracts.sealing import rekeying
from tenure.persistence.engines.sealing.columns import CONTENTS
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.store import ground_of
from tenure.persistence.upkeep.look import look_into
from tenure.persistence.upkeep.verify import verify_runtime
from tenure.persistence.upkeep.verify_store import verify_parts
from tests.kit.sealing import ONE, TWO, envelope, open_once, sealed, stored
from tests.kit.seen import open_seen_store
from tests.persistence.contracts.damage import execute
from tests.persistence.contracts.owners.owned import Owner, live
from tests.persistence.sealing.test_sealed_store import MARK, UNWRITTEN, in_the_clear
from tests.persistence.upkeep.test_erase import fill

ONLY_TWO = {"two": b"2" * 32}

TWICE = MARK * 2
"""In contents alone: the mark once is in ids too, which stay in the clear."""


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agents.db"


async def live_there(path: Path, seams: tenure.Seams, *, attachment: bytes = MARK.encode()) -> str:
    async with tenure.open_store(path, seams=seams) as store:
        ann = Owner(store, "ann")
        await live(ann, Owner(store, "bob"))
        await fill(store, ann)
        await store.state.set("a", TWICE.encode())
        found = await store.attachments.put("talk", attachment)
        await store.attachments.commit_refs("talk", [found])
        return found


async def key_ids(store: tenure.Store) -> set[str | None]:
    """The keys that the contents of a store are sealed with; None for what is in the clear."""
    key_id_of = (await envelope(store)).key_id_of
    columns = await stored(store)
    return {key_id_of(value) for column in CONTENTS for value in columns[column] if value not in UNWRITTEN}


async def is_sound(path: Path, seams: tenure.Seams) -> bool:
    async with look_into(path, seams=seams) as look:
        for each in ("ann", "bob"):
            verified = await look.read(partial(verify_runtime, runtime_id=LogicalRuntimeId(each)))
            assert verified.is_sound, verified.problems
        parts = [part for part in await verify_parts(look) if part.problems]
        assert not parts
    return True


@pytest.mark.slow
async def test_a_store_in_the_clear_is_sealed_and_its_old_pages_hold_nothing(path: Path, engine: str) -> None:
    attachment = await live_there(path, tenure.Seams(), attachment=MARK.encode() * 1000)
    if engine == "sqlite":
        assert in_the_clear(path.parent, TWICE)

    async with open_seen_store(path, seams=sealed()) as store:
        again = await store.attachments.put("talk", MARK.encode() * 1000)
        assert again == attachment, "bytes from before are known"
        assert None in await key_ids(store)
        rekeyed = await store.rekey()

        assert rekeyed.done
        assert not rekeyed.unreadable
        assert rekeyed.values > 50
        assert rekeyed.attachments == 3
        assert await key_ids(store) == {"one"}
        assert (await store.rekey()).values == 0, "what is done is passed over"
        assert await store.attachments.get("talk", attachment) == MARK.encode() * 1000
        if engine == "sqlite":
            assert rekeyed.cleared
    if engine == "sqlite":
        assert in_the_clear(path.parent, TWICE) == set()
    assert await is_sound(path, sealed())


async def test_a_row_whose_damaged_key_is_below_all_that_are_given_is_counted_as_unreadable(path: Path) -> None:
    await live_there(path, sealed())

    async with open_seen_store(path, seams=sealed(TWO)) as store:
        await execute(store, "UPDATE state_values SET entry = -5 WHERE value_key = 'a'")
        assert (await store.rekey()).unreadable == {"state_values": 1}  # its key is sealed with it


async def test_rotation_ends_with_everything_under_the_new_key(path: Path) -> None:
    attachment = await live_there(path, sealed())

    async with open_seen_store(path, seams=sealed(TWO)) as store:
        rekeyed = await store.rekey()
        assert rekeyed.done
        assert rekeyed.key_id == "two"
        assert rekeyed.cleared is None
        assert await key_ids(store) == {"two"}

    async with tenure.open_store(path, seams=sealed(ONLY_TWO)) as store:  # the old one is not needed any more
        assert await store.attachments.get("talk", attachment) == MARK.encode()
    assert await is_sound(path, sealed(ONLY_TWO))
    with pytest.raises(KeyMissing):
        await open_once(path, sealed(ONE))


async def test_keys_are_rotated_beside_a_host_that_runs(path: Path) -> None:
    codec = AesGcm(ONE)
    heard: list[object] = []

    async def hear(run: tenure.Run) -> None:
        heard.append(run.inputs[0].payload)

    async with tenure.open_supervisor(path, behaviours={"k": hear}, seams=tenure.Seams(codec=codec)) as supervisor:
        runtime = await supervisor.spawn("ann", "k")
        await (await runtime.accept("first", idempotency_key="1")).wait_outcome()
        codec.replace_keys(TWO)
        await (await runtime.accept("second", idempotency_key="2")).wait_outcome()
        async with open_seen_store(path, seams=sealed(TWO)) as store:
            rekeyed = await store.rekey()
            assert rekeyed.done
            assert await key_ids(store) == {"two"}
        codec.replace_keys(ONLY_TWO)
        again = await runtime.accept("first", idempotency_key="1")
        assert (await again.wait_outcome()).phase == "consumed"
        await (await runtime.accept("third", idempotency_key="3")).wait_outcome()
    assert heard == ["first", "second", "third"]


async def test_a_host_that_goes_on_with_the_old_key_makes_it_say_so(path: Path) -> None:
    async with (
        open_seen_store(path, seams=sealed()) as old,
        open_seen_store(path, seams=sealed(TWO)) as new,
    ):
        await old.state.set("a", b"1")
        assert (await new.rekey()).done
        await old.state.set("b", b"2")
        assert await key_ids(new) == {"one", "two"}
        assert (await new.rekey()).values == 1
        assert await key_ids(new) == {"two"}


@pytest.mark.slow
@pytest.mark.parametrize("before", [None, ONE], ids=["in the clear", "sealed"])
async def test_one_that_was_cut_off_is_gone_on_with(
    path: Path, monkeypatch: pytest.MonkeyPatch, before: dict[str, bytes] | None
) -> None:
    await live_there(path, tenure.Seams() if before is None else sealed(before))
    monkeypatch.setattr(rekeying, "ROWS", 2)
    slices = 0
    while True:
        async with open_seen_store(path, seams=sealed(TWO)) as store:
            with trio.CancelScope() as scope:
                stop = _after(store, 5, scope)
                assert stop
                rekeyed = await store.rekey()
                if rekeyed.values == 0:
                    break
            slices += 1
            assert await key_ids(store) <= {None, "one", "two"}
        assert await is_sound(path, sealed(TWO)), "in the middle of it, too"
    assert slices > 1
    async with open_seen_store(path, seams=sealed(TWO)) as store:
        assert await key_ids(store) == {"two"}


def _after(store: tenure.Store, commits: int, scope: trio.CancelScope) -> bool:
    """Cancel a scope after so many commits of the store."""
    ground: Any = ground_of(store)
    landed = ground.commit
    left = commits

    async def commit(*arguments: Any) -> Any:
        nonlocal left
        left -= 1
        if left < 0:
            scope.cancel()
        return await landed(*arguments)

    ground.commit = commit
    return True


async def test_a_row_that_cannot_be_read_is_counted_and_keeps_no_other(path: Path) -> None:
    await live_there(path, sealed())
    async with open_seen_store(path, seams=sealed(TWO)) as store:
        ((node, payload),) = await execute(store, "SELECT node, payload FROM nodes ORDER BY node LIMIT 1")
        changed = bytes(payload)[:-1] + bytes([bytes(payload)[-1] ^ 1])
        await execute(store, "UPDATE nodes SET payload = ? WHERE node = ?", changed, node)

        rekeyed = await store.rekey()

        assert rekeyed.unreadable == {"nodes": 1}
        assert rekeyed.done
        assert await key_ids(store) == {"one", "two"}


async def test_a_row_that_was_written_meanwhile_stays_as_it_was_written(path: Path) -> None:
    async with open_seen_store(path, seams=sealed(TWO)) as store:
        await store.state.set("a", b"1")
        columns = await execute(store, "SELECT entry, digest, value FROM state_values")
        entry, kept, value = columns[0]
        row = rekeying.SealedRow(
            row=entry,
            before={"digest": kept, "value": b"what stood there before"},
            after={"digest": kept, "value": b"what would come"},
        )
        change = rekeying.Reseal(table="state_values", rows=(row,))
        assert (await store.commit(rekeying.Commit(changes=(change,)))).values == (0,)
        assert await execute(store, "SELECT value FROM state_values") == [(value,)]


async def test_without_a_codec_there_is_nothing_to_rekey(path: Path) -> None:
    async with tenure.open_store(path) as store:
        with pytest.raises(Unsupported):
            await store.rekey()
