"""The power cut at every write of sealing and rekeying: whatever was stored is there, readable, and comes under the new key."""

from __future__ import annotations

from functools import partial

import pytest
from attrs import evolve, frozen

import tenure
from tenure.crypto import AesGcm
from tenure.persistence.contracts.sealing import rekeying
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.upkeep.verify import verify_runtime
from tenure.testing import History, Machine, PowerCut, Witness
from tests.kit.sealing import ONE, TWO
from tests.kit.shares import few
from tests.persistence.contracts.owners.owned import Owner, live

pytestmark = [pytest.mark.sqlite("a disk that forgets"), pytest.mark.slow]

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

    report = PowerCut(scenario=scenario, check=scenario.check, budget=few(60, 2)).run()

    assert report.images
