"""What has come into inboxes since a mark is found whatever was pruned meanwhile."""

from __future__ import annotations

from functools import partial
from itertools import count
from pathlib import Path

import pytest

from tenure import InputId, Seams, Store, open_store
from tenure.persistence.facets.inbox import arrivals
from tenure.persistence.facets.inbox.cancelling import CancelInput
from tests.kit.ground import host_key
from tests.persistence.contracts.owners.owned import Owner


async def _over(owner: Owner, name: str) -> None:
    """An input that has ended."""
    await owner.accept(name)
    key = InputId(owner.named(name))
    await owner.write(CancelInput(runtime_id=owner.runtime_id, input_id=key))


async def _arrived(store: Store, since: arrivals.Mark) -> set[str]:
    found = await store.read(partial(arrivals.arrived, host=host_key(store), since=since))
    return {each.runtime_id for each in found}


async def _owners(store: Store, *names: str) -> list[Owner]:
    owners = [Owner(store, name) for name in names]
    for each in owners:
        await each.own()
    return owners


@pytest.mark.parametrize("later", [1, 3, 4])
async def test_inputs_that_take_the_keys_of_pruned_ones_are_news(later: int, tmp_path: Path) -> None:
    seconds = count(1_700_000_000.0)
    seams = Seams(wall_clock=lambda: next(seconds))
    async with open_store(tmp_path / "agents.db", seams=seams) as store:
        old, *new = await _owners(store, "old", "a", "b", "c", "d")
        for number in range(3):
            await _over(old, f"over {number}")
        mark = await store.read(arrivals.mark)
        # Another host prunes, so this one counts keys from what is left.
        async with open_store(tmp_path / "agents.db", seams=seams) as other:
            assert (await other.prune(0, dead_letters=True)).inputs == 3
        for each in new[:later]:
            await each.accept("news")

        assert await _arrived(store, mark) == {each.runtime_id for each in new[:later]}


async def test_what_stands_before_the_mark_is_not_new() -> None:
    async with open_store(":memory:") as store:
        one, two = await _owners(store, "one", "two")
        await one.accept("old")
        mark = await store.read(arrivals.mark)
        assert await _arrived(store, mark) == set()
        await two.accept("new")

        assert await _arrived(store, mark) == {"two"}
        assert await _arrived(store, arrivals.NOTHING_YET) == {"one", "two"}
