"""Output that is followed in another process: its host hurries, and what it writes is seen soon; the system's marks say so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any, cast, final

import attrs
import pytest
import trio
from trio.testing import MockClock

import tenure
from tenure.persistence.engines.sqlite.options import SqliteOptions
from tenure.persistence.engines.sqlite.system.files import Files, OsFiles
from tenure.persistence.engines.sqlite.system.locks import Lock, OsLocks
from tests.kit.hosting import host, virtual_seams
from tests.kit.processes import running

HOLDER = """
import sys
from tenure.persistence.engines.sqlite.system.locks import OsLocks
lock = OsLocks().acquire(sys.argv[1], exclusive=False)
lock.mark(7, marked=True)
print("marked", flush=True)
sys.stdin.read()
"""


def lock_of(path: Path) -> Lock:
    lock = OsLocks().acquire(str(path), exclusive=False)
    assert lock is not None
    return lock


async def speak(run: tenure.Run) -> None:
    """Say at which moment each word is said."""
    for _ in range(20):
        await run.emit(trio.current_time())
        await trio.sleep(0.5)


OFTEN = tenure.Limits()
"""As hosts look by default: what is tried here is how soon one sees another."""


@pytest.mark.sqlite("a glance at the log of a file")
@pytest.mark.parametrize("everything", [False, True])
async def test_what_another_host_says_is_seen_within_20_ms_by_those_who_follow_it(
    database: Path, autojump_clock: MockClock, *, everything: bool
) -> None:
    async with host(database, {"kind": speak}, limits=OFTEN) as first, host(database, {}, limits=OFTEN) as second:
        alice = await first.spawn("alice", "kind")
        reader = second.follow() if everything else (await second.find("alice")).follow()
        await trio.sleep(1)  # each has seen the other
        late: list[float] = []

        async def read() -> None:
            async for entry in reader:
                if entry.kind is tenure.OutputKind.DATA:
                    late.append(trio.current_time() - entry.value)
                if entry.kind is tenure.OutputKind.ENDED:
                    return

        async with trio.open_nursery() as nursery:
            nursery.start_soon(read)
            await trio.sleep(0.1)
            await alice.accept("go")
    assert len(late) == 20
    assert max(late) < 0.021


@final
class Blind:
    """The system's files, of which none is ever seen to be written."""

    def __getattr__(self, name: str) -> Any:
        return getattr(OsFiles(), name)

    def written_stamp(self, path: str) -> object:
        return "never"


@pytest.mark.sqlite("a glance at the log of a file")
async def test_what_no_glance_sees_is_found_by_the_next_look(database: Path, autojump_clock: MockClock) -> None:
    seams = attrs.evolve(virtual_seams(), engine=SqliteOptions(files=cast("Files", Blind())))
    async with (
        host(database, {"kind": speak}, limits=OFTEN) as first,
        tenure.open_supervisor(database, behaviours={}, seams=seams) as second,
    ):
        alice = await first.spawn("alice", "kind")
        reader = (await second.find("alice")).follow()
        await alice.accept("go")
        late = list[float]()
        while len(late) < 10:
            entry = await anext(reader)
            if entry.kind is tenure.OutputKind.DATA:
                late.append(trio.current_time() - entry.value)
        assert max(late) < 0.08


@pytest.mark.sqlite("a glance at the log of a file")
async def test_only_what_is_followed_hurries_and_only_as_long(database: Path, autojump_clock: MockClock) -> None:
    chunks: dict[str, list[str]] = {}
    async with host(database, {"kind": speak}, limits=OFTEN) as first, host(database, {}, limits=OFTEN) as second:
        tickets = [await (await first.spawn(name, "kind")).accept("go") for name in ("alice", "bob")]
        reader = (await second.find("alice")).follow()
        for _ in range(8):
            await anext(reader)
        for ticket in tickets:
            await ticket.wait_outcome()
        for name in ("alice", "bob"):
            words = [each async for each in first.runtime(name).follow(run_id="none") if each.kind == "data"]
            chunks[name] = [each.position[:16] for each in words]
    shared = {name: [chunks[name].count(each) > 1 for each in chunks[name]] for name in chunks}
    assert not any(shared["alice"][:7])
    assert all(shared["alice"][8:16])
    assert all(shared["bob"][:16])


def test_a_mark_is_seen_by_other_holders_and_stands_against_none(tmp_path: Path) -> None:
    mine, other = lock_of(tmp_path / "lock"), lock_of(tmp_path / "lock")
    mine.mark(7, marked=True)
    assert [mine.is_marked(7), mine.is_marked(None)] == [False, False]
    assert [other.is_marked(7), other.is_marked(8), other.is_marked(None)] == [True, False, True]
    other.mark(7, marked=True)
    assert mine.is_marked(7)
    mine.mark(7, marked=False)
    assert not other.is_marked(None)
    other.release()
    assert not mine.is_marked(None)
    mine.mark(2**62 - 1, marked=True)
    assert mine.upgrade()
    mine.release()
    mine.mark(7, marked=True)
    assert not mine.is_marked(7)


@pytest.mark.slow
@pytest.mark.process
def test_a_mark_dies_with_its_process(tmp_path: Path) -> None:
    mine = lock_of(tmp_path / "lock")
    with running([sys.executable, "-c", HOLDER, tmp_path / "lock"], stdin=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "marked\n"
        assert mine.is_marked(7)
        process.kill()
        process.wait()
        assert not mine.is_marked(None)
    mine.release()


def test_a_stamp_of_a_file_changes_with_what_is_written(tmp_path: Path) -> None:
    files, path = OsFiles(), tmp_path / "log"
    assert files.written_stamp(str(path)) is None
    path.write_bytes(b"one")
    one = files.written_stamp(str(path))
    assert files.written_stamp(str(path)) == one
    path.write_bytes(b"four")
    assert files.written_stamp(str(path)) not in (None, one)
