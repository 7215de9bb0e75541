"""A store with a codec: no content of it is in any file in the clear, and who lacks the key reads none."""

from __future__ import annotations

import random
import shutil
from functools import partial
from pathlib import Path
from typing import Any, Final

import pytest
import trio

import tenure
from tenure.crypto import AesGcm
from tenure.errors import Contended, Corrupt, Error, IdempotencyConflict, KeyMissing, Unreadable, WrongKey
from tenure.persistence.engines.choice import door_to
from tenure.persistence.engines.sealing.columns import CONTENTS
from tenure.persistence.facets.conversation import sessions
from tenure.persistence.facets.inbox import input_records
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.upkeep.backup import back_up, restore
from tenure.persistence.upkeep.inspect import Wanted, list_runtimes, show_runtime
from tenure.persistence.upkeep.look import look_into
from tenure.persistence.upkeep.verify import verify_runtime
from tests.kit.sealing import ONE, envelope, open_once, sealed, stored
from tests.kit.seen import open_seen_store
from tests.persistence.contracts.damage import execute
from tests.persistence.contracts.owners.owned import Owner, live
from tests.persistence.upkeep.test_erase import fill

MARK: Final = "unforgettable"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "agents.db"


def in_the_clear(folder: Path, mark: str = MARK) -> set[str]:
    """Files of a folder in which the mark stands."""
    return {each.name for each in folder.rglob("*") if each.is_file() and mark.encode() in each.read_bytes()}


async def think(run: tenure.Run) -> dict[str, str]:
    """The mark in everything that a behaviour can write."""
    if run.inputs[0].payload == f"{MARK} fails":
        raise ValueError(f"{MARK} error")
    run.session.append({"said": f"{MARK} message"})
    run.state.set("note", f"{MARK} state")
    await run.emit({"word": f"{MARK} output"})
    run.send("bob", f"{MARK} send")
    found = await run.step("look", str.upper, f"{MARK} argument", repeat="freely")
    await run.checkpoint()
    return {"result": f"{MARK} {found}"}


async def listen(_run: tenure.Run) -> str:
    return f"{MARK} heard"


async def live_with_agents(path: Path, seams: tenure.Seams) -> None:
    thinker = tenure.Behaviour(think, restart=tenure.RestartPolicy(max_attempts=1))
    behaviours = {"thinker": thinker, "listener": listen}
    async with tenure.open_supervisor(path, behaviours=behaviours, seams=seams) as supervisor:
        await supervisor.spawn("bob", "listener")
        runtime = await supervisor.spawn("ann", "thinker")
        ticket = await runtime.accept(f"{MARK} payload", idempotency_key="k-1")
        assert (await ticket.wait_outcome()).phase == "consumed"
        failed = await runtime.accept(f"{MARK} fails")
        assert (await failed.wait_outcome()).phase == "abandoned"
        await supervisor.store.attachments.put("talk", MARK.encode() * 3)


@pytest.mark.sqlite("files of a store")
async def test_no_byte_of_a_content_is_in_any_file(path: Path) -> None:
    await live_with_agents(path, tenure.Seams())
    assert in_the_clear(path.parent), "in the clear it stands there: the search finds it"
    for each in path.parent.iterdir():
        shutil.rmtree(each) if each.is_dir() else each.unlink()

    async with open_seen_store(path, seams=sealed()) as beside:
        await live_with_agents(path, sealed())
        assert in_the_clear(path.parent) == set(), "database, log, index, locks and attachments beside an open host"
        await beside.health_check()
    assert in_the_clear(path.parent) == set()
    await back_up(path, path.parent / "backup.db")
    assert in_the_clear(path.parent) == set()


async def test_every_content_and_digest_that_a_life_leaves_is_sealed(path: Path, engine: str) -> None:
    async with open_seen_store(path, seams=sealed()) as store:
        ann = Owner(store, "ann")
        await live(ann, Owner(store, "bob"))
        await fill(store, ann)
        await story_of_contracts(store)
        columns = await stored(store)
        of_store = await envelope(store)

        for column, values in columns.items():
            for value in values:
                if column in CONTENTS:
                    clear = of_store.key_id_of(value) is None
                    assert not clear or value in UNWRITTEN, f"{column} holds {value!r} in the clear on {engine}"
                else:
                    assert of_store.is_sealed_digest(value), f"{column} holds {value!r} in the clear on {engine}"
        verified = await store.read(lambda view: verify_runtime(view, runtime_id=LogicalRuntimeId("ann")))
        assert verified.is_sound, verified.problems


UNWRITTEN: Final = {"{}"}
"""What stands in a content's column and is none: a request without arguments."""


async def story_of_contracts(store: tenure.Store) -> None:
    for key in ("one", "two"):
        await store.state.set(f"fact:{key}", f"{MARK} {key}".encode())
    assert await store.state.get("fact:one") == f"{MARK} one".encode()
    await store.journal.append("a stream", [{"a": MARK}], facts=[tenure.Fact("by hash", MARK)])


async def test_repeats_are_found_and_other_contents_are_refused(path: Path) -> None:
    for _ in range(2):  # also by another host, later
        async with tenure.open_supervisor(path, behaviours={"k": listen}, seams=sealed()) as supervisor:
            runtime = await supervisor.spawn("ann", "k")
            first = await runtime.accept("the same", idempotency_key="k-1")
            again = await runtime.accept("the same", idempotency_key="k-1")
            assert first.input_id == again.input_id
            with pytest.raises(IdempotencyConflict):
                await runtime.accept("another", idempotency_key="k-1")
            await first.wait_outcome()
            one = await supervisor.store.attachments.put("talk", b"bytes")
            assert one == await supervisor.store.attachments.put("another talk", b"bytes")
            assert await supervisor.store.attachments.get("talk", one) == b"bytes"


async def test_attachments_of_every_length_come_back(path: Path) -> None:
    part = 4 << 20
    async with tenure.open_store(path, seams=sealed()) as store:
        for length in (0, 1, part - 1, part, part + 1, 2 * part):
            data = bytes([length % 251]) * length
            found = await store.attachments.put("talk", data)
            await store.attachments.commit_refs("talk", [found])
            assert await store.attachments.get("talk", found) == data


@pytest.mark.parametrize(
    ("codec", "error"),
    [(None, KeyMissing), (AesGcm({"two": b"2" * 32}), KeyMissing), (AesGcm({"one": b"2" * 32}), WrongKey)],
)
async def test_a_host_without_the_key_does_not_open_it(
    path: Path, codec: tenure.Codec | None, error: type[Error]
) -> None:
    async with tenure.open_store(path, seams=sealed()) as store:
        await store.state.set("a", b"1")

    for _ in range(2):
        with pytest.raises(error):
            await open_once(path, tenure.Seams(codec=codec))
    async with tenure.open_store(path, seams=sealed()) as store:
        assert await store.state.get("a") == b"1"


async def test_a_look_without_the_key_shows_what_is_clear_and_says_what_is_sealed(path: Path) -> None:
    await live_with_agents(path, sealed())

    async with look_into(path) as look:
        shown = await look.read(lambda view: show_runtime(view, LogicalRuntimeId("ann")))
        assert MARK not in str(shown)
        with pytest.raises(KeyMissing):
            await look.read(lambda view: sessions.path_of_runtime(view, LogicalRuntimeId("ann")))
        verified = await look.read(lambda view: verify_runtime(view, runtime_id=LogicalRuntimeId("ann")))
        assert not verified.is_sound
        # That the key is not here is said, and nothing of it is called damaged: no one should restore a backup for that.
        assert {"chain", "node", "input"} <= {found.record for found in verified.problems}
        assert {found.detail for found in verified.problems} == {str(KeyMissing(key_id="one"))}
        assert not [found for found in verified.not_recomputed if found.record == "receipt"]
    async with look_into(path, seams=sealed()) as look:
        path_of = await look.read(lambda view: sessions.path_of_runtime(view, LogicalRuntimeId("ann")))
        assert MARK in str(path_of)
        verified = await look.read(lambda view: verify_runtime(view, runtime_id=LogicalRuntimeId("ann")))
        assert verified.is_sound, verified.problems


async def test_without_the_key_a_choice_by_labels_is_refused_and_finds_not_nothing(path: Path) -> None:
    async with tenure.open_supervisor(path, behaviours={"listener": listen}, seams=sealed()) as supervisor:
        await supervisor.spawn("ann", "listener", labels={"tenant": "acme"})

    async with look_into(path) as look:
        (line,) = await look.read(list_runtimes)
        assert line.labels is None
        with pytest.raises(KeyMissing):
            await look.read(partial(list_runtimes, wanted=Wanted(labels=(("tenant", "acme"),))))
    async with look_into(path, seams=sealed()) as look:
        (line,) = await look.read(partial(list_runtimes, wanted=Wanted(labels=(("tenant", "acme"),))))
        assert line.labels == {"tenant": "acme"}


async def test_a_record_whose_key_is_missing_is_not_called_damaged(path: Path) -> None:
    await live_with_agents(path, sealed())

    async with look_into(path) as look:
        found = await look.read(lambda view: input_records.of_runtime(view, LogicalRuntimeId("ann")))
    assert found
    assert {type(each) for each in found} == {KeyMissing}


async def test_what_cannot_be_unsealed_blocks_its_runtime_alone(path: Path) -> None:
    async with open_seen_store(path, seams=sealed()) as store:
        ann, bob = Owner(store, "ann"), Owner(store, "bob")
        for each in (ann, bob):
            await each.own()
            await each.accept("first")
        ((payload, key),) = await execute(
            store,
            "SELECT p.payload, p.input FROM payloads p JOIN inputs i ON i.input = p.input"
            " JOIN runtimes r ON r.runtime = i.runtime WHERE r.runtime_id = 'ann'",
        )
        of_another_key = bytes(payload).replace(b"\x03one", b"\x03two", 1)
        await execute(store, "UPDATE payloads SET payload = ? WHERE input = ?", of_another_key, key)

        with pytest.raises(Unreadable):
            await ann.begin("of ann")
        await bob.begin("of bob")

        await execute(store, "UPDATE payloads SET payload = ? WHERE input = ?", payload, key)
        await ann.begin("of ann")


@pytest.mark.sqlite("backups of a file")
async def test_backup_and_restore_need_no_key_and_what_they_make_is_sealed(path: Path) -> None:
    await live_with_agents(path, sealed())

    await back_up(path, path.parent / "backup.db")
    await restore(path.parent / "backup.db", path.parent / "restored.db")

    with pytest.raises(KeyMissing):
        await open_once(path.parent / "restored.db", tenure.Seams())
    async with look_into(path.parent / "restored.db", seams=sealed()) as look:
        verified = await look.read(lambda view: verify_runtime(view, runtime_id=LogicalRuntimeId("ann")))
        assert verified.is_sound, verified.problems


async def test_a_store_that_others_have_open_without_a_codec_does_not_get_one(path: Path) -> None:
    async with tenure.open_store(path):
        with pytest.raises(Contended, match="without a codec"):
            await open_once(path, sealed())
    async with tenure.open_store(path, seams=sealed()):
        await open_once(path, sealed())
        with pytest.raises(KeyMissing):
            await open_once(path, tenure.Seams())


async def test_a_row_that_is_moved_to_another_is_corrupt(path: Path) -> None:
    async with open_seen_store(path, seams=sealed()) as store:
        ann = Owner(store, "ann")
        await live(ann, Owner(store, "bob"))
        one, two, *_ = await execute(store, "SELECT node, payload, digest FROM nodes ORDER BY node")
        await execute(store, "UPDATE nodes SET payload = ?, digest = ? WHERE node = ?", two[1], two[2], one[0])

        with pytest.raises(Corrupt):
            await store.read(lambda view: view.all("nodes.path", leaf=one[0], first=0))


async def test_pruning_and_erasing_go_on_in_a_sealed_store(path: Path) -> None:
    await live_with_agents(path, sealed())
    async with tenure.open_store(path, seams=sealed()) as store:
        pruned = await store.prune(0.0)
        assert pruned.runs
    async with tenure.open_supervisor(path, behaviours={}, seams=sealed()) as supervisor:
        runtime = await supervisor.find("ann")
        await runtime.stop()
        await runtime.destroy()
        erasure = await supervisor.store.erase("ann")
        assert erasure.gone or supervisor.store.requires_network, erasure.pending


@pytest.mark.parametrize("column", ["marker", "key_id", "store_key"])
async def test_damage_of_what_the_store_says_of_its_codec_is_a_typed_error(path: Path, column: str) -> None:
    source = random.Random(3)
    async with open_seen_store(path, seams=sealed()) as store:
        ((right,),) = await execute(store, f"SELECT {column} FROM sealing")
    for _ in range(4):
        changed: Any = bytearray(right if isinstance(right, bytes) else right.encode())
        changed[source.randrange(len(changed))] ^= 1 << source.randrange(7)
        async with open_seen_store(path, seams=sealed()) as store:
            value = bytes(changed) if column != "key_id" else changed.decode()
            await execute(store, f"UPDATE sealing SET {column} = ?", value)
        with pytest.raises(Unreadable):
            await open_once(path, sealed())
        await repair(path, column, right)


async def repair(path: Path, column: str, value: Any) -> None:
    """Write past what opens the store: its door alone."""
    raw = door_to(path).engine(tenure.DurabilityClass.DISK)
    connection = raw.open()
    connection.begin_unnumbered()
    connection.raw(f"UPDATE sealing SET {column} = ?", (value,))
    connection.commit()
    connection.close(checkpoint=True)
    raw.close()


def test_the_keys_of_a_codec_are_in_no_text_of_it() -> None:
    codec = AesGcm(ONE)

    assert "one" in repr(codec)
    assert "1" * 16 not in repr(codec)
    assert "1" * 16 not in repr(tenure.Seams(codec=codec))


async def test_a_store_in_memory_can_have_a_codec() -> None:
    async with tenure.open_store(":memory:", seams=sealed()) as store:
        await store.state.set("a", b"1")
        assert await store.state.get("a") == b"1"
        await trio.lowlevel.checkpoint()
