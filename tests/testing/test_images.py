"""Which crash images there are of a recording."""

from __future__ import annotations

import pytest

from tenure.testing.drive.disk import Disk
from tenure.testing.drive.images import (
    Cut,
    Image,
    ImageId,
    images,
)
from tenure.testing.drive.recording import Recording
from tenure.testing.history import Witness


@pytest.fixture
def recording() -> Recording:
    """Two synced writes, a rename, and one write that nobody synced; each sync acknowledged."""
    disk = Disk(recording=True)
    start, witness = disk.after_kill(), Witness(disk)
    file = disk.create("a")
    disk.sync_folder("")
    for number in (1, 2):
        for part in range(3):
            disk.write(file, part * 600, bytes([number]) * 600)
        disk.sync(file)
        witness.acknowledged("write", number)
    disk.rename("a", "b")
    disk.write(file, 0, b"3" * 600)
    return Recording(start=start, operations=tuple(disk.log or ()), events=tuple(witness.events))


def content(image: Image) -> tuple[tuple[str, bytes], ...]:
    disk = image.disk
    return tuple((name, bytes(file.visible)) for name in disk.entries() if (file := disk.find(name)) is not None)


def test_the_same_seed_gives_the_same_images(recording: Recording) -> None:
    first = [(image.id, content(image)) for image in images(recording, 100, 1)]
    second = [(image.id, content(image)) for image in images(recording, 100, 1)]

    assert first == second
    assert [image.id for image in images(recording, 100, 2)] != [each for each, _ in first]


def test_no_image_is_checked_twice(recording: Recording) -> None:
    found = [image for image in images(recording, 1_000, 0) if image.id.cut is not Cut.KILL]
    different = {(content(image), len(recording.history(image.id.after).events)) for image in found}

    # Told by what landed and not by content, which may be equal by chance: here each write repeats the one before.
    assert len(different) > len(found) * 0.9


def test_an_image_follows_from_its_id_alone(recording: Recording) -> None:
    found = [*images(recording, 200, 5)]
    assert len(found) > 100
    for image in found:
        again = ImageId.parse(str(image.id))

        assert again == image.id
        assert again.random().random() == image.id.random().random()


def test_the_same_content_with_more_promised_is_another_image() -> None:
    # As an acknowledgement that comes before the sync: the later image has what breaks it.
    disk = Disk(recording=True)
    start, witness = disk.after_kill(), Witness(disk)
    file = disk.create("a")
    disk.sync_folder("")
    disk.write(file, 0, b"1")
    disk.write(file, 600, b"2")
    witness.acknowledged("both")
    disk.write(file, 1200, b"3")
    recording = Recording(start=start, operations=tuple(disk.log or ()), events=tuple(witness.events))

    promised = {
        len(recording.history(image.id.after).events)
        for image in images(recording, 1_000, 0)
        if content(image) == (("a", b"1"),)
    }

    assert promised == {0, 1}


@pytest.mark.parametrize("budget", [1, 7, 50])
def test_a_budget_is_kept(recording: Recording, budget: int) -> None:
    assert len(list(images(recording, budget, 0))) == budget


def test_a_recording_without_end_of_images_ends_by_itself() -> None:
    disk = Disk(recording=True)
    start = disk.after_kill()
    disk.write(disk.create("a"), 0, b"1")
    recording = Recording(start=start, operations=tuple(disk.log or ()), events=())

    found = list(images(recording, 100_000, 0))

    assert 4 <= len(found) < 40


def test_every_point_is_visited_and_what_is_durable_is_dropped_at_its_last_moment(
    recording: Recording,
) -> None:
    found = list(images(recording, 1_000, 0))
    dropped = [image for image in found if image.id.cut is Cut.NOTHING]

    assert {image.id.after for image in found if image.id.cut is Cut.EVERYTHING} == {
        1, 3, 4, 5, 7, 8, 9, 11, 12,
    }  # fmt: skip
    assert [image.id.after for image in dropped] == [1, 5, 9, 12]
    # With everything that had been acknowledged by then.
    assert [len(recording.history(image.id.after).events) for image in dropped] == [0, 0, 1, 2]


def test_every_kind_of_cut_is_made(recording: Recording) -> None:
    cuts = {image.id.cut for image in images(recording, 1_000, 0)}

    # The names without the data of a point are the names and data of an earlier one: no image of its own.
    assert cuts | {Cut.ENTRIES, Cut.PREFIX} == set(Cut)
    assert Cut.DATA in cuts


def test_an_empty_recording_has_one_image() -> None:
    found = list(images(Recording(start=Disk(), operations=(), events=()), 10, 0))

    assert [str(image.id) for image in found] == ["0-nothing-0"]


def test_a_description_names_files_by_the_names_they_have_by_then(recording: Recording) -> None:
    lines = recording.describe(len(recording.operations))

    assert lines[0] == "     1 create a"
    assert lines[1] == "     2 sync folder /"
    assert "       acknowledged: write 1" in lines
    assert lines[-2:] == ["    11 rename a to b", "    12 write b: 600 bytes at 0"]
    assert recording.describe(2, last=1) == ["     2 sync folder /"]
