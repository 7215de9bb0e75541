"""A log in which something changed after it was written: what of it is told from a torn tail, and the way on."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import apsw
import pytest
from attrs import frozen

from tenure.errors import Corrupt
from tenure.persistence.engines.sqlite.log.format import FRAME_HEADER_BYTES, HEADER_BYTES, read_frame
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.opening import open_store
from tenure.persistence.upkeep.cut_log import cut_log
from tenure.persistence.upkeep.look import look_into
from tests.kit.stores import landed, message, own

COUNT = 12
PAGE = 4096
FRAME = FRAME_HEADER_BYTES + PAGE
NAMES = ("agents.db", "agents.db-wal", "agents.db-lock")


@frozen(kw_only=True)
class Killed:
    """What a killed host left: twelve messages, each a group of its own; the last token; where commits end in the log."""

    folder: Path
    keys: list[str]
    token: int
    marks: list[int]

    @property
    def path(self) -> Path:
        return self.folder / NAMES[0]

    @property
    def log(self) -> Path:
        return self.folder / NAMES[1]

    @property
    def frames(self) -> int:
        return (self.log.stat().st_size - HEADER_BYTES) // FRAME

    def flip(self, offset: int, bit: int = 0) -> None:
        data = bytearray(self.log.read_bytes())
        data[offset] ^= 1 << bit
        self.log.write_bytes(data)

    def copy(self, folder: Path) -> Killed:
        folder.mkdir(exist_ok=True)
        for name in NAMES:
            if (self.folder / name).exists():
                shutil.copy(self.folder / name, folder)
        return Killed(folder=folder, keys=self.keys, token=self.token, marks=self.marks)


async def killed(folder: Path, durability: DurabilityClass = DurabilityClass.DISK) -> Killed:
    path, left = folder / "live" / NAMES[0], folder / "left"
    path.parent.mkdir()
    keys = [f"m-{number}" for number in range(COUNT)]
    async with open_store(path, durability=durability) as store:
        await own(store)
        for key in keys:
            await store.commit(message(store, key))
        token = await own(store, "b")
        data = path.with_name(NAMES[1]).read_bytes()
        frames = [read_frame(data[at : at + FRAME]) for at in range(HEADER_BYTES, len(data), FRAME)]
        marks = [number for number, frame in enumerate(frames) if frame.commits]
        return Killed(folder=path.parent, keys=keys, token=token, marks=marks).copy(left)


def offset_of(frame: int, within: int) -> int:
    return HEADER_BYTES + frame * FRAME + within


async def opens(left: Killed) -> list[str]:
    async with open_store(left.path) as store:
        return await landed(store, *left.keys)


@pytest.mark.parametrize("within", [0, 5, 9, 17, 22, 30, FRAME - 1])
async def test_a_bit_that_turned_in_the_middle_of_the_log_is_damage_and_changes_nothing(
    tmp_path: Path, within: int
) -> None:
    left = await killed(tmp_path)
    for number, frame in enumerate((0, left.marks[0], left.marks[3] - 1, left.marks[5], left.marks[-2] - 1)):
        one = left.copy(tmp_path / f"one {number}")
        one.flip(offset_of(frame, within))
        before = one.log.read_bytes()

        with pytest.raises(Corrupt, match=f"frame {frame + 1} cannot be read.*tenure cut-log"):
            await opens(one)
        with pytest.raises(Corrupt):
            async with look_into(one.path):
                pass

        assert one.log.read_bytes() == before


@pytest.mark.slow
async def test_whatever_turns_in_a_log_no_message_before_the_last_two_groups_is_lost_in_silence(tmp_path: Path) -> None:
    left = await killed(tmp_path)
    source = random.Random(11)
    refused = 0
    for number in range(60):
        one = left.copy(tmp_path / f"one {number}")
        one.flip(source.randrange(one.log.stat().st_size), source.randrange(8))
        try:
            assert (await opens(one))[: COUNT - 1] == left.keys[: COUNT - 1]  # `own` was the last group
        except Corrupt:
            refused += 1
        shutil.rmtree(one.folder)
    assert refused > 40


@pytest.mark.parametrize("offset", [0, 6, 10, 13, 17, 21, 25, 31])
async def test_a_header_that_cannot_be_read_is_damage_where_the_database_lacks_what_was_behind_it(
    tmp_path: Path, offset: int
) -> None:
    left = await killed(tmp_path)
    left.flip(offset)

    with pytest.raises(Corrupt, match="its header cannot be read, and page"):
        await opens(left)


async def test_a_torn_header_of_a_log_that_was_moved_into_the_database_is_no_damage(tmp_path: Path) -> None:
    left = await killed(tmp_path)
    connection = apsw.Connection(str(left.path))
    connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
    connection.execute("PRAGMA wal_checkpoint(FULL)")
    connection.close()
    for name in ("sector", "header"):
        one = left.copy(tmp_path / name)
        data = bytearray(one.log.read_bytes())
        data[: 512 if name == "sector" else 32] = b"\xa5" * (512 if name == "sector" else 32)
        one.log.write_bytes(data)

        assert await opens(one) == left.keys


@pytest.mark.parametrize("missing", ["everything", "the last frame", "the mark", "all but the mark"])
async def test_a_torn_last_group_is_no_damage(tmp_path: Path, missing: str) -> None:
    left = await killed(tmp_path)
    first, last = left.marks[-2] + 1, left.marks[-1]
    data = bytearray(left.log.read_bytes())
    gone = {
        "everything": range(first, last + 1),
        "the last frame": range(last, last + 1),
        "the mark": range(last, last + 1),
        "all but the mark": range(first, last),
    }[missing]
    for frame in gone:
        data[offset_of(frame, 0) : offset_of(frame + 1, 0)] = bytes(FRAME)
    left.log.write_bytes(data)

    assert await opens(left) == left.keys


async def test_a_log_of_a_host_that_does_not_sync_each_group_has_a_tail_wherever_it_ends(tmp_path: Path) -> None:
    left = await killed(tmp_path, DurabilityClass.OS)
    left.flip(offset_of(left.marks[6], 40))

    kept = await opens(left)

    assert kept == left.keys[: len(kept)]
    assert 0 < len(kept) < COUNT


async def test_once_a_host_that_syncs_was_alone_damage_is_damage_again(tmp_path: Path) -> None:
    left = await killed(tmp_path, DurabilityClass.OS)
    again = tmp_path / "again"
    async with open_store(left.path) as store:
        for key in left.keys:
            await store.commit(message(store, f"again {key}"))
        one = left.copy(again)
    one.flip(one.log.stat().st_size - 20 * FRAME + 100)

    with pytest.raises(Corrupt):
        await opens(one)


async def test_a_damaged_log_is_cut_knowingly_and_no_token_comes_again(tmp_path: Path) -> None:
    left = await killed(tmp_path)
    left.flip(offset_of(left.marks[6], 40))

    done = await cut_log(left.path)

    assert done.cut
    kept = await opens(left)
    assert kept == left.keys[: len(kept)]
    assert 0 < len(kept) < COUNT
    async with open_store(left.path) as store:
        assert await own(store, "c") > left.token + 2**32 - 10
    assert not (await cut_log(left.path)).cut
    assert sorted(each.name for each in left.folder.iterdir() if "cut" in each.name or "copy" in each.name) == []


async def test_tokens_are_raised_by_the_next_open_where_cutting_was_cut_off(tmp_path: Path) -> None:
    left = await killed(tmp_path)
    left.flip(offset_of(left.marks[6], 40))
    cut_off = left.copy(tmp_path / "cut off")
    await cut_log(left.path)
    shutil.copy(left.log, cut_off.log)  # cut, and the mark is there: the process ended before it raised the tokens
    shutil.copy(left.path, cut_off.path)
    cut_off.folder.joinpath("agents.db-cut").touch()

    async with open_store(cut_off.path) as store:
        assert await own(store, "c") > 2 * 2**32
    assert not cut_off.folder.joinpath("agents.db-cut").exists()
