"""The real store under power cuts and I/O faults, with every kind of commit; and bugs that the kit must see in it."""

# pyright: reportPrivateUsage=false
# The bugs are sown where the store does it right.
from __future__ import annotations

import itertools
import re
from contextlib import suppress
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any, cast

import pytest
import trio

from proof.power_cuts.every_commit import EveryCommit
from proof.power_cuts.invariants import (
    Verdicts,
    open_real,
    store_check,
)
from proof.power_cuts.recovery import Recovery
from proof.power_cuts.watching import watch
from proof.promises.facets import PROOFS, promises
from proof.stories.words import KIND, Words
from tenure.errors import CannotOpen, DiskFull, Internal, StoreBroken
from tenure.persistence.commits import transaction
from tenure.persistence.commits.commit import Commit
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.sqlite import engine as sqlite
from tenure.persistence.engines.sqlite.files.database import DatabaseFiles
from tenure.persistence.engines.sqlite.writer import Writer
from tenure.persistence.facets.catalog import FACETS
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.writing.group import (
    GroupRunner,
    Outcome,
)
from tenure.persistence.writing.host_row import HostRegistry
from tenure.testing import (
    AnswerChanged,
    Cut,
    Fault,
    FaultFailure,
    FaultKind,
    FaultSweep,
    History,
    Machine,
    PowerCut,
    PowerCutFailure,
    PowerCutReport,
    Reopening,
    Witness,
)
from tenure.testing.drive.faults import FaultInjector
from tenure.testing.drive.memory_seams import MemoryFiles
from tenure.testing.observing import inside_of
from tenure.testing.power_cut_fixture import PowerCutFixture
from tests.kit.shares import TURN, few, share, sparse
from tests.kit.sweeps import run_share


def cut(images: int = 400) -> PowerCutReport:
    return PowerCut(scenario=EveryCommit(days=3), check=store_check(), budget=images).run()


def sweep(*kinds: FaultKind, every: int = 1, times: int = 1) -> FaultSweep:
    return FaultSweep(
        scenario=EveryCommit(days=2),
        check=store_check(again=1.0),
        errors=(StoreBroken, DiskFull, CannotOpen),
        kinds=kinds,
        every=every,
        times=times,
    )


MAY_BE_SURVIVED = {FaultKind.DISK_FULL, FaultKind.SHORT_WRITE, FaultKind.FOLDER_SYNC_ERROR}
"""What a scenario goes on from: a full disk is a known outcome, and the folder is synced again behind the incarnation."""


KINDS = list(FaultKind)
"""What can go wrong."""


def _nothing(_self: object) -> None:
    return


# What holds


@pytest.mark.slow
def test_disk_loses_nothing_that_it_acknowledged_and_leaves_nothing_half(power_cut: PowerCutFixture) -> None:
    power_cut(EveryCommit(), store_check(), images=few(150, 8))


@pytest.mark.slow
def test_the_scenario_commits_every_kind_of_change_that_exists_and_what_is_cached_is_what_is_stored(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(transaction, "RECORDS_KEPT", 4)  # a generation goes with nearly every group
    scenario = EveryCommit(days=1)

    PowerCut(scenario=scenario, check=store_check(), budget=1).run()

    missing = {change.__name__ for facet in FACETS for change in facet.handlers} - {
        each.__name__ for each in scenario.landed
    }
    assert not missing, (
        "add them to the story of their facet, and what they promise to its proof: both stand in the PROOFS of their subject"
    )


def test_every_facet_says_what_must_hold_after_a_power_cut() -> None:
    assert sorted(proof.name for proof in PROOFS) == sorted(facet.name for facet in FACETS)


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "times"), share(itertools.product(KINDS, [1, 10_000]), 13))
def test_after_an_io_error_every_acknowledgement_holds_and_every_doubt_has_a_verdict(
    kind: FaultKind, times: int
) -> None:
    many = kind in {FaultKind.READ_ERROR, FaultKind.WRITE_ERROR, FaultKind.DISK_FULL, FaultKind.SHORT_WRITE}
    some = kind.name.startswith("SYNC")

    report = run_share(sweep(kind, every=sparse(211 if many else 23 if some else 1, 18), times=times), 13)

    assert report.faults[kind] >= 1
    if times == 1 and kind not in MAY_BE_SURVIVED:
        assert sum(report.errors.values()) == report.faults[kind], "an I/O error passed in silence"


@pytest.mark.slow
def test_no_file_is_given_another_name_but_an_attachment_that_of_its_bytes_and_one_of_its_removal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    rename, renamed = MemoryFiles.rename, list[tuple[Path, Path]]()

    def noted(self: MemoryFiles, source: str, target: str) -> None:
        renamed.append((Path(source), Path(target)))
        rename(self, source, target)

    monkeypatch.setattr(MemoryFiles, "rename", noted)
    PowerCut(scenario=EveryCommit(days=few(2, 2)), check=store_check(), budget=20).run()

    assert renamed
    for source, target in renamed:
        assert source.parent == target.parent
        names = f"{source.name} {target.name}"
        assert re.fullmatch(r"made-\S+ [0-9a-f]{64}|([0-9a-f]{64}) taken-[0-9a-f-]+\.\1", names)


@pytest.mark.slow
@pytest.mark.parametrize("kind", share(KINDS, 13))
def test_a_fault_while_a_crash_is_recovered_from_is_told_and_loses_nothing(kind: FaultKind) -> None:
    many = kind in {FaultKind.READ_ERROR, FaultKind.WRITE_ERROR, FaultKind.DISK_FULL, FaultKind.SHORT_WRITE}
    sweep = FaultSweep(
        scenario=Recovery(),
        over=EveryCommit(days=1),
        crashes=4,
        check=store_check(again=1.0),
        errors=(StoreBroken, DiskFull, CannotOpen),
        kinds=(kind,),
        every=sparse(23 if many else 1, 5),
    )

    report = run_share(sweep, 13)

    if kind is FaultKind.RENAME_ERROR:
        assert not report.faults, "an open gives no file another name"
        return
    assert report.faults[kind] >= 1
    if kind not in MAY_BE_SURVIVED:
        assert sum(report.errors.values()) == report.faults[kind], "an I/O error passed in silence"


@pytest.mark.slow
def test_os_loses_nothing_when_only_processes_are_killed() -> None:
    everything = store_check(DurabilityClass.OS, again=0)

    async def check(machine: Machine, history: History) -> None:
        if machine.start.boot == 1:  # no power cut yet
            await everything(machine, history)

    PowerCut(
        scenario=EveryCommit(days=3, durability=DurabilityClass.OS), check=check, budget=few(100, 2), seed=TURN
    ).run()


@pytest.mark.slow
@pytest.mark.parametrize("nth", share(range(1, 6), 5))
def test_a_power_cut_behind_a_folder_that_could_not_be_synced_loses_nothing(nth: int) -> None:
    # SQLite ignores what came of its own sync of the folder: the name of the log may not be on disk.
    async def scenario(machine: Machine, witness: Witness) -> None:
        machine.disk.faults = FaultInjector(Fault(kind=FaultKind.FOLDER_SYNC_ERROR, nth=nth))
        with suppress(StoreBroken, CannotOpen):
            await EveryCommit(days=0)(machine, witness)

    PowerCut(scenario=scenario, check=store_check(), budget=60, seed=TURN).run()


# What it sees


@pytest.mark.slow
@pytest.mark.turns(10)
def test_os_loses_acknowledged_commits_at_a_power_cut() -> None:
    # One crash each: a power cut behind a kill may lose the same.
    durability = DurabilityClass.OS
    scenario = EveryCommit(days=3, durability=durability)
    with pytest.raises(PowerCutFailure, match="acknowledged") as caught:
        PowerCut(scenario=scenario, check=store_check(durability, again=0.0), budget=400).run()

    assert caught.value.image.cut is not Cut.KILL


@pytest.mark.slow
@pytest.mark.turns(10)
def test_an_acknowledgement_before_the_fsync_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    scenario = EveryCommit(days=1)

    async def hasty(machine: Machine, witness: Witness) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(sqlite, "SYNCHRONOUS", dict.fromkeys(DurabilityClass, "NORMAL"))
            await scenario(machine, witness)

    with pytest.raises(PowerCutFailure, match="acknowledged"):
        PowerCut(scenario=hasty, check=store_check(), budget=400).run()


@pytest.mark.slow
@pytest.mark.turns(10)
def test_a_statement_outside_its_savepoint_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Writer, "rollback_to_savepoint", Writer.release)

    # Two facets see it; the order of `PROOFS` says which is asked first.
    seen = r"a message of a refused commit is there|neither the head nor a branch leads to it"
    with pytest.raises(PowerCutFailure, match=seen):
        cut()


@pytest.mark.slow
@pytest.mark.turns(10)
def test_the_next_statement_after_disk_full_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    write, commit_one = Writer.write, GroupRunner._commit
    accepts = count(1)

    def full_in_the_middle(self: Writer, name: str, /, **parameters: Any) -> None:
        # What SQLite does where a statement finds the disk full: the whole transaction is gone.
        if name == "inputs.insert_payload" and next(accepts) % 5 == 0:
            self.rollback()
            raise DiskFull
        write(self, name, **parameters)

    def commit_and_go_on(self: GroupRunner, tx: Transaction, commit: Commit) -> Outcome:
        try:
            return commit_one(self, tx, commit)
        except DiskFull as exc:
            return exc

    async def on_a_small_disk(machine: Machine, witness: Witness) -> None:
        # Side by side, for only what shares a group with the full disk lands outside; COMMIT finds no transaction then.
        async with open_real(machine, DurabilityClass.DISK) as store:
            watch(inside_of(store), witness, promises, set())
            words = Words(store, machine, witness)
            for day in range(5):
                async with trio.open_nursery() as nursery:
                    for name in ("first", "second", "third"):
                        nursery.start_soon(partial(words.accept, "newt", f"{name} of day {day}", kind=KIND))

    async def until_it_breaks(machine: Machine, witness: Witness) -> None:
        with suppress(StoreBroken, Internal, ExceptionGroup):
            await on_a_small_disk(machine, witness)

    monkeypatch.setattr(Writer, "write", full_in_the_middle)
    PowerCut(scenario=on_a_small_disk, check=store_check(), budget=150).run()
    assert next(accepts) > 5
    monkeypatch.setattr(GroupRunner, "_commit", commit_and_go_on)

    with pytest.raises(PowerCutFailure, match="the rows are not those"):
        PowerCut(scenario=until_it_breaks, check=store_check(), budget=150).run()


@pytest.mark.slow
@pytest.mark.turns(10)
def test_a_verdict_before_the_incarnation_is_on_disk_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    register = HostRegistry._register

    def register_in_the_page_cache(self: HostRegistry, **arguments: Any) -> Any:
        db: Any = cast("Any", self._connection)._db
        db.pragma("synchronous", "NORMAL")
        try:
            return register(self, **arguments)
        finally:
            db.pragma("synchronous", "FULL")

    monkeypatch.setattr(HostRegistry, "_register", register_in_the_page_cache)
    monkeypatch.setattr(DatabaseFiles, "_recover_log", _nothing)

    verdicts = Reopening(open_store=open_real, invariants=[Verdicts()])
    with pytest.raises(PowerCutFailure) as caught:
        PowerCut(scenario=EveryCommit(days=1), check=verdicts, budget=1_000).run()

    assert isinstance(caught.value.__cause__, AnswerChanged)


@pytest.mark.slow
@pytest.mark.turns(10)
def test_a_log_that_is_not_written_again_after_a_failed_fsync_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(DatabaseFiles, "_recover_log", _nothing)

    with pytest.raises(FaultFailure) as caught:
        sweep(FaultKind.SYNC_LOST, every=3).run()

    assert isinstance(caught.value.__cause__, AnswerChanged)


@pytest.mark.slow
@pytest.mark.turns(10)
def test_a_group_that_lands_in_two_transactions_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    commit_one = GroupRunner._commit

    def commit_twice(self: GroupRunner, tx: Any, commit: Any) -> Any:
        tx.savepoints = True  # else a group that is tried again would find itself in the database
        result = commit_one(self, tx, commit)
        self._connection.commit()
        self._connection.begin_unnumbered()
        return result

    monkeypatch.setattr(GroupRunner, "_commit", commit_twice)

    with pytest.raises(PowerCutFailure):
        cut(images=1_000)
