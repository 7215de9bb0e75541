"""Power cuts and failing disks at every write of a promotion between files: one of both is open, or none, and all is there."""

from __future__ import annotations

from functools import partial

import pytest

import tenure
from tenure.errors import CannotOpen, DiskFull, PromotionUnfinished, SchemaMismatch, StoreBroken, StorePromoted
from tenure.persistence.engines.choice import door_to
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.upkeep.promoting.ends import glance
from tenure.persistence.upkeep.promoting.promote import promote
from tenure.persistence.upkeep.verify import verify_runtime
from tenure.testing import FaultKind, FaultSweep, History, Machine, Witness
from tenure.testing.power_cut_fixture import PowerCutFixture
from tests.kit.shares import few, share, sparse
from tests.kit.sweeps import run_share
from tests.persistence.contracts.owners.owned import Owner, live

pytestmark = [pytest.mark.sqlite("a disk that forgets"), pytest.mark.slow]

DATA = b"an attachment" * 50
HERE, THERE, ELSEWHERE = "agents.db", "there.db", "elsewhere.db"


async def live_and_move(machine: Machine, witness: Witness) -> None:
    """A life in one file, which moves to another one and goes on."""
    async with tenure.open_store(machine.path(HERE), seams=machine.seams()) as store:
        await live(Owner(store, "ann"), Owner(store, "bob"))
        found = await store.attachments.put("talk", DATA)
        await store.attachments.commit_refs("talk", [found])
        witness.acknowledged("lived", found)
    await promote(machine.path(HERE), machine.path(THERE), seams=machine.seams())
    witness.acknowledged("moved")
    async with tenure.open_store(machine.path(THERE), seams=machine.seams()) as store:
        await store.state.set("a", b"a value")
        witness.acknowledged("went on")


async def opens(machine: Machine, name: str) -> bool:
    """Whether a host opens what is there; nothing is made."""
    if not machine.files.exists(machine.path(name)) or not machine.files.size(machine.path(name)):
        return False
    try:
        if not glance(door_to(machine.path(name), seams=machine.seams())).is_store:
            return False
        async with tenure.open_store(machine.path(name), seams=machine.seams()):
            return True
    except (StorePromoted, PromotionUnfinished, SchemaMismatch):  # the last: its tables were not made yet
        return False


async def check(machine: Machine, history: History) -> None:
    """See `Check`."""
    lived = history.acknowledged("lived")
    if not lived:
        return
    here, there = await opens(machine, HERE), await opens(machine, THERE)
    assert not (here and there)
    if history.acknowledged("moved"):
        assert (here, there) == (False, True)
    moved_to = machine.path(THERE)
    try:
        promotion = await promote(machine.path(HERE), moved_to, seams=machine.seams())
    except PromotionUnfinished:
        # A machine has another root after a crash: for a target that was not whole, the source is a copy at another place.
        assert (here, there) == (True, False)
        moved_to = machine.path(ELSEWHERE)
        promotion = await promote(machine.path(HERE), moved_to, seams=machine.seams())
    assert promotion.was_done is there
    assert not await opens(machine, HERE)
    async with tenure.open_store(moved_to, seams=machine.seams()) as store:
        assert await store.attachments.get("talk", lived[0]) == DATA
        if history.acknowledged("went on"):
            assert await store.state.get("a") == b"a value"
        for name in ("ann", "bob"):
            verified = await store.read(partial(verify_runtime, runtime_id=LogicalRuntimeId(name)))
            assert verified.is_sound, verified.problems


def test_a_power_cut_in_a_promotion_leaves_no_two_stores_and_loses_nothing(power_cut: PowerCutFixture) -> None:
    power_cut(live_and_move, check, images=few(600, 15))


@pytest.mark.parametrize("kind", share([*FaultKind], len(FaultKind)))
def test_a_disk_that_fails_in_a_promotion_leaves_no_two_stores_and_loses_nothing(kind: FaultKind) -> None:
    sweep = FaultSweep(
        scenario=live_and_move,
        check=check,
        errors=(StoreBroken, DiskFull, CannotOpen),
        kinds=(kind,),
        every=sparse(7, 12),
    )

    assert run_share(sweep, len(FaultKind)).faults[kind] >= 1
