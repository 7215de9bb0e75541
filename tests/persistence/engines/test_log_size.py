"""The log beside a reader that holds a view: it grows, which can be seen, and shrinks when the reader has left."""

from __future__ import annotations

from pathlib import Path

import pytest

import tenure
from tenure.persistence.opening import open_store
from tests.kit.stores import message, own
from tests.persistence.engines.test_neighbours import READER, child, tell

OPTIONS = tenure.SqliteOptions(wal_pages=50)
PAGE = 4096
SOON = 40
"""So many groups until the log is short again."""


@pytest.mark.process
async def test_a_log_that_a_reader_pinned_is_short_again_soon_after_it_left(tmp_path: Path) -> None:
    path, log = tmp_path / "agents.db", tmp_path / "agents.db-wal"
    async with open_store(path, seams=tenure.Seams(engine=OPTIONS)) as store:
        await own(store)
        with child(READER, str(path)) as reader:
            assert tell(reader, "BEGIN") == "[]"
            assert tell(reader, "SELECT count(*) FROM hosts").startswith("[")
            for number in range(60):
                await store.commit(message(store, f"m-{number}", payload=b'"%s"' % (b"x" * 40_000)))
            long = log.stat().st_size
            assert long > 10 * OPTIONS.wal_pages * PAGE
            assert store.statistics().log_pages > 10 * OPTIONS.wal_pages
            assert tell(reader, "COMMIT") == "[]"
        for number in range(SOON):
            await store.commit(message(store, f"small {number}"))

        assert log.stat().st_size <= 3 * OPTIONS.wal_pages * PAGE < long
        assert store.statistics().log_pages < 3 * OPTIONS.wal_pages


@pytest.mark.process
async def test_while_a_reader_stays_not_every_group_pays_for_a_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    async with open_store(path, seams=tenure.Seams(engine=OPTIONS)) as store:
        await own(store)
        with child(READER, str(path)) as reader:
            assert tell(reader, "BEGIN") == "[]"
            assert tell(reader, "SELECT count(*) FROM hosts").startswith("[")
            for number in range(20):
                await store.commit(message(store, f"m-{number}", payload=b'"%s"' % (b"x" * 40_000)))
            synced = [path.stat().st_mtime_ns]
            for number in range(48):
                await store.commit(message(store, f"small {number}"))
                synced.append(path.stat().st_mtime_ns)

            assert len(set(synced)) < 12
