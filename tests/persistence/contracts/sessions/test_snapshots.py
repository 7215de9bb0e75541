"""Snapshots over nodes: what continues, what replaces, what is refused."""

from __future__ import annotations

import msgspec
import pytest

from tenure import SessionDelta, SessionSnapshot, Store, TranscriptRewriteCommit, decode_snapshot, encode_snapshot
from tenure.errors import (
    ContinuityViolation,
    InvalidSnapshot,
    PayloadTooLarge,
    SessionBindingMismatch,
    SessionKeyMismatch,
    SnapshotSuperseded,
    TranscriptRevisionConflict,
)
from tests.persistence.contracts.builders import (
    delta,
    envelope,
    rewrite,
    snapshot,
    texts,
)


async def rows(store: Store, runtime_id: str = "alice") -> tuple[int, int, int]:
    """Head revision, nodes, nodes with a tombstone."""

    async with store.read_connection() as connection:
        found = await connection.query(
            "SELECT s.revision, n.tombstoned_at FROM runtimes r JOIN sessions s ON s.session = r.session"
            " JOIN nodes n ON n.session = s.session WHERE r.runtime_id = ?",
            [runtime_id],
        )
    return found[0][0], len(found), sum(row[1] is not None for row in found)


async def test_a_snapshot_comes_back_as_the_bytes_that_were_written(store: Store) -> None:
    given = envelope("a", "b", meta={"title": "talk", "n": 1})

    await store.runtimes.commit_session_snapshot("alice", SessionDelta(session_snapshot=given))

    assert await store.runtimes.load_session_snapshot("alice") == given
    assert await store.runtimes.load_session_snapshot("bob") is None


async def test_an_empty_path_is_a_snapshot_until_it_is_cleared(store: Store) -> None:
    await store.runtimes.commit_session_snapshot("alice", delta())
    assert await store.runtimes.load_session_snapshot("alice") == envelope()

    await store.runtimes.clear_session_snapshot("alice")
    assert await store.runtimes.load_session_snapshot("alice") is None


async def test_a_snapshot_that_extends_the_path_appends_only_the_rest(store: Store) -> None:
    await store.runtimes.commit_session_snapshot("alice", delta("a", "b"))
    before = await rows(store)
    await store.runtimes.commit_session_snapshot("alice", delta("a", "b", "c"))
    after = await rows(store)

    assert before[1:] == (2, 0)
    assert after[1:] == (3, 0)
    assert after[0] > before[0]


async def test_the_same_path_with_other_meta_writes_no_node(store: Store) -> None:
    await store.runtimes.commit_session_snapshot("alice", delta("a"))
    before = await rows(store)
    await store.runtimes.commit_session_snapshot("alice", delta("a", meta={"title": "x"}))

    assert await rows(store) == before
    assert await store.runtimes.load_session_snapshot("alice") == envelope("a", meta={"title": "x"})


@pytest.mark.parametrize("older", [[], ["a"], ["a", "b"]])
async def test_an_older_copy_is_superseded_and_changes_nothing(store: Store, older: list[str]) -> None:
    await store.runtimes.commit_session_snapshot("alice", delta("a", "b", "c"))

    with pytest.raises(SnapshotSuperseded):
        await store.runtimes.commit_session_snapshot("alice", delta(*older))

    assert texts(await store.runtimes.load_session_snapshot("alice")) == ["a", "b", "c"]


@pytest.mark.parametrize("other", [["x"], ["a", "x"], ["a", "x", "c"], ["x", "b", "c"], ["a", "x", "c", "d"]])
async def test_another_history_is_a_violation_and_changes_nothing(store: Store, other: list[str]) -> None:
    await store.runtimes.commit_session_snapshot("alice", delta("a", "b", "c"))

    with pytest.raises(ContinuityViolation):
        await store.runtimes.commit_session_snapshot("alice", delta(*other))

    assert texts(await store.runtimes.load_session_snapshot("alice")) == ["a", "b", "c"]


async def test_another_session_is_a_violation_once_there_is_something_to_lose(store: Store) -> None:
    await store.runtimes.commit_session_snapshot("alice", delta(session="first"))
    await store.runtimes.commit_session_snapshot("alice", delta("a", session="second"))

    with pytest.raises(ContinuityViolation):
        await store.runtimes.commit_session_snapshot("alice", delta("a", "b", session="third"))

    assert await store.runtimes.load_session_snapshot("alice") == envelope("a", session="second")


async def test_a_session_of_another_runtime_is_refused(store: Store) -> None:
    await store.runtimes.commit_session_snapshot("alice", delta("a"))

    with pytest.raises(SessionBindingMismatch):
        await store.runtimes.commit_session_snapshot("bob", delta("a", "b"))


async def test_a_rewrite_branches_where_the_paths_part_and_buries_the_rest(store: Store) -> None:
    before, after = snapshot("a", "b", "c"), snapshot("a", "x")
    await store.runtimes.commit_session_snapshot("alice", delta("a", "b", "c"))
    commit = rewrite(before, after)

    await store.runtimes.commit_session_transcript_rewrite_snapshot("alice", delta("a", "x"), commit)

    stored = await store.runtimes.load_session_snapshot("alice")
    assert stored is not None
    assert decode_snapshot(stored).rewrites == (commit,)
    assert texts(stored) == ["a", "x"]
    assert (await rows(store))[1:] == (4, 2)


async def test_a_rewrite_from_another_revision_names_both(store: Store) -> None:
    await store.runtimes.commit_session_snapshot("alice", delta("a", "b"))
    commit = rewrite(snapshot("a"), snapshot("x"))

    with pytest.raises(TranscriptRevisionConflict) as caught:
        await store.runtimes.commit_session_transcript_rewrite_snapshot("alice", delta("x"), commit)

    assert (caught.value.expected, caught.value.actual) == (snapshot("a").revision, snapshot("a", "b").revision)
    assert texts(await store.runtimes.load_session_snapshot("alice")) == ["a", "b"]


async def test_a_rewrite_of_nothing_is_a_conflict_with_nothing(store: Store) -> None:
    commit = rewrite(snapshot("a"), snapshot("x"))

    with pytest.raises(TranscriptRevisionConflict) as caught:
        await store.runtimes.commit_session_transcript_rewrite_snapshot("alice", delta("x"), commit)

    assert caught.value.actual is None


async def test_a_rewrite_of_another_session_is_refused(store: Store) -> None:
    await store.runtimes.commit_session_snapshot("alice", delta("a"))
    commit = rewrite(snapshot("a"), snapshot("x"))

    with pytest.raises(SessionKeyMismatch):
        await store.runtimes.commit_session_transcript_rewrite_snapshot("alice", delta("x", session="other"), commit)


async def test_a_rewrite_that_leads_elsewhere_than_its_snapshot_is_invalid(store: Store) -> None:
    await store.runtimes.commit_session_snapshot("alice", delta("a"))
    commit = rewrite(snapshot("a"), snapshot("x"))

    with pytest.raises(InvalidSnapshot):
        await store.runtimes.commit_session_transcript_rewrite_snapshot("alice", delta("y"), commit)


async def test_a_snapshot_may_not_forget_rewrites(store: Store) -> None:
    await store.runtimes.commit_session_snapshot("alice", delta("a"))
    commit = rewrite(snapshot("a"), snapshot("x"))
    await store.runtimes.commit_session_transcript_rewrite_snapshot("alice", delta("x"), commit)

    with pytest.raises(ContinuityViolation):
        await store.runtimes.commit_session_snapshot("alice", delta("x", "y"))

    going_on = encode_snapshot(snapshot("x", "y", rewrites=(commit,)))
    await store.runtimes.commit_session_snapshot("alice", SessionDelta(session_snapshot=going_on))
    assert await store.runtimes.load_session_snapshot("alice") == going_on


async def test_audited_rewrites_lead_from_the_stored_path_to_a_new_one(store: Store) -> None:
    first, second, third = snapshot("a", "b"), snapshot("x"), snapshot("x", "y")
    await store.runtimes.commit_session_snapshot("alice", delta("a", "b"))
    chain = (rewrite(first, second), rewrite(second, third))
    given = encode_snapshot(snapshot("x", "y", "z", rewrites=chain))

    await store.runtimes.commit_session_snapshot("alice", SessionDelta(session_snapshot=given))

    assert await store.runtimes.load_session_snapshot("alice") == given


async def test_a_clear_empties_the_head_without_quarantine_and_may_be_repeated(store: Store) -> None:
    await store.runtimes.clear_session_snapshot("nobody")
    await store.runtimes.commit_session_snapshot("alice", delta("a", "b"))
    before = await rows(store)

    await store.runtimes.clear_session_snapshot("alice")
    await store.runtimes.clear_session_snapshot("alice")

    assert await store.runtimes.load_session_snapshot("alice") is None
    assert not await store.runtimes.is_runtime_projection_quarantined("alice")
    revision, nodes, buried = await rows(store)
    assert (nodes, buried) == (2, 2)
    assert revision > before[0]


async def test_a_head_revision_never_goes_back(store: Store) -> None:
    seen: list[int] = []
    runtimes = store.runtimes
    await runtimes.commit_session_snapshot("alice", delta("a"))
    seen.append((await rows(store))[0])
    await runtimes.replace_session_snapshot_if_current("alice", envelope("a"), envelope("x", "y"))
    seen.append((await rows(store))[0])
    await runtimes.clear_session_snapshot("alice")
    seen.append((await rows(store))[0])
    await runtimes.commit_session_snapshot("alice", delta("b"))
    seen.append((await rows(store))[0])

    assert seen == sorted(set(seen))


async def test_a_replacement_needs_the_expected_snapshot(store: Store) -> None:
    runtimes = store.runtimes
    assert not await runtimes.replace_session_snapshot_if_current("alice", envelope("a"), envelope("b"))

    await runtimes.commit_session_snapshot("alice", delta("a", meta={"v": 1}))
    for wrong in (envelope("a"), envelope("a", "b", meta={"v": 1}), envelope("a", session="x", meta={"v": 1}), b"junk"):
        assert not await runtimes.replace_session_snapshot_if_current("alice", wrong, envelope("z"))
    assert await runtimes.replace_session_snapshot_if_current("alice", envelope("a", meta={"v": 1}), envelope("z"))

    assert await runtimes.load_session_snapshot("alice") == envelope("z")


async def test_a_replacement_may_name_another_session(store: Store) -> None:
    await store.runtimes.commit_session_snapshot("alice", delta("a"))

    assert await store.runtimes.replace_session_snapshot_if_current(
        "alice", envelope("a"), envelope("b", session="another")
    )
    assert await store.runtimes.load_session_snapshot("alice") == envelope("b", session="another")

    assert await store.runtimes.replace_session_snapshot_if_current(
        "alice", envelope("b", session="another"), envelope("c")
    )
    assert await store.runtimes.load_session_snapshot("alice") == envelope("c")


async def test_a_replacement_that_is_no_envelope_is_refused_first(store: Store) -> None:
    with pytest.raises(InvalidSnapshot):
        await store.runtimes.replace_session_snapshot_if_current("alice", b"anything", b"junk")


async def test_a_conditional_clear_sets_the_quarantine_and_any_write_lifts_it(store: Store) -> None:
    runtimes = store.runtimes
    await runtimes.commit_session_snapshot("alice", delta("a"))
    assert not await runtimes.clear_session_snapshot_if_current("alice", envelope("b"))
    assert not await runtimes.is_runtime_projection_quarantined("alice")

    assert await runtimes.clear_session_snapshot_if_current("alice", envelope("a"))
    assert await runtimes.is_runtime_projection_quarantined("alice")
    assert await runtimes.load_session_snapshot("alice") is None
    assert not await runtimes.clear_session_snapshot_if_current("alice", envelope("a"))

    await runtimes.commit_session_snapshot("alice", delta("b"))
    assert not await runtimes.is_runtime_projection_quarantined("alice")


async def test_a_quarantine_is_of_one_runtime(store: Store) -> None:
    await store.runtimes.commit_session_snapshot("alice", delta("a"))
    await store.runtimes.clear_session_snapshot_if_current("alice", envelope("a"))

    assert not await store.runtimes.is_runtime_projection_quarantined("bob")


async def test_a_message_over_the_limit_is_refused(store: Store) -> None:
    huge = SessionSnapshot(session_id=snapshot().session_id, messages=(bytes(store.limits.payload_bytes + 1),))

    with pytest.raises(PayloadTooLarge):
        await store.runtimes.commit_session_snapshot("alice", SessionDelta(session_snapshot=encode_snapshot(huge)))


@pytest.mark.parametrize("data", [b"", b"{}", b"null", b"\x80", b"\xc1", envelope("a")[:-1], envelope("a") + b"\0"])
def test_bytes_that_are_no_envelope_are_invalid(data: bytes) -> None:
    with pytest.raises(InvalidSnapshot):
        decode_snapshot(data)


@pytest.mark.parametrize(
    "change",
    [
        {"tenure_snapshot": 2},
        {"tenure_snapshot": "1"},
        {"revision": "0" * 64},
        {"messages": [b"b"]},
        {"session_id": ""},
        {"meta": b"[]"},
        {"meta": b"{"},
        {"rewrites": [{"parent_revision": "x", "revision": "y"}]},
        {"rewrites": [{"parent_revision": "0" * 64, "revision": "1" * 64}]},
    ],
)
def test_an_envelope_that_contradicts_itself_is_invalid(change: dict[str, object]) -> None:
    fields = msgspec.msgpack.decode(envelope("a")) | change

    with pytest.raises(InvalidSnapshot):
        decode_snapshot(msgspec.msgpack.encode(fields))


def test_equal_snapshots_have_equal_bytes() -> None:
    assert envelope("a", meta={"x": 1, "y": 2}) == envelope("a", meta={"y": 2, "x": 1})


def test_a_rewrite_value_shows_where_it_leads() -> None:
    commit = TranscriptRewriteCommit(parent_revision="0" * 64, revision="1" * 64)

    assert commit.reason is None
