"""Verification of the bytes of attachments: gone, changed and not to be read are three things, and all is well where all is."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

import tenure
from tenure.errors import CannotOpen
from tenure.persistence.engines.blobs import Blobs
from tenure.persistence.engines.engine import UnknownOutcome
from tenure.persistence.facets.attachments.verify import CHANGED, GONE
from tenure.persistence.store import Store, ground_of
from tenure.persistence.upkeep import verify_store
from tenure.persistence.upkeep.look import Look, look_into
from tenure.persistence.upkeep.verify_store import verify_bytes
from tests.kit.sealing import sealed as sealed_seams

CONTENTS = (b"gone", b"changed", b"emptied", b"", b"whole")


def seams(*, sealed: bool) -> tenure.Seams:
    return sealed_seams() if sealed else tenure.Seams()


def put_in_place(blobs: Blobs, attachment_id: str, data: bytes) -> None:
    blobs.begin("by hand")
    if data:
        blobs.write("by hand", 0, data)
    blobs.keep("by hand", attachment_id)


async def fill(store: Store) -> list[str]:
    """Attachments of two sessions, all of them committed; and one that is only meant, whose bytes are not there."""
    ids = [await store.attachments.put(session, data) for data in CONTENTS for session in ("s", "t")]
    for session in ("s", "t"):
        await store.attachments.commit_refs(session, ids)
    meant = await store.attachments.put("s", b"meant")
    ground_of(store).blobs.remove(meant)
    return ids[::2]


async def wrong(look: Look, *, whole: bool) -> list[tuple[str, str]]:
    found = await verify_bytes(look, look.blobs, whole=whole)
    return [(each.key, each.detail) for each in found]


@pytest.mark.parametrize("sealed", [False, True], ids=["clear", "sealed"])
async def test_bytes_that_are_gone_and_bytes_that_were_changed_are_told_apart(tmp_path: Path, *, sealed: bool) -> None:
    path, given = tmp_path / "a.db", seams(sealed=sealed)
    async with tenure.open_store(path, seams=given) as store:
        gone, changed, emptied, _, _ = await fill(store)
        async with look_into(path, seams=given) as look:
            assert [await wrong(look, whole=whole) for whole in (False, True)] == [[], []]
        blobs = ground_of(store).blobs
        for each in (gone, changed, emptied):
            blobs.remove(each)
        put_in_place(blobs, changed, b"CHANGED")
        put_in_place(blobs, emptied, b"")

    async with look_into(path, seams=given) as look:  # and without a host
        assert await wrong(look, whole=False) == [(gone, GONE), (emptied, f"{CHANGED}: none is left")]
        assert await wrong(look, whole=True) == [
            (gone, GONE),
            (changed, CHANGED),
            (emptied, f"{CHANGED}: none is left"),
        ]


async def test_only_so_many_are_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verify_store, "MOST_BYTES", 2)
    async with tenure.open_store(tmp_path / "a.db") as store:
        ids = await fill(store)
        for each in ids:
            ground_of(store).blobs.remove(each)

        found = await verify_bytes(store, ground_of(store).blobs, whole=True)

        assert [(each.key, each.detail) for each in found] == [
            *[(each, GONE) for each in ids[:2]],
            ("", "and 3 more"),
        ]


async def test_bytes_that_cannot_be_read_are_neither_gone_nor_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, path = verify_store.look_at_bytes, tmp_path / "a.db"
    async with tenure.open_store(path) as store:
        ids = await fill(store)

        def look(blobs: Blobs, name: str) -> str | None:
            if name == ids[-1]:
                raise UnknownOutcome("I/O error")
            return asked(blobs, name)

        monkeypatch.setattr(verify_store, "look_at_bytes", look)
        (found,) = await verify_bytes(store, ground_of(store).blobs, whole=True)
        assert (found.key, found.detail) == (ids[-1], "its bytes cannot be read: I/O error")
        monkeypatch.setattr(verify_store, "MOST_FAILED", 1)
        with pytest.raises(CannotOpen):
            await verify_bytes(store, ground_of(store).blobs, whole=True)


def let_go_of(_statements: object, key: int) -> None:
    """The row is gone when it is asked for again."""


async def test_what_is_let_go_of_meanwhile_is_not_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with tenure.open_store(tmp_path / "a.db") as store:
        attachment_id = await store.attachments.put("s", b"data")
        await store.attachments.commit_refs("s", [attachment_id])
        blobs = ground_of(store).blobs
        asked = verify_store.look_at_bytes
        rows = [hashlib.sha256(b"data").hexdigest()]

        def meanwhile(where: Blobs, name: str) -> str | None:
            where.remove(name)
            return asked(where, name)

        monkeypatch.setattr(verify_store, "look_at_bytes", meanwhile)
        assert [each.key for each in await verify_bytes(store, blobs, whole=False)] == rows
        monkeypatch.setattr(verify_store, "committed_id", let_go_of)
        assert await verify_bytes(store, blobs, whole=False) == []
