"""The power cut, and faults of the disk, at writes of a sealed store and while it is sealed anew: what was stored is there.

It is readable, sound to `verify`, and comes under the new key.
"""

from __future__ import annotations

import hashlib
from functools import partial
from typing import Final, final

import pytest
from attrs import evolve, frozen

import tenure
from proof.power_cuts import invariants
from proof.power_cuts.every_commit import EveryCommit
from proof.power_cuts.invariants import Verdicts, WholeState, open_real
from tenure.crypto import AesGcm
from tenure.errors import CannotOpen, DiskFull, StoreBroken
from tenure.persistence.contracts.sealing import rekeying
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.upkeep.verify import verify_runtime
from tenure.persistence.upkeep.verify_store import verify_parts
from tenure.testing import FaultKind, FaultSweep, History, Machine, PowerCut, Reopening, Witness
from tenure.testing.invariants import Invariant
from tests.kit.sealing import ONE, TWO
from tests.kit.shares import TURN, few, share, sparse
from tests.kit.sweeps import run_share
from tests.persistence.contracts.owners.owned import Owner, live

pytestmark = [pytest.mark.sqlite("a disk that forgets"), pytest.mark.slow]

DISK_ERRORS: Final = (StoreBroken, DiskFull, CannotOpen)
"""What a failing disk is told as."""

MANY: Final = {FaultKind.READ_ERROR, FaultKind.WRITE_ERROR, FaultKind.DISK_FULL, FaultKind.SHORT_WRITE}
"""What may strike at thousands of places."""

SOME: Final = {FaultKind.SYNC_LOST, FaultKind.SYNC_LANDED, FaultKind.SYNC_TORN}
"""And at hundreds."""

DATA = b"an attachment" * 50


def opened(machine: Machine, keys: dict[str, bytes] | None) -> tenure.Seams:
    return evolve(machine.seams(wal_pages=60), codec=None if keys is None else AesGcm(keys))


@frozen
class Rekeying:
    """A life with some keys, or in the clear; then a host with others, which rekeys."""

    before: dict[str, bytes] | None
    after: dict[str, bytes]

    async def __call__(self, machine: Machine, witness: Witness) -> None:
        """See `Scenario`."""
        async with tenure.open_store(machine.path(), seams=opened(machine, self.before)) as store:
            await live(Owner(store, "ann"), Owner(store, "bob"))
            found = await store.attachments.put("talk", DATA)
            await store.attachments.commit_refs("talk", [found])
            await store.state.set("a", b"a value")
            witness.acknowledged("lived", found)
        async with tenure.open_store(machine.path(), seams=opened(machine, self.after)) as store:
            rekeyed = await store.rekey()
            assert rekeyed.done
            assert not rekeyed.unreadable
            witness.acknowledged("rekeyed")

    async def check(self, machine: Machine, history: History) -> None:
        """See `Check`."""
        lived = history.acknowledged("lived")
        if not lived:
            return
        today = dict(list(self.after.items())[:1])
        if history.acknowledged("rekeyed"):
            await self._look(machine, today, lived[0])  # the old key is not needed any more
            return
        await self._look(machine, self.after, lived[0])
        async with tenure.open_store(machine.path(), seams=opened(machine, self.after)) as store:
            rekeyed = await store.rekey()
            assert rekeyed.done, rekeyed
            assert not rekeyed.unreadable, rekeyed
        await self._look(machine, today, lived[0])

    async def _look(self, machine: Machine, keys: dict[str, bytes], attachment: str) -> None:
        async with tenure.open_store(machine.path(), seams=opened(machine, keys)) as store:
            assert await store.state.get("a") == b"a value"
            assert await store.attachments.get("talk", attachment) == DATA
            for name in ("ann", "bob"):
                verified = await store.read(partial(verify_runtime, runtime_id=LogicalRuntimeId(name)))
                assert verified.is_sound, verified.problems


@pytest.mark.parametrize("before", [None, ONE], ids=["in the clear", "sealed"])
def test_a_power_cut_while_it_is_sealed_anew_loses_nothing(
    before: dict[str, bytes] | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rekeying, "ROWS", 5)
    scenario = Rekeying(before, ONE if before is None else TWO)

    report = PowerCut(scenario=scenario, check=scenario.check, budget=few(60, 4), seed=TURN).run()

    assert report.images


def stride(kind: FaultKind, many: int) -> int:
    """One fault of so many; every one of a kind that strikes seldom."""
    return sparse(many if kind in MANY else 1, 40 if kind in SOME else 10)


@pytest.mark.parametrize("before", [None, ONE], ids=["in the clear", "sealed"])
@pytest.mark.parametrize("kind", share(list(FaultKind), 6))
def test_a_fault_of_the_disk_while_it_is_sealed_anew_is_told_and_loses_nothing(
    before: dict[str, bytes] | None, kind: FaultKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rekeying, "ROWS", 5)
    scenario = Rekeying(before, ONE if before is None else TWO)

    sweep = FaultSweep(
        scenario=scenario, check=scenario.check, errors=DISK_ERRORS, kinds=(kind,), every=stride(kind, 37)
    )

    assert run_share(sweep, 6).faults[kind]


# Every change that there is, in a sealed store


@final
@frozen
class Unsealed:
    """All that is stored is unsealed, and sound: as an invariant of the proof."""

    name = "unsealed"

    async def ask(self, store: tenure.Store, history: History) -> bool:
        """See `Invariant.ask`."""
        for line in await listed(store):
            verified = await store.read(partial(verify_runtime, runtime_id=LogicalRuntimeId(line)))
            assert verified.is_sound, verified.problems
        for part in await verify_parts(store):
            assert not part.problems, part.problems
        for session_id, attachment_id in history.acknowledged("stamped"):
            data = await store.attachments.get(session_id, attachment_id)
            assert hashlib.sha256(data).hexdigest() == attachment_id, "its bytes are others"
        return True


async def listed(store: tenure.Store) -> list[str]:
    async with store.read_connection() as connection:
        return [name for (name,) in await connection.query("SELECT runtime_id FROM runtimes ORDER BY runtime")]


@pytest.fixture
def all_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every store of a machine has a codec; the promises that read rows past the store cannot be asked then."""
    in_the_clear = Machine.seams

    def seams(self: Machine, *, wal_pages: int = 60) -> tenure.Seams:
        return evolve(in_the_clear(self, wal_pages=wal_pages), codec=AesGcm(ONE))

    monkeypatch.setattr(Machine, "seams", seams)
    monkeypatch.setattr(invariants, "check", _nothing)


def _nothing(_rows: object) -> None:
    return


def every_check() -> Reopening[tenure.Store]:
    asked: list[Invariant[tenure.Store]] = [WholeState(), Verdicts(), Unsealed()]
    return Reopening(open_store=open_real, invariants=asked, again=0.5)


@pytest.mark.usefixtures("all_sealed")
def test_a_power_cut_at_any_change_of_a_sealed_store_leaves_its_groups_whole_and_readable() -> None:
    report = PowerCut(scenario=EveryCommit(days=2), check=every_check(), budget=few(200, 24), seed=TURN).run()

    assert report.images


@pytest.mark.usefixtures("all_sealed")
@pytest.mark.parametrize("kind", share(list(FaultKind), 6))
def test_a_fault_of_the_disk_at_any_change_of_a_sealed_store_loses_nothing(kind: FaultKind) -> None:
    sweep = FaultSweep(
        scenario=EveryCommit(days=1),
        check=every_check(),
        errors=DISK_ERRORS,
        kinds=(kind,),
        every=sparse(101 if kind in MANY else 1, 400 if kind in SOME else 40),
    )

    report = run_share(sweep, 6)

    assert sum(report.faults.values()) == report.faults[kind]
