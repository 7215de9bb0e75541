"""The power cut sees what it must see, and nothing else."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from tenure.testing import (
    AnswerChanged,
    Check,
    Cut,
    Drive,
    History,
    Machine,
    PowerCut,
    PowerCutFailure,
    Witness,
)
from tenure.testing.saved_image import SavedImage
from tests.testing.raw_sqlite import (
    Options,
    Scenario,
    opening_once,
    power_cut,
    reopening,
)


@pytest.mark.slow
@pytest.mark.turns(6)
def test_sqlite_with_synchronous_full_loses_nothing_that_it_acknowledged() -> None:
    report = power_cut(Options(), budget=3_000).run()

    assert report.images == 3_000
    assert report.acknowledged == 20
    assert set(report.cuts) >= {Cut.KILL, Cut.NOTHING, Cut.EVERYTHING, Cut.SUBSET, Cut.TORN}


def test_sqlite_with_synchronous_normal_loses_acknowledged_commits() -> None:
    with pytest.raises(PowerCutFailure, match="acknowledged and lost") as caught:
        power_cut(Options(synchronous="NORMAL")).run()

    assert "acknowledged: row" in str(caught.value)


def test_sqlite_with_synchronous_normal_survives_a_killed_process() -> None:
    options = Options(synchronous="NORMAL")
    check = _after_kills(opening_once(options))

    report = PowerCut(scenario=Scenario(options), check=check).run()

    assert report.cuts[Cut.KILL] > 100


def test_an_acknowledgement_before_the_commit_is_seen() -> None:
    with pytest.raises(PowerCutFailure, match="acknowledged and lost"):
        power_cut(Options(acknowledge_early=True)).run()


def test_a_commit_in_two_transactions_is_seen() -> None:
    with pytest.raises(PowerCutFailure, match="half a commit"):
        power_cut(Options(two_transactions=True)).run()


def test_a_database_whose_name_was_never_synced_is_seen() -> None:
    # SQLite syncs the folder with the first sync of its log, so only a store that acknowledges without one can lose it.
    options = Options(sync_folder=False, synchronous="OFF", commits=3)

    with pytest.raises(PowerCutFailure, match="acknowledged and lost"):
        power_cut(options).run()


def test_an_answer_given_from_an_unsynced_log_is_seen_to_flip() -> None:
    # After a kill the log is read from the page cache; nothing of it is on disk until somebody puts it there.
    options = Options(rescue_log=False, commit_at_open=False)
    cut = PowerCut(scenario=power_cut(Options()).scenario, check=reopening(options), budget=600)

    with pytest.raises(PowerCutFailure) as caught:
        cut.run()

    assert isinstance(caught.value.__cause__, AnswerChanged)
    assert caught.value.image.cut is Cut.KILL


@pytest.mark.slow
@pytest.mark.turns(6)
def test_sqlite_alone_does_not_hold_on_a_drive_without_powersafe_overwrite() -> None:
    # Recovery ends the log at the commit and not at its padding, so the next write shares a sector with it. SQLite's own VFS
    # never says that a drive is of this kind.
    cut = power_cut(Options(commits=100), budget=6_000)
    harsh = PowerCut(
        scenario=cut.scenario,
        check=cut.check,
        budget=6_000,
        drive=Drive(powersafe_overwrite=False),
    )

    with pytest.raises(PowerCutFailure, match="acknowledged and lost"):
        harsh.run()


@pytest.mark.turns(2)
def test_the_same_seed_gives_the_same_operations_and_images() -> None:
    first, second = _seen(seed=3), _seen(seed=3)

    assert first == second
    assert first != _seen(seed=4)


def test_a_failure_names_the_operations_the_folder_and_the_command(tmp_path: Path) -> None:
    failure = _failure(tmp_path)

    assert failure.folder is not None
    assert failure.folder.parent == tmp_path
    text = str(failure)
    assert "sync agents.db-wal" in text
    assert f"python -m tenure.testing.open_image {failure.folder}" in text
    assert (failure.folder / "files" / "agents.db").read_bytes()[:15] == b"SQLite format 3"


def test_a_saved_image_fails_again_by_itself(tmp_path: Path) -> None:
    failure = _failure(tmp_path)
    assert failure.folder is not None
    saved = SavedImage.load(failure.folder)

    with pytest.raises(AssertionError, match="acknowledged and lost"):
        power_cut(Options(synchronous="NORMAL")).check_saved(saved)


def test_a_saved_image_holds_what_is_unsynced_after_a_kill(tmp_path: Path) -> None:
    async def never(machine: Machine, history: History) -> None:
        assert machine.disk.find("agents.db-wal") is None or not history.events

    cut = power_cut(Options())
    with pytest.raises(PowerCutFailure) as caught:
        PowerCut(scenario=cut.scenario, check=_after_kills(never), save_to=tmp_path).run()

    assert caught.value.folder is not None
    saved = SavedImage.load(caught.value.folder)
    assert saved.disk.unsynced_changes()
    assert saved.id == caught.value.image


def test_a_saved_image_is_as_the_crash_left_it_and_not_as_the_check_did(tmp_path: Path) -> None:
    async def spoil(machine: Machine, history: History) -> None:
        machine.files.write(machine.path("spoiled"), b"")
        raise AssertionError

    with pytest.raises(PowerCutFailure) as caught:
        PowerCut(scenario=Scenario(Options(commits=1)), check=spoil, save_to=tmp_path).run()

    assert caught.value.folder is not None
    assert "spoiled" not in SavedImage.load(caught.value.folder).disk.entries()


def test_a_value_that_cannot_be_pickled_is_said_and_hides_no_failure(tmp_path: Path) -> None:
    async def scenario(machine: Machine, witness: Witness) -> None:
        machine.files.write(machine.path("a"), b"1")
        witness.acknowledged("lambda", lambda: None)

    async def check(machine: Machine, history: History) -> None:
        assert not history.acknowledged("lambda") or machine.files.exists(machine.path("a"))

    with pytest.raises(PowerCutFailure, match="Not saved") as caught:
        PowerCut(scenario=scenario, check=check, save_to=tmp_path).run()

    assert caught.value.folder is None
    assert list(tmp_path.iterdir()) == []


def test_an_error_of_the_scenario_itself_is_raised_as_it_is() -> None:
    async def scenario(machine: Machine, witness: Witness) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        PowerCut(scenario=scenario, check=reopening(Options())).run()


def test_a_report_says_its_seed_and_counts() -> None:
    report = power_cut(Options(commits=2), budget=50, seed=9).run()

    assert report.images == sum(report.cuts.values()) == 50
    assert "50 images" in str(report)
    assert "seed 9" in str(report)


def _failure(folder: Path) -> PowerCutFailure:
    cut = power_cut(Options(acknowledge_early=True))
    with pytest.raises(PowerCutFailure) as caught:
        PowerCut(scenario=cut.scenario, check=cut.check, save_to=folder).run()
    return caught.value


def _seen(seed: int) -> list[bytes]:
    """Every image of a scenario, byte for byte."""
    seen: list[bytes] = []

    async def note(machine: Machine, history: History) -> None:
        disk = machine.disk
        content = [(name, file.visible) for name in disk.entries() if (file := disk.find(name))]
        seen.append(pickle.dumps((content, history.events)))

    cut = power_cut(Options(commits=3))
    PowerCut(scenario=cut.scenario, check=note, budget=200, seed=seed).run()
    return seen


def _after_kills(check: Check) -> Check:
    async def checked(machine: Machine, history: History) -> None:
        if machine.start.boot == 1:
            await check(machine, history)

    return checked
