"""I/O faults at every operation, and what is promised after them."""

from __future__ import annotations

import pytest
from attrs import evolve

from tenure.errors import InvalidInput
from tenure.testing import AnswerChanged, Cut, FaultFailure, FaultKind, FaultSweep, Witness
from tenure.testing.drive.disk import Disk
from tenure.testing.drive.faults import (
    Fault,
    FaultInjector,
)
from tenure.testing.machine import Machine
from tests.kit import sweeps
from tests.kit.sweeps import run_share
from tests.testing.raw_sqlite import (
    Options,
    fault_sweep,
)


@pytest.mark.turns(6)
@pytest.mark.slow
def test_a_store_that_stops_at_the_first_error_keeps_what_it_acknowledged() -> None:
    report = fault_sweep(Options(commits=4)).run()

    assert report.faults[FaultKind.WRITE_ERROR] > 50
    assert report.faults[FaultKind.SYNC_LOST] > 7
    assert report.errors["IOError"] > 50
    assert report.checks == 5 * sum(report.faults.values())


def test_a_store_that_calls_a_failed_commit_refused_is_seen() -> None:
    # The whole transaction is in the page cache: after a kill it is there.
    with pytest.raises(FaultFailure, match="a refused row is there") as caught:
        fault_sweep(Options(commits=4, refuse_at_error=True), FaultKind.SYNC_LOST).run()

    assert caught.value.cut is Cut.KILL


def test_sqlite_acknowledges_although_it_failed_to_sync_the_names_of_log_and_journal() -> None:
    # A power cut then takes the log, or brings back a journal whose rollback empties the database.
    with pytest.raises(FaultFailure, match="acknowledged and lost") as caught:
        fault_sweep(Options(commits=4, sync_folder_again=False), FaultKind.FOLDER_SYNC_ERROR).run()

    assert caught.value.fault.kind is FaultKind.FOLDER_SYNC_ERROR


def test_a_log_that_is_not_written_again_after_a_failed_fsync_loses_what_it_answered() -> None:
    # The reopen reads the lost frames from the page cache, answers by them, and the next power cut takes them away.
    options = Options(commits=4, rescue_log=False)

    with pytest.raises(FaultFailure) as caught:
        fault_sweep(options, FaultKind.SYNC_LOST).run()

    assert isinstance(caught.value.__cause__, AnswerChanged)
    assert caught.value.cut is Cut.KILL


def test_sweeps_that_begin_with_another_operation_each_strike_every_operation_together(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sweeps, "WHOLE", False)
    whole = fault_sweep(Options(commits=2), FaultKind.SYNC_LOST)
    thinned = [run_share(evolve(whole, every=3), kinds=5, turn=turn) for turn in (5, 10, 15)]

    assert sum(each.faults[FaultKind.SYNC_LOST] for each in thinned) == whole.run().faults[FaultKind.SYNC_LOST]


@pytest.mark.parametrize("field", ["crashes", "every", "first", "times"])
def test_a_sweep_that_would_strike_nothing_or_never_end_is_refused(field: str) -> None:
    for count in (0, -1, 1.5, True, None):
        with pytest.raises(InvalidInput, match=field):
            evolve(fault_sweep(Options(commits=1)), **{field: count})


def test_a_share_of_a_sweep_strikes_once_at_least() -> None:
    sweep = evolve(fault_sweep(Options(commits=2), FaultKind.SYNC_LOST), every=1_000)

    assert run_share(sweep, kinds=1, turn=999).faults == {FaultKind.SYNC_LOST: 1}


@pytest.mark.turns(6)
@pytest.mark.slow
def test_a_disk_that_stays_full_refuses_and_loses_nothing() -> None:
    kinds = (FaultKind.DISK_FULL, FaultKind.SHORT_WRITE)

    report = fault_sweep(Options(commits=4), *kinds, times=10_000).run()

    assert report.faults[FaultKind.DISK_FULL] > 50


def test_an_error_that_was_not_declared_is_a_failure() -> None:
    sweep = fault_sweep(Options(commits=2))
    strict = FaultSweep(scenario=sweep.scenario, check=sweep.check, kinds=(FaultKind.SYNC_LOST,))

    with pytest.raises(FaultFailure, match="EIO at fsync, nothing landed, number 1: while it ran"):
        strict.run()


def test_a_fault_strikes_the_nth_operation_of_its_sort_and_as_many_as_it_says() -> None:
    disk = Disk()
    file = disk.create("a")
    disk.faults = injector = FaultInjector(Fault(kind=FaultKind.WRITE_ERROR, nth=2, times=2))

    disk.write(file, 0, b"1")
    disk.truncate(file, 1)
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            disk.write(file, 1, b"2")
    disk.write(file, 1, b"4")

    assert bytes(file.visible) == b"14"
    assert injector.struck == 2


def test_a_short_write_leaves_its_first_bytes_and_says_that_the_disk_is_full() -> None:
    disk = Disk()
    file = disk.create("a")
    disk.faults = FaultInjector(Fault(kind=FaultKind.SHORT_WRITE, nth=1))

    with pytest.raises(OSError, match="No space"):
        disk.write(file, 0, bytes(range(256)))

    assert 0 < file.size < 256
    assert bytes(file.visible) == bytes(range(file.size))


@pytest.mark.parametrize("kind", list(FaultKind))
def test_every_kind_of_fault_strikes_something(kind: FaultKind) -> None:
    async def scenario(machine: Machine, witness: Witness) -> None:
        files = machine.files
        first, second, root = machine.path("a"), machine.path("b"), machine.path("")
        files.write(first, b"1")
        files.write(first, b"2")
        files.read(first)
        files.sync(first)
        files.rename(first, second)
        files.sync_folder(root)
        files.remove(second)

    async def check(machine: Machine, history: object) -> None:
        assert machine.disk.entries().keys() <= {"a", "b"}

    sweep = FaultSweep(scenario=scenario, check=check, kinds=(kind,), errors=(OSError,))

    assert sweep.run().faults[kind] >= 1
