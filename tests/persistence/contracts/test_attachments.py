"""`store.attachments`: files of sessions, stored once by content, and the account that is kept of them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import attrs
import pytest
import trio

from tenure import AttachmentIntent, AttachmentManifest, NoopAttachmentManifest, RuntimeCommit, Seams, Store
from tenure.errors import (
    CannotOpen,
    Contended,
    Corrupt,
    HeadRevisionConflict,
    InvalidInput,
    NotFound,
    TurnCommitConflict,
)
from tenure.persistence.commits.commit import Commit, CommitResult
from tenure.persistence.contracts.attachments import CHUNK
from tenure.persistence.contracts.gone.removals import remove_all_begun
from tenure.persistence.engines.blobs import Blobs
from tenure.persistence.engines.engine import NotStorable
from tenure.persistence.facets.attachments.attachments import BeginRemoval, EndRemoval, RecordIntent, StampAttachments
from tenure.persistence.facets.ownership.ownership import MarkLost
from tenure.persistence.store import ground_of
from tenure.persistence.upkeep.verify_store import verify_part
from tests.kit.clocks import Clock
from tests.kit.seen import open_seen_store
from tests.persistence.contracts.damage import execute

NEVER = 2**62
"""A time that everything is older than."""


def digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


async def fill_attachments(store: Store) -> None:
    """A row in each table: one that is committed, one that is meant, and bytes that are being removed."""
    await store.attachments.put("s", b"meant", "file:meant")
    await store.attachments.commit_refs("s", [await store.attachments.put("s", b"kept", "file:kept")])
    await store.commit(Commit(changes=(BeginRemoval(attachment_id=digest(b"another")),)))


async def test_bytes_come_back_under_their_digest(store: Store) -> None:
    for data in (b"", b"report", b"x" * (CHUNK + 1)):
        attachment_id = await store.attachments.put("s", data)

        assert attachment_id == digest(data)
        assert await store.attachments.get("s", attachment_id) == data


async def test_a_session_reads_only_what_is_its_own(store: Store) -> None:
    attachment_id = await store.attachments.put("s", b"report")

    with pytest.raises(NotFound):
        await store.attachments.get("t", attachment_id)
    await store.attachments.put("t", b"report")
    await store.attachments.forget("s", attachment_id)
    await store.attachments.forget("s", attachment_id)

    with pytest.raises(NotFound):
        await store.attachments.get("s", attachment_id)
    assert await store.attachments.get("t", attachment_id) == b"report"


async def test_what_was_put_is_only_meant_until_it_is_committed(tmp_path: Path) -> None:
    clock = Clock()
    async with open_seen_store(tmp_path / "a.db", seams=Seams(wall_clock=clock)) as store:
        one = await store.attachments.put("s", b"one", "file:one")
        clock.now += 1
        two = await store.attachments.put("s", b"two")

        assert [entry.attachment_id for entry in await store.attachments.list_uncommitted(NEVER)] == [one, two]
        assert [entry.canonical_uri for entry in await store.attachments.list_uncommitted(1_000_000)] == ["file:one"]
        await store.attachments.commit_refs("s", [one, "0" * 64])
        await store.attachments.commit_refs("t", [two])
        await store.attachments.commit_refs("s", [])
        assert [entry.attachment_id for entry in await store.attachments.list_uncommitted(NEVER)] == [two]


async def test_an_intent_that_is_recorded_again_is_younger_and_stays_committed(tmp_path: Path) -> None:
    clock = Clock()
    async with open_seen_store(tmp_path / "a.db", seams=Seams(wall_clock=clock)) as store:
        meant = AttachmentIntent(attachment_id=digest(b"meant"), session_id="s")
        await store.attachments.record_intent(meant)
        kept = await store.attachments.put("s", b"kept")
        await store.attachments.commit_refs("s", [kept])
        clock.now += 10

        await store.attachments.record_intent(meant)
        await store.attachments.put("s", b"kept")

        assert [entry.intent_at_epoch_ms for entry in await store.attachments.list_uncommitted(NEVER)] == [1_010_000]
        assert await store.attachments.list_uncommitted(1_009_999) == ()
    assert not (await _collected(tmp_path, NEVER)).endswith(kept)


async def _collected(tmp_path: Path, before: int) -> str:
    async with open_seen_store(tmp_path / "a.db") as store:
        await store.attachments.collect(before)
        return " ".join([entry.attachment_id for entry in await store.attachments.list_uncommitted(NEVER)])


async def test_the_first_stamp_stays(tmp_path: Path) -> None:
    clock = Clock()
    async with open_seen_store(tmp_path / "a.db", seams=Seams(wall_clock=clock)) as store:
        kept = await store.attachments.put("s", b"kept")
        await store.attachments.commit_refs("s", [kept])
        clock.now += 10
        await store.attachments.commit_refs("s", [kept])

        assert await execute(store, "SELECT committed_at FROM attachments") == [(1_000_000,)]


async def test_an_intent_without_its_bytes_is_not_found(store: Store) -> None:
    meant = AttachmentIntent(attachment_id=digest(b"meant"), session_id="s")
    await store.attachments.record_intent(meant)

    with pytest.raises(NotFound):
        await store.attachments.get("s", meant.attachment_id)
    with pytest.raises(InvalidInput):
        await store.attachments.record_intent(AttachmentIntent(attachment_id="no digest", session_id="s"))


async def test_an_attachment_is_stamped_with_a_commit_or_not_at_all(store: Store) -> None:
    kept = await store.attachments.put("s", b"kept")
    stamp = StampAttachments(session_id="s", attachment_ids=(kept,))
    being_removed = digest(b"another")
    await store.commit(Commit(changes=(BeginRemoval(attachment_id=being_removed),)))
    refused = RecordIntent(intent=AttachmentIntent(attachment_id=being_removed, session_id="s"))

    with pytest.raises(Contended):
        await store.commit(Commit(changes=(stamp, refused)))

    assert len(await store.attachments.list_uncommitted(NEVER)) == 1
    await store.commit(Commit(changes=(stamp,)))
    assert await store.attachments.list_uncommitted(NEVER) == ()


async def test_a_turn_commits_its_attachments_or_nothing(store: Store) -> None:
    kept = await store.attachments.put("s", b"kept")
    turn = RuntimeCommit(session_id="s", expected_head_revision=0, committed_attachment_ids=(kept,), turn_id="t")

    with pytest.raises(HeadRevisionConflict):
        await store.sessions.commit_runtime_state(attrs.evolve(turn, expected_head_revision=7))
    assert len(await store.attachments.list_uncommitted(NEVER)) == 1
    first = await store.sessions.commit_runtime_state(turn)

    assert await store.attachments.list_uncommitted(NEVER) == ()
    assert await store.sessions.commit_runtime_state(turn) == first
    with pytest.raises(TurnCommitConflict):
        await store.sessions.commit_runtime_state(attrs.evolve(turn, committed_attachment_ids=()))


# Files


async def test_a_file_goes_in_and_out_in_parts(store: Store, tmp_path: Path) -> None:
    data = bytes(range(256)) * (CHUNK // 128) + b"end"
    (tmp_path / "in").write_bytes(data)

    attachment_id = await store.attachments.put_file("s", str(tmp_path / "in"))
    await store.attachments.get_file("s", attachment_id, str(tmp_path / "out"))

    assert (tmp_path / "out").read_bytes() == data
    with pytest.raises(CannotOpen):
        await store.attachments.get_file("s", attachment_id, str(tmp_path / "out"))
    assert (tmp_path / "out").read_bytes() == data, "what was there stays"
    with pytest.raises(CannotOpen):
        await store.attachments.put_file("s", str(tmp_path / "nowhere"))


@pytest.mark.sqlite("looks at files of the folder")
async def test_bytes_are_stored_once_for_all_sessions_and_survive_the_store(tmp_path: Path) -> None:
    async with open_seen_store(tmp_path / "a.db") as store:
        for session in ("s", "t"):
            attachment_id = await store.attachments.put(session, b"report")
            await store.attachments.commit_refs(session, [attachment_id])
        assert [each.name for each in (tmp_path / "a.db-attachments").iterdir()] == [attachment_id]
    async with open_seen_store(tmp_path / "a.db") as store:
        assert await store.attachments.get("t", attachment_id) == b"report"


@pytest.mark.sqlite("changes files of the folder")
@pytest.mark.parametrize("changed", [b"repOrt", b"report and more", None], ids=["changed", "longer", "gone"])
async def test_bytes_that_are_not_what_their_id_says_are_corrupt(tmp_path: Path, changed: bytes | None) -> None:
    async with open_seen_store(tmp_path / "a.db") as store:
        attachment_id = await store.attachments.put("s", b"report")
        await store.attachments.commit_refs("s", [attachment_id])
        path = tmp_path / "a.db-attachments" / attachment_id
        path.unlink() if changed is None else path.write_bytes(changed)

        with pytest.raises(Corrupt):
            await store.attachments.get("s", attachment_id)
        with pytest.raises(Corrupt):
            await store.attachments.get_file("s", attachment_id, str(tmp_path / "out"))
        assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("damage", ["changed", "shorter", "longer", "gone"])
async def test_bytes_that_are_put_again_stand_in_the_place_of_damaged_ones(store: Store, damage: str) -> None:
    report = b"report" * 1_000_000
    attachment_id = await store.attachments.put("s", report)
    await store.attachments.commit_refs("s", [attachment_id])
    blobs = ground_of(store).blobs
    await store.read(lambda _: blobs.remove(attachment_id))
    if damage != "gone":
        other = {"changed": b"REPORT" * 1_000_000, "shorter": report[:-1], "longer": report + b"."}[damage]
        await store.read(lambda _: _write_as(blobs, attachment_id, other))
    with pytest.raises(Corrupt):
        await store.attachments.get("s", attachment_id)

    assert await store.attachments.put("t", report) == attachment_id

    for session in ("s", "t"):
        assert await store.attachments.get(session, attachment_id) == report
    assert await store.read(lambda _: (blobs.names(), blobs.unfinished())) == ([attachment_id], [])


def _write_as(blobs: Blobs, attachment_id: str, data: bytes) -> None:
    blobs.begin("made")
    for at in range(0, len(data), CHUNK):
        blobs.write("made", at, data[at : at + CHUNK])
    blobs.keep("made", attachment_id)


# Orphans


@pytest.mark.sqlite("looks at files of the folder")
async def test_an_orphan_is_what_is_old_and_whose_host_has_gone(tmp_path: Path) -> None:
    async with open_seen_store(tmp_path / "a.db") as store:
        orphan = await store.attachments.put("s", b"orphan")
        kept = await store.attachments.put("s", b"kept")
        await store.attachments.commit_refs("s", [kept])
        assert await store.attachments.collect(NEVER) == 0, "its host lives: age alone proves nothing"
    async with open_seen_store(tmp_path / "a.db") as store:
        assert await store.attachments.collect(0) == 0, "it is young"
        assert await store.attachments.collect(NEVER) == 1

        with pytest.raises(NotFound):
            await store.attachments.get("s", orphan)
        assert await store.attachments.get("s", kept) == b"kept"
        assert [each.name for each in (tmp_path / "a.db-attachments").iterdir()] == [kept]


async def test_bytes_that_a_session_still_has_are_not_collected(store: Store) -> None:
    for session in ("s", "t"):
        attachment_id = await store.attachments.put(session, b"report")
    await store.attachments.forget("s", attachment_id)

    assert await store.attachments.collect(NEVER) == 0
    await store.attachments.forget("t", attachment_id)
    assert await store.attachments.collect(NEVER) == 1
    assert await store.attachments.put("s", b"report") == attachment_id
    assert await store.attachments.get("s", attachment_id) == b"report"


async def test_a_writer_waits_for_a_removal_of_the_same_bytes(store: Store) -> None:
    begin = BeginRemoval(attachment_id=digest(b"report"))
    assert (await store.commit(Commit(changes=(begin,)))).values == (True,)
    assert (await store.commit(Commit(changes=(begin,)))).values == (False,), "one remover at a time"

    async with trio.open_nursery() as nursery:
        nursery.start_soon(store.attachments.put, "s", b"report")
        with pytest.raises(Contended):
            await store.attachments.record_intent(AttachmentIntent(attachment_id=begin.attachment_id, session_id="s"))
        await store.commit(Commit(changes=(EndRemoval(attachment_id=begin.attachment_id),)))

    assert await store.attachments.get("s", begin.attachment_id) == b"report"
    assert (await store.commit(Commit(changes=(begin,)))).values == (False,), "a session has them"


async def test_a_writer_waits_for_a_removal_that_ends_while_it_looks(store: Store) -> None:
    begin = BeginRemoval(attachment_id=digest(b"report"))
    end = EndRemoval(attachment_id=begin.attachment_id)
    putting = True
    begun: list[bool] = []
    got: list[bytes] = []

    async def remove() -> None:
        while putting:
            begun.extend((await store.commit(Commit(changes=(begin,)))).values)
            await store.commit(Commit(changes=(end,)))

    async with trio.open_nursery() as nursery:
        nursery.start_soon(remove)
        for session in map(str, range(10)):
            await store.attachments.put(session, b"report")
            got.append(await store.attachments.get(session, begin.attachment_id))
            await store.attachments.forget(session, begin.attachment_id)
        putting = False
    assert any(begun), "there was a removal in the way"
    assert got == 10 * [b"report"]


async def test_a_collect_that_is_cancelled_leaves_no_removal(tmp_path: Path) -> None:
    async with open_seen_store(tmp_path / "a.db") as store:
        attachment_id = await store.attachments.put("s", b"report")
        await store.attachments.forget("s", attachment_id)
        drop = ground_of(store).blobs.drop_taken
        scope, token = trio.CancelScope(), trio.lowlevel.current_trio_token()

        def cancel_and_drop(digest: str, taker: str) -> None:
            trio.from_thread.run_sync(scope.cancel, trio_token=token)
            drop(digest, taker)

        with pytest.MonkeyPatch.context() as patch, scope:
            patch.setattr(ground_of(store).blobs, "drop_taken", cancel_and_drop)
            await store.attachments.collect(NEVER)

        assert scope.cancel_called
        with trio.fail_after(30):
            assert await store.attachments.put("s", b"report") == attachment_id
        assert await store.attachments.get("s", attachment_id) == b"report"


@pytest.mark.parametrize("verb", ["take", "drop_taken"])
async def test_bytes_that_could_not_be_removed_may_be_put_again(tmp_path: Path, verb: str) -> None:
    async with open_seen_store(tmp_path / "a.db") as store:
        attachment_id = await store.attachments.put("s", b"report")
        await store.attachments.forget("s", attachment_id)

        def refuse(digest: str, _taker: str) -> None:
            raise CannotOpen(path=digest, detail="no permission")

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ground_of(store).blobs, verb, refuse)
            with pytest.raises(CannotOpen):
                await store.attachments.collect(NEVER)

        with trio.fail_after(30):
            assert await store.attachments.put("s", b"report") == attachment_id
        await store.attachments.forget("s", attachment_id)
        assert await store.attachments.collect(NEVER) == 1


async def test_a_removal_whose_end_could_not_be_written_ends_by_itself(tmp_path: Path) -> None:
    """Another process had the lock for too long: the bytes were kept from every writer until this host closed."""
    async with open_seen_store(tmp_path / "a.db") as one, open_seen_store(tmp_path / "a.db") as other:
        attachment_id = await one.attachments.put("s", b"report")
        await one.attachments.forget("s", attachment_id)
        commit = ground_of(one).commit
        refused: list[Commit] = []

        async def refuse_the_first_end(given: Commit) -> CommitResult:
            if isinstance(given.changes[0], EndRemoval) and len(refused) < 2:
                refused.append(given)
                raise Contended(detail="another process has the lock")
            return await commit(given)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ground_of(one), "commit", refuse_the_first_end)
            with pytest.raises(Contended):
                await one.attachments.collect(NEVER)
            with trio.fail_after(30):
                assert await other.attachments.put("s", b"report") == attachment_id

        assert len(refused) == 2
        assert await one.attachments.get("s", attachment_id) == b"report"
        await one.attachments.forget("s", attachment_id)
        assert await one.attachments.collect(NEVER) == 1


async def test_a_host_that_wakes_late_removes_no_bytes_that_were_put_meanwhile(tmp_path: Path) -> None:
    async with open_seen_store(tmp_path / "a.db") as late, open_seen_store(tmp_path / "a.db") as store:
        attachment_id = await late.attachments.put("s", b"report")
        await late.attachments.forget("s", attachment_id)
        commit, ground = ground_of(late).commit, ground_of(late)

        async def stand_still(one: Commit) -> CommitResult:
            landed = await commit(one)
            if isinstance(one.changes[0], BeginRemoval):
                await store.commit(Commit(changes=(MarkLost(host=ground.host, counter=None),)))
                await store.attachments.put("s", b"report")
                await store.attachments.commit_refs("s", [attachment_id])
            return landed

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(ground, "commit", stand_still)
            assert await late.attachments.collect(NEVER) == 0

        for each in (store, late):
            assert await each.attachments.get("s", attachment_id) == b"report"


async def put_by_another(store: Store, late: Store, attachment_id: str) -> None:
    """What another host does while one stands still for a lease: it judges it, and stores the bytes."""
    await store.commit(Commit(changes=(MarkLost(host=ground_of(late).host, counter=None),)))
    await store.attachments.put("s", b"report")
    await store.attachments.commit_refs("s", [attachment_id])


STANDS = ["behind its commit", "when the bytes are taken", "when it has looked"]


@pytest.mark.parametrize("stands", STANDS)
async def test_wherever_a_host_stands_still_in_a_removal_it_takes_no_bytes_that_were_put_meanwhile(
    tmp_path: Path, stands: str
) -> None:
    async with open_seen_store(tmp_path / "a.db") as late, open_seen_store(tmp_path / "a.db") as store:
        attachment_id = await late.attachments.put("s", b"report")
        await late.attachments.forget("s", attachment_id)
        blobs, stood, token = ground_of(late).blobs, list[str](), trio.lowlevel.current_trio_token()

        def stand_still(where: str) -> None:
            if where == stands and not stood:
                stood.append(where)
                trio.from_thread.run(put_by_another, store, late, attachment_id, trio_token=token)

        take, drop = blobs.take, blobs.drop_taken

        def taking(digest: str, taker: str) -> None:
            stand_still(STANDS[0])
            take(digest, taker)
            stand_still(STANDS[1])

        def dropping(digest: str, taker: str) -> None:
            stand_still(STANDS[2])
            drop(digest, taker)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(blobs, "take", taking)
            patch.setattr(blobs, "drop_taken", dropping)
            await late.attachments.collect(NEVER)

        assert stood
        for each in (store, late):
            assert await each.attachments.get("s", attachment_id) == b"report"
        assert blobs.taken() == []


@pytest.mark.parametrize("read", [True, False])
async def test_bytes_that_a_dead_host_took_late_are_read_and_come_back(tmp_path: Path, *, read: bool) -> None:
    async with open_seen_store(tmp_path / "a.db") as store:
        attachment_id = await store.attachments.put("s", b"report")
        await store.attachments.commit_refs("s", [attachment_id])
        ground_of(store).blobs.take(attachment_id, "dead")  # and killed before it looked

        if not read:
            assert await store.attachments.collect(NEVER) == 0
            assert ground_of(store).blobs.taken() == []
        assert await store.attachments.get("s", attachment_id) == b"report"


async def test_what_a_dead_host_took_and_no_session_has_is_collected(tmp_path: Path) -> None:
    async with open_seen_store(tmp_path / "a.db") as store:
        attachment_id = await store.attachments.put("s", b"report")
        await store.attachments.forget("s", attachment_id)
        ground_of(store).blobs.take(attachment_id, "dead")

        assert await store.attachments.collect(NEVER) == 1
        assert ground_of(store).blobs.taken() == ground_of(store).blobs.names() == []


async def test_two_hosts_that_wake_late_around_one_removal_take_no_bytes_that_were_put_meanwhile(
    tmp_path: Path,
) -> None:
    async with open_seen_store(tmp_path / "a.db") as late, open_seen_store(tmp_path / "a.db") as store:
        attachment_id = await late.attachments.put("s", b"report")
        await late.attachments.forget("s", attachment_id)
        blobs, token, stood = ground_of(late).blobs, trio.lowlevel.current_trio_token(), list[str]()
        drop = blobs.drop_taken

        def dropping(digest: str, taker: str) -> None:
            drop(digest, taker)
            if (
                not stood
            ):  # it stands still once its bytes are gone, and then another one wakes that has begun to remove them
                stood.append(taker)
                trio.from_thread.run(put_by_another, store, late, attachment_id, trio_token=token)
                blobs.take(attachment_id, "another")

        await late.commit(Commit(changes=(BeginRemoval(attachment_id=attachment_id),)))
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(blobs, "drop_taken", dropping)
            assert not await remove_all_begun(ground_of(late), attachment_id)

        assert stood
        assert await store.attachments.get("s", attachment_id) == b"report"


async def test_all_that_was_taken_goes_with_the_bytes(tmp_path: Path) -> None:
    async with open_seen_store(tmp_path / "a.db") as store:
        attachment_id = await store.attachments.put("s", b"report")
        await store.attachments.forget("s", attachment_id)
        await store.commit(Commit(changes=(BeginRemoval(attachment_id=attachment_id),)))
        ground_of(store).blobs.take(attachment_id, "dead")

        assert await remove_all_begun(ground_of(store), attachment_id)
        assert ground_of(store).blobs.taken() == ground_of(store).blobs.names() == []


async def test_a_removal_is_ended_by_who_has_begun_it(tmp_path: Path) -> None:
    begin = BeginRemoval(attachment_id=digest(b"report"))
    async with open_seen_store(tmp_path / "a.db") as one, open_seen_store(tmp_path / "a.db") as other:
        assert (await one.commit(Commit(changes=(begin,)))).values == (True,)
        await other.commit(Commit(changes=(EndRemoval(attachment_id=begin.attachment_id),)))
        assert (await other.commit(Commit(changes=(begin,)))).values == (False,)
        await one.commit(Commit(changes=(EndRemoval(attachment_id=begin.attachment_id),)))
        assert (await other.commit(Commit(changes=(begin,)))).values == (True,)


async def test_a_removal_ends_with_its_host(tmp_path: Path) -> None:
    begin = BeginRemoval(attachment_id=digest(b"report"))
    async with open_seen_store(tmp_path / "a.db") as store:
        await store.commit(Commit(changes=(begin,)))
    async with open_seen_store(tmp_path / "a.db") as store:
        assert await store.attachments.get("s", await store.attachments.put("s", b"report")) == b"report"


async def test_what_a_killed_host_had_begun_to_write_goes_with_a_collect(tmp_path: Path) -> None:
    async with open_seen_store(tmp_path / "a.db") as store:
        ground_of(store).blobs.begin("of-a-host-that-is-gone.1")
        ground_of(store).blobs.begin(f"{store.incarnation}.2")

        await store.attachments.collect(NEVER)

        assert ground_of(store).blobs.unfinished() == [f"{store.incarnation}.2"]


@pytest.mark.sqlite("looks at files of the folder")
async def test_a_collect_leaves_what_is_no_attachment(tmp_path: Path) -> None:
    async with open_seen_store(tmp_path / "a.db") as store:
        attachment_id = await store.attachments.put("s", b"report")
        await store.attachments.forget("s", attachment_id)
        folder = tmp_path / "a.db-attachments"
        (folder / "lost+found").mkdir()
        (folder / "read me.txt").write_text("mine")
        (folder / "~$report.docx").write_text("another program's")

        assert await store.attachments.collect(NEVER) == 1

        assert sorted(each.name for each in folder.iterdir()) == ["lost+found", "read me.txt", "~$report.docx"]


# The rest


async def test_a_bound_store_is_that_of_its_session(store: Store, tmp_path: Path) -> None:
    bound = store.attachments.bind("s")
    (tmp_path / "in").write_bytes(b"file")

    report, file = await bound.put(b"report", "file:report"), await bound.put_file(str(tmp_path / "in"))
    await bound.commit_refs([report])
    await bound.get_file(file, str(tmp_path / "out"))

    assert bound.session_id == "s"
    assert await bound.get(report) == await store.attachments.get("s", report) == b"report"
    assert [entry.attachment_id for entry in await store.attachments.list_uncommitted(NEVER)] == [file]
    await bound.delete(report)
    with pytest.raises(NotFound):
        await bound.get(report)


async def test_a_manifest_may_keep_nothing(store: Store) -> None:
    manifests: list[AttachmentManifest] = [NoopAttachmentManifest(), store.attachments]
    listed: list[int] = []
    for manifest in manifests:
        await manifest.record_intent(AttachmentIntent(attachment_id=digest(b"a"), session_id="s"))
        listed.append(len(await manifest.list_uncommitted(NEVER)))
        await manifest.commit_refs("s", (digest(b"a"),))
        await manifest.forget("s", digest(b"a"))

    assert listed == [0, 1]


@pytest.mark.parametrize(
    "column", ["session_id", "attachment_id", "uri", "host", "intent_at", "committed_at", "digest"]
)
async def test_a_changed_row_is_found(store: Store, column: str) -> None:
    attachment_id = await store.attachments.put("s", b"a")
    await store.attachments.commit_refs("s", [attachment_id])
    assert (await verify_part(store, "attachments")).is_sound

    try:
        await execute(store, f"UPDATE attachments SET {column} = 7")
    except NotStorable:
        return  # such a value has no place there: the engine is guard enough

    assert not (await verify_part(store, "attachments")).is_sound
