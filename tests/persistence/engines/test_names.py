"""Hosts and newcomers compare the files they have open with those that have the names now."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import apsw
import pytest
import trio

import tenure
from tenure.errors import CannotOpen, Corrupt, StoreBroken
from tenure.persistence.engines.sqlite.files.names import Names, check_alone, check_joins
from tenure.persistence.engines.sqlite.opening.preflight import (
    BESIDE,
    COPY_SUFFIX,
    is_connected,
)
from tenure.persistence.engines.sqlite.system.files import OsFiles, is_settled
from tenure.persistence.engines.sqlite.system.locks import OsLocks
from tenure.persistence.opening import open_store
from tenure.persistence.store import ground_of
from tenure.persistence.upkeep.backup import back_up, restore
from tenure.persistence.upkeep.look import look_into
from tenure.persistence.upkeep.promoting.promote import promote
from tests.kit.ground import host_key
from tests.kit.seen import open_seen_store
from tests.kit.stores import landed, message, own
from tests.persistence.contracts.damage import execute

SHORT = tenure.Limits(busy_s=0.0)


async def _open(path: Path) -> None:
    async with open_store(path, limits=SHORT):
        pass


async def _look(path: Path) -> None:
    async with look_into(path):
        pass


async def _copy(path: Path) -> None:
    await back_up(path, path.with_name("copy.db"))


def beside(path: Path, end: str) -> Path:
    return path.with_name(path.name + end)


def replace(name: Path) -> None:
    copy = name.with_name("put-there")
    copy.write_bytes(name.read_bytes())
    copy.rename(name)


# --- Who joins


@pytest.mark.parametrize("newcomer", [_open, _look, _copy])
@pytest.mark.parametrize("happens", [Path.unlink, replace])
@pytest.mark.parametrize("end", ["-lock", "-wal", "-shm"])
async def test_a_newcomer_refuses_where_a_name_leads_elsewhere_and_the_host_acknowledges_nothing_more(
    tmp_path: Path, end: str, happens: Callable[[Path], None], newcomer: Callable[[Path], Awaitable[None]]
) -> None:
    path = tmp_path / "agents.db"
    async with open_store(path) as store:
        await own(store)
        await store.commit(message(store, "m-1"))
        happens(beside(path, end))

        with pytest.raises(CannotOpen, match="removed or replaced while another process has it open"):
            await newcomer(path)

        with pytest.raises(StoreBroken):
            await store.commit(message(store, "m-2"))

    async with open_store(path) as store:
        assert "m-1" in await landed(store, "m-1", "m-2")


async def test_what_was_in_a_log_that_was_removed_is_in_the_database_when_the_host_has_looked(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    async with open_store(path) as store:
        await own(store)
        await store.commit(message(store, "m-1"))
        for end in ("-wal", "-shm", "-lock"):  # as `rm agents.db-*` does
            beside(path, end).unlink()
        with pytest.raises(StoreBroken):
            await store.commit(message(store, "m-2"))

    async with open_store(path) as store:
        assert await landed(store, "m-1") == ["m-1"]


async def test_a_lock_that_was_removed_is_no_hindrance_once_its_hosts_are_gone(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    async with open_store(path) as store:
        await own(store)
        await store.commit(message(store, "m-1"))
    beside(path, "-lock").unlink()

    async with open_store(path) as store:
        assert await landed(store, "m-1") == ["m-1"]


async def test_a_reader_of_another_program_does_not_keep_a_host_from_being_alone(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    await _open(path)
    beside(path, "-lock").unlink()
    other = apsw.Connection(str(path))
    try:
        other.execute("SELECT count(*) FROM hosts").fetchall()
        assert is_connected(str(path), None)
        await _open(path)
    finally:
        other.close()
    assert not is_connected(str(path), None)


async def test_a_name_that_is_put_back_is_as_good_as_never_moved(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    async with open_store(path) as store:
        await own(store)
        beside(path, "-lock").rename(beside(path, "-aside"))
        beside(path, "-aside").rename(beside(path, "-lock"))
        await _open(path)
        await store.commit(message(store, "m-1"))
        assert await landed(store, "m-1") == ["m-1"]


# --- The lock of a host


@pytest.mark.parametrize("happens", [Path.unlink, replace])
async def test_a_host_whose_own_lock_was_removed_or_replaced_is_not_taken_for_dead(
    tmp_path: Path, happens: Callable[[Path], None]
) -> None:
    path = tmp_path / "agents.db"
    async with open_store(path) as first, open_store(path) as second:
        ((files,),) = await first.read(
            lambda statements: [row[3:4] for row in statements.all("ownership.other_hosts", host=host_key(first))]
        )
        happens(beside(path, f"-host-{second.incarnation}"))

        assert not ground_of(first).proofs.seize(second.incarnation, files)
        await own(second)


# --- Links and files that were planted


@pytest.mark.parametrize("link", [os.symlink, os.link])
async def test_a_lock_that_is_a_link_is_refused_and_what_it_names_is_left_alone(
    tmp_path: Path, link: Callable[[Path, Path], None]
) -> None:
    path, victim = tmp_path / "agents.db", tmp_path / "victim"
    victim.write_text("mine")
    link(victim, beside(path, "-lock"))

    with pytest.raises(CannotOpen):
        await _open(path)

    assert victim.read_text() == "mine"
    assert not path.exists()


async def test_a_link_that_leads_nowhere_is_refused_too(tmp_path: Path) -> None:
    path, target = tmp_path / "agents.db", tmp_path / "elsewhere"
    beside(path, "-lock").symlink_to(target)
    with pytest.raises(CannotOpen):
        await _open(path)
    assert not target.exists()


def plant(kind: str, name: Path, victim: Path) -> None:
    """Put something under a name of the store."""
    if kind == "a link":
        name.symlink_to(victim)
    elif kind == "a link that leads nowhere":
        name.symlink_to(victim.with_name("nowhere"))
    elif kind == "a second name":
        name.hardlink_to(victim)
    elif kind == "a folder":
        name.mkdir()
    else:
        os.mkfifo(name)


KINDS = ("a link", "a link that leads nowhere", "a second name", "a folder", "a pipe")
# The copy of a log has two names for a moment, and is read and never written through.
PLANTED = [(kind, end) for kind in KINDS for end in BESIDE if (kind, end) != ("a second name", COPY_SUFFIX)]


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize(("kind", "end"), PLANTED)
async def test_what_is_planted_at_a_name_beside_a_store_is_refused_and_left_alone(
    tmp_path: Path, kind: str, end: str, *, there: bool
) -> None:
    path, victim = tmp_path / "agents.db", tmp_path / "victim"
    victim.write_text("mine")
    if there:
        await _open(path)
    beside(path, end).unlink(missing_ok=True)
    plant(kind, beside(path, end), victim)

    with pytest.raises(CannotOpen, match=re.escape(end)), trio.fail_after(20):
        await _open(path)

    assert victim.read_text() == "mine"
    assert not victim.with_name("nowhere").exists()
    assert path.exists() is there


@pytest.mark.parametrize("end", BESIDE)
async def test_what_is_planted_beside_the_target_of_a_restore_is_refused(tmp_path: Path, end: str) -> None:
    path, backup, target = tmp_path / "agents.db", tmp_path / "backup.db", tmp_path / "restored.db"
    await _open(path)
    await back_up(path, backup)
    plant("a link that leads nowhere", beside(target, end), tmp_path / "victim")

    with pytest.raises(CannotOpen, match=re.escape(end)):
        await restore(backup, target)
    assert not (tmp_path / "nowhere").exists()
    assert not target.exists()


def test_a_pipe_is_no_lock(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "lock")
    with pytest.raises(OSError, match="its own file"):
        OsLocks().acquire(str(tmp_path / "lock"), exclusive=True)


def test_a_lock_that_is_made_is_new_and_one_that_is_sought_is_there(tmp_path: Path) -> None:
    path, locks = str(tmp_path / "lock"), OsLocks()
    with pytest.raises(FileNotFoundError):
        locks.find(path)
    made = locks.make(path)
    with pytest.raises(FileExistsError):
        locks.make(path)
    assert locks.find(path) is None
    assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600
    made.release()
    found = locks.find(path)
    assert found is not None
    assert found.identity == OsFiles().identity(path)


# --- Decisions, and the stamp that makes a look cheap


def names(**changed: str) -> Names:
    return Names(**{"database": "1:1", "lock": "1:2", "log": "1:3", "shm": "1:4", **changed})


def test_names_are_read_back_as_they_were_written() -> None:
    assert Names.read(f"{names().text} proof=1:9") == names()
    assert Names.noted(names().note) == names()
    assert Names.read("lock=1:2") is None
    assert Names.noted(b"") is None


@pytest.mark.parametrize("other", ["database", "lock", "log", "shm"])
def test_who_joins_needs_the_files_of_every_living_host(other: str) -> None:
    check_joins("a.db", names(), [names(), names()])
    for theirs in (names(**{other: "2:2"}), None):
        with pytest.raises(CannotOpen):
            check_joins("a.db", names(), [names(), theirs])


def test_hosts_that_hold_the_very_lock_that_is_ours_alone_are_dead() -> None:
    check_alone("a.db", "1:2", [names(), names(log="5:5")])
    for theirs in (names(lock="2:2"), None):
        with pytest.raises(CannotOpen):
            check_alone("a.db", "1:2", [names(), theirs])


@pytest.mark.parametrize("newcomer", [_open, _look, _copy])
@pytest.mark.parametrize("damaged", ["CAST(x'ff3d' AS TEXT)", "'nonsense'", "x'ff'", "5"])
async def test_a_row_of_a_host_that_was_damaged_is_damage_and_no_removed_file(
    tmp_path: Path, damaged: str, newcomer: Callable[[Path], Awaitable[None]]
) -> None:
    path = tmp_path / "agents.db"
    async with open_seen_store(path) as store:
        await own(store)
        await execute(store, f"UPDATE hosts SET files = {damaged}")

        with pytest.raises(Corrupt, match="host"):
            await newcomer(path)

        await store.commit(message(store, "m-1"))
    async with open_store(path) as store:
        assert await landed(store, "m-1") == ["m-1"]


def test_a_stamp_counts_only_when_no_later_change_can_have_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files, folder = OsFiles(), str(tmp_path)
    (tmp_path / "a").touch()
    assert files.names_stamp(folder) is None  # a change in the next moment might not be seen in it

    now = time.time_ns()
    monkeypatch.setattr(time, "time_ns", lambda: now + 10_000_000_000)
    quiet = files.names_stamp(folder)
    assert quiet is not None
    assert quiet == files.names_stamp(folder)
    (tmp_path / "moved").mkdir()
    assert quiet != files.names_stamp(str(tmp_path / "moved"))


@pytest.mark.parametrize(("stamp_ns", "settles_ns"), [(7_000_000_000, 3_000_000_000), (7_004_000_123, 100_000_000)])
def test_a_stamp_counts_later_where_it_may_come_from_a_coarse_clock(stamp_ns: int, settles_ns: int) -> None:
    assert not is_settled(stamp_ns, stamp_ns - 1_000_000_000)  # the clock was set back
    assert not is_settled(stamp_ns, stamp_ns + settles_ns)
    assert is_settled(stamp_ns, stamp_ns + settles_ns + 1)


# --- The folder of attachments, and new stores


def names_in(folder: Path) -> set[str]:
    return {each.name for each in folder.iterdir()}


async def _attach(path: Path) -> None:
    async with open_store(path, limits=SHORT) as store:
        await store.attachments.commit_refs("s", [await store.attachments.put("s", b"mine")])


@pytest.mark.parametrize("kind", ["a link", "a link that leads nowhere", "a file"])
@pytest.mark.parametrize("use", [_open, _look, _copy])
async def test_the_folder_of_attachments_is_a_folder_and_no_link(
    tmp_path: Path, kind: str, use: Callable[[Path], Awaitable[None]]
) -> None:
    path, elsewhere, folder = tmp_path / "agents.db", tmp_path / "elsewhere", tmp_path / "agents.db-attachments"
    await _attach(path)
    await use(path)  # as it should be
    (tmp_path / "copy.db").unlink(missing_ok=True)
    kept = {each.name: each.read_bytes() for each in folder.iterdir()}
    folder.rename(tmp_path / "kept")
    if kind == "a file":
        folder.write_bytes(b"")
    else:
        folder.symlink_to(tmp_path / ("kept" if kind == "a link" else "elsewhere"))

    with pytest.raises(CannotOpen) as caught:
        await use(path)

    assert "agents.db-attachments is a" in str(caught.value)
    assert not elsewhere.exists()
    assert {each.name: each.read_bytes() for each in (tmp_path / "kept").iterdir()} == kept


async def test_nothing_is_attached_through_a_link_that_was_planted_under_an_open_store(tmp_path: Path) -> None:
    path, elsewhere = tmp_path / "agents.db", tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with open_store(path) as store:
        (tmp_path / "agents.db-attachments").symlink_to(elsewhere)
        with pytest.raises(CannotOpen):
            await store.attachments.put("s", b"mine")
    assert not list(elsewhere.iterdir())


@pytest.mark.parametrize("make", [back_up, restore, promote])
async def test_a_store_is_made_at_no_link_that_leads_nowhere(
    tmp_path: Path, make: Callable[[Path, Path], Awaitable[object]]
) -> None:
    path, copy, link = tmp_path / "agents.db", tmp_path / "copy.db", tmp_path / "link.db"
    await _attach(path)
    await back_up(path, copy)
    names = names_in(tmp_path)
    link.symlink_to(tmp_path / "nowhere.db")

    with pytest.raises(CannotOpen):
        await make(copy if make is restore else path, link)

    assert names_in(tmp_path) == {*names, "link.db"}
    await _open(path)  # which has gone nowhere
