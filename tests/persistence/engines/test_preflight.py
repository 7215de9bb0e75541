"""What an open finds out before it touches anything."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Generator
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

import apsw
import pytest

from tenure.errors import (
    CannotOpen,
    Corrupt,
    DiskFull,
    Error,
    InvalidInput,
    NetworkFileSystem,
    NotADatabase,
    SchemaMismatch,
    StoreBroken,
    UnsafeSqlite,
    Unsupported,
    WeakDurability,
)
from tenure.persistence.engines.sqlite.files import mounts as sqlite_mounts
from tenure.persistence.engines.sqlite.files.database import DatabaseFiles
from tenure.persistence.engines.sqlite.files.mounts import file_system_of, parse_darwin, parse_linux
from tenure.persistence.engines.sqlite.opening.preflight import (
    BESIDE,
    check_path,
    check_sqlite_version,
)
from tenure.persistence.engines.sqlite.system.files import OsFiles
from tenure.persistence.engines.sqlite.system.locks import OsLocks
from tenure.persistence.engines.statements import load_statements, schema_files
from tenure.persistence.opening import open_store
from tenure.persistence.store import Store
from tenure.persistence.upkeep.backup import back_up, restore
from tenure.persistence.upkeep.look import look_into
from tests.kit.faulty_vfs import (
    FULL,
    SYNC_ERROR,
    FaultyVfs,
)
from tests.kit.stores import (
    OpenMode,
    landed,
    message,
    own,
)

NOBODY = 65534


async def refusal(target: str | Path, **arguments: str) -> Error:
    """The typed error that an open ends with."""
    with pytest.raises(Error) as caught:
        async with open_store(target, **arguments):  # type: ignore[arg-type]
            pass
    return caught.value


async def fill(path: Path) -> None:
    async with open_store(path) as store:
        await own(store)
        await store.commit(message(store, "m-1"))


def left_beside(path: Path) -> list[str]:
    return sorted(each.name for each in path.parent.iterdir() if each != path)


def everything(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file, by inode and content."""
    return {each.name: (each.stat().st_ino, each.read_bytes()) for each in folder.iterdir()}


def modes(folder: Path) -> dict[str, int]:
    return {each.name: stat.S_IMODE(each.stat().st_mode) for each in folder.iterdir()}


async def test_a_folder_is_no_database(tmp_path: Path) -> None:
    assert isinstance(await refusal(tmp_path), NotADatabase)


async def test_a_missing_folder_is_named(tmp_path: Path) -> None:
    error = await refusal(tmp_path / "none" / "agents.db")

    assert isinstance(error, CannotOpen)
    assert "folder does not exist" in str(error)


@pytest.mark.parametrize("content", [b"hello", b"SQLite format 2\x00", b"x" * 5000])
async def test_a_file_that_is_no_database_is_left_alone(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "agents.db"
    path.write_bytes(content)

    assert isinstance(await refusal(path), NotADatabase)
    assert path.read_bytes() == content
    assert left_beside(path) == []


@pytest.mark.parametrize("journal_mode", ["delete", "wal"])
async def test_a_database_of_another_program_is_left_alone_even_while_it_is_in_use(
    tmp_path: Path, journal_mode: str
) -> None:
    path = tmp_path / "other.db"
    other = apsw.Connection(str(path))
    assert other.pragma("journal_mode", journal_mode) == journal_mode
    other.execute("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)")
    before = everything(tmp_path)

    assert isinstance(await refusal(path), NotADatabase)

    assert everything(tmp_path) == before
    other.execute("INSERT INTO theirs VALUES (2)")
    assert other.execute("SELECT count(*) FROM theirs").fetchone() == (2,)
    other.close()


@pytest.mark.parametrize("kept", [5, 50, 99, 100, 4096, -1])
async def test_a_database_that_was_cut_off_is_corrupt_and_says_so(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "agents.db"
    await fill(path)
    content = path.read_bytes()[:kept]
    path.write_bytes(content)
    path.with_name("agents.db-wal").unlink(missing_ok=True)

    error = await refusal(path)

    assert isinstance(error, Corrupt)
    assert "cut off" in str(error)
    assert path.read_bytes() == content


async def test_a_store_whose_first_page_is_gone_is_corrupt_and_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    async with open_store(path):
        pass
    whole = path.read_bytes()
    path.write_bytes(bytes(4096) + whole[4096:])

    assert isinstance(await refusal(path), Corrupt)

    path.write_bytes(whole)
    async with open_store(path) as store:
        await store.health_check()


async def test_a_log_without_its_database_is_not_thrown_away(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    path.with_name("agents.db-wal").write_bytes(b"precious")

    assert isinstance(await refusal(path), Corrupt)
    path.touch()
    assert isinstance(await refusal(path), Corrupt)
    assert path.with_name("agents.db-wal").read_bytes() == b"precious"


async def test_an_empty_file_becomes_a_store(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    path.touch()
    await fill(path)
    async with open_store(path) as store:
        assert await landed(store, "m-1") == ["m-1"]


@pytest.mark.parametrize("left", [("-lock",), ("-lock", "-wal"), ("-lock", "-wal", "-shm")])
@pytest.mark.parametrize("opened", [open_store, look_into])
async def test_a_store_that_was_emptied_is_never_taken_for_a_new_one(
    tmp_path: Path, left: tuple[str, ...], opened: Callable[[Path], AbstractAsyncContextManager[object]]
) -> None:
    path = tmp_path / "agents.db"
    async with open_store(path):
        pass
    os.truncate(path, 0)
    for end in {"-lock", "-wal", "-shm"} - {*left}:
        path.with_name(f"{path.name}{end}").unlink()

    for _ in range(2):
        with pytest.raises(Corrupt, match="a store was in it"):
            async with opened(path):
                pass
    assert path.stat().st_size == 0


async def test_what_is_made_in_the_place_of_a_removed_store_is_new_also_where_its_maker_dies_at_once(
    tmp_path: Path,
) -> None:
    path = tmp_path / "agents.db"
    async with open_store(path):
        pass
    path.unlink()
    files = DatabaseFiles(str(path), OsFiles(), OsLocks(), shared=True, vfs=None)
    files.prepare()
    files.close()  # as where the process is killed right behind the creation
    assert path.stat().st_size == 0

    async with open_store(path) as store:
        assert await own(store) == 1


async def test_a_newer_schema_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    await fill(path)
    other = apsw.Connection(str(path))
    newest = other.pragma("user_version")
    other.pragma("user_version", newest + 1)
    other.close()

    error = await refusal(path)

    assert isinstance(error, SchemaMismatch)
    assert (error.expected, error.actual) == (newest, newest + 1)


@pytest.fixture
def open_to_all() -> Generator[Path]:
    """A folder that other users reach, unlike that of pytest."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def read_only(open_to_all: Path) -> Path:
    open_to_all.chmod(0o555)
    return open_to_all


@pytest.fixture
def as_nobody() -> Generator[Callable[[], None]]:
    """Give up being root, whom no permission stops; for anybody else nothing."""
    load_statements()  # the package's own files are read as root
    schema_files()

    def drop() -> None:
        if os.geteuid() == 0:
            os.seteuid(NOBODY)

    uid = os.geteuid()
    yield drop
    os.seteuid(uid)


@pytest.mark.parametrize("mode", [0o000, 0o444])
async def test_a_file_without_permission_cannot_be_opened(
    open_to_all: Path, as_nobody: Callable[[], None], mode: int
) -> None:
    path = open_to_all / "agents.db"
    await fill(path)
    path.with_name("agents.db-lock").chmod(0o666)
    path.chmod(mode)
    as_nobody()

    assert isinstance(await refusal(path), CannotOpen)


async def test_a_folder_without_permission_cannot_hold_a_store(read_only: Path, as_nobody: Callable[[], None]) -> None:
    as_nobody()

    assert isinstance(await refusal(read_only / "agents.db"), CannotOpen)


@pytest.mark.parametrize("umask", [0, 0o200, 0o777])
async def test_everything_that_a_store_creates_is_for_its_owner_alone_and_no_umask_takes_it_from_him(
    tmp_path: Path, umask: int
) -> None:
    path = tmp_path / "agents.db"
    before = os.umask(umask)
    try:
        async with open_store(path) as store:
            await own(store)
            await landed(store)
            await store.attachments.put("s", b"report")
            found = modes(tmp_path)
    finally:
        os.umask(before)

    assert found.pop("agents.db-attachments") == 0o700
    assert {"agents.db", "agents.db-wal", "agents.db-shm", "agents.db-lock"} <= found.keys()
    assert set(found.values()) == {0o600}


async def test_an_open_keeps_the_mode_that_an_administrator_gave(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    await fill(path)
    path.chmod(0o660)
    path.with_name("agents.db-wal").unlink(missing_ok=True)
    async with open_store(path) as store:
        await own(store, "b")
    async with open_store(path):
        assert stat.S_IMODE(path.with_name("agents.db-wal").stat().st_mode) == 0o660
    assert stat.S_IMODE(path.stat().st_mode) == 0o660


async def test_a_file_with_two_names_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    await fill(path)
    path.with_name("twin.db").hardlink_to(path)

    assert isinstance(await refusal(path), CannotOpen)
    assert isinstance(await refusal(path.with_name("twin.db")), CannotOpen)


async def test_a_symbolic_link_is_the_same_store_with_the_same_lock(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    link = tmp_path / "link.db"
    link.symlink_to(tmp_path / "real" / "agents.db")
    await fill(link)

    assert left_beside(link) == ["real"]
    async with open_store(tmp_path / "real" / "agents.db") as store:
        assert await landed(store, "m-1") == ["m-1"]


async def test_a_relative_path_stays_the_same_file_wherever_the_process_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with open_store("sqlite:///agents.db") as store:
        await own(store)
        (tmp_path / "elsewhere").mkdir()
        monkeypatch.chdir(tmp_path / "elsewhere")
        await store.commit(message(store, "m-1"))
        assert await landed(store, "m-1") == ["m-1"]
    assert list((tmp_path / "elsewhere").iterdir()) == []


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("", InvalidInput),
        ("a\0b", InvalidInput),
        ("sqlite://host/path", InvalidInput),
        ("mysql://host/path", Unsupported),
    ],
)
async def test_a_target_that_names_no_store_is_refused(target: str, expected: type[Error]) -> None:
    assert isinstance(await refusal(target), expected)


@pytest.mark.parametrize("end", BESIDE)
async def test_a_name_of_a_file_beside_a_store_is_no_name_of_a_store(tmp_path: Path, end: str) -> None:
    path = tmp_path / "agents.db"
    await fill(path)
    beside = path.with_name(path.name + end)

    assert isinstance(await refusal(beside), InvalidInput)
    for copying in (back_up(path, beside), restore(path, beside)):
        with pytest.raises(InvalidInput, match="choose another name"):
            await copying

    async with open_store(path) as store:
        assert await landed(store, "m-1") == ["m-1"]


async def test_a_path_that_sqlite_cannot_be_given_is_refused_and_makes_nothing(tmp_path: Path) -> None:
    assert isinstance(await refusal(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.db")), InvalidInput)
    assert not everything(tmp_path)


async def test_a_name_that_leaves_no_room_for_those_beside_it_is_refused_and_makes_nothing(tmp_path: Path) -> None:
    longest = os.pathconf(tmp_path, "PC_NAME_MAX") - len("-host-") - 36
    await fill(tmp_path / ("x" * longest))
    (tmp_path / "folder").mkdir()

    assert isinstance(await refusal(tmp_path / "folder" / ("x" * (longest + 1))), CannotOpen)
    assert not everything(tmp_path / "folder")


async def test_a_file_has_no_quorum(tmp_path: Path) -> None:
    error = await refusal(tmp_path / "a.db", durability="quorum")
    assert isinstance(error, WeakDurability)
    assert (error.asked, error.given) == ("quorum", "disk")
    assert not everything(tmp_path)


async def test_more_than_memory_can_give_is_weak_durability() -> None:
    assert isinstance(await refusal(":memory:", durability="disk"), WeakDurability)
    assert isinstance(await refusal(":memory:", durability="tape"), InvalidInput)
    async with open_store(":memory:", durability="memory") as store:
        assert store.durability == "memory"


@pytest.mark.parametrize("version", ["3.7.0", "3.44.2", "3.50.4", "3.51.2"])
def test_a_sqlite_that_can_lose_commits_is_refused(version: str) -> None:
    with pytest.raises(UnsafeSqlite) as caught:
        check_sqlite_version(version)
    assert version in str(caught.value)


def test_a_sqlite_that_is_mended_is_taken() -> None:
    check_sqlite_version("3.51.3")
    check_sqlite_version("3.60.0")
    check_sqlite_version("4.0.0")


LINUX = """\
/dev/vda / ext4 rw,relatime 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
/dev/vdb /home/local ext4 rw 0 0
me@host: /mnt/my\\040files fuse.sshfs rw 0 0
tmpfs /home tmpfs rw 0 0
server:/home /home nfs4 rw,vers=4.2 0 0
broken
"""
DARWIN = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
//me@server/share on /Volumes/share (smbfs, nodev, nosuid, mounted by me)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/var/agents.db", "ext4"),
        ("/home/me/agents.db", "nfs4"),
        ("/home/local/agents.db", "ext4"),
        ("/homes/agents.db", "ext4"),
        ("/mnt/my files/agents.db", "fuse.sshfs"),
        ("/home", "nfs4"),
    ],
)
def test_a_path_is_on_the_longest_mount_above_it(path: str, kind: str) -> None:
    assert file_system_of(path, parse_linux(LINUX)) == kind


@pytest.mark.parametrize(("path", "kind"), [("/Users/me/a.db", "apfs"), ("/Volumes/share/a.db", "smbfs")])
def test_a_mount_of_macos_is_read_too(path: str, kind: str) -> None:
    assert file_system_of(path, parse_darwin(DARWIN)) == kind


async def test_a_network_file_system_is_refused_where_the_system_tells(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "mounts"
    table.write_text(f"/dev/vda / ext4 rw 0 0\nserver:/x {tmp_path} cifs rw 0 0\n")
    monkeypatch.setattr(sqlite_mounts, "LINUX_TABLE", table)

    error = await refusal(tmp_path / "agents.db")

    assert isinstance(error, NetworkFileSystem)
    assert error.kind == "cifs"
    assert left_beside(tmp_path / "agents.db") == ["mounts"]


async def test_a_full_disk_at_open_is_told_and_nothing_is_left_locked(open_file: OpenMode, vfs: FaultyVfs) -> None:
    vfs.fail("xWrite", "-wal", FULL)
    with pytest.raises(DiskFull):
        async with open_file(vfs=vfs.vfs_name):
            pass
    vfs.heal()
    async with open_file(vfs=vfs.vfs_name) as store:
        await own(store)


async def test_an_io_error_at_open_is_told_and_nothing_is_left_locked(open_file: OpenMode, vfs: FaultyVfs) -> None:
    vfs.fail("xSync", "-wal", SYNC_ERROR)
    with pytest.raises(StoreBroken):
        async with open_file(vfs=vfs.vfs_name):
            pass
    vfs.heal()
    async with open_file(vfs=vfs.vfs_name) as store:
        await own(store)


async def test_a_store_says_what_it_is(store: Store, open_mode: OpenMode) -> None:
    assert store.name == "sqlite"
    assert not store.requires_network
    assert store.supports_air_gapped
    assert store.durability_tier == ("inline" if open_mode.mode == "memory" else "durable")
    await store.health_check()


@pytest.mark.parametrize("end", ["", "-wal", "-lock"])
async def test_a_file_that_is_mounted_by_itself_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    path = tmp_path / "agents.db"
    await fill(path)
    table = tmp_path / "mounts"
    table.write_text(f"/dev/vda / ext4 rw 0 0\n/dev/vda {path}{end} ext4 rw 0 0\n")
    monkeypatch.setattr(sqlite_mounts, "LINUX_TABLE", table)

    assert isinstance(await refusal(path), CannotOpen)
    with pytest.raises(CannotOpen, match="mounted by itself"):
        async with look_into(path):
            pass
    with pytest.raises(CannotOpen, match="mounted by itself"):
        await back_up(path, tmp_path / "copy.db")


@pytest.fixture
def bound(tmp_path: Path) -> Generator[Path]:
    """A second path, in another folder, at which the database is mounted by itself; only root may."""
    path, other = tmp_path / "agents.db", tmp_path / "container" / "agents.db"
    other.parent.mkdir()
    for each in (path, other):
        each.touch()
    mounted = subprocess.run(["mount", "--bind", str(path), str(other)], check=False, capture_output=True, timeout=20)
    if mounted.returncode:
        pytest.skip(f"cannot mount: {mounted.stderr!r}")
    yield other
    subprocess.run(["umount", str(other)], check=True, timeout=20)


@pytest.mark.process
@pytest.mark.skipif(sys.platform != "linux" or shutil.which("mount") is None, reason="needs bind mounts")
async def test_a_database_that_is_really_bind_mounted_is_refused_at_its_second_path(
    tmp_path: Path, bound: Path
) -> None:
    await fill(tmp_path / "agents.db")

    error = await refusal(bound)

    assert isinstance(error, CannotOpen)
    assert "mount its folder instead" in str(error)
    assert [path.name for path in bound.parent.iterdir()] == ["agents.db"]


def test_a_journal_that_another_host_has_just_removed_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Two hosts that open at once: one undoes, and removes, what the other has seen.
    path = str(tmp_path / "agents.db")
    with closing(apsw.Connection(path)) as connection:
        connection.execute("CREATE TABLE t (a)")

    def seen(_: OsFiles, name: str) -> bool:
        return name.endswith("-journal") or Path(name).exists()

    monkeypatch.setattr(OsFiles, "exists", seen)
    with pytest.raises(NotADatabase):  # another program's, which is what it is to find out
        check_path(path, OsFiles(), None)
