"""The limit of an inbox is exact, though a group counts each inbox once."""

from __future__ import annotations

import pytest

from tenure.errors import InboxFull
from tenure.persistence.commits.commit import Commit
from tenure.persistence.facets.inbox.inputs import AcceptInput
from tenure.persistence.facets.ownership.ownership import TakeOwnership
from tenure.persistence.model.codec import digest
from tenure.persistence.model.values import (
    InputId,
    LogicalRuntimeId,
    SessionId,
)
from tenure.persistence.opening import open_store
from tenure.persistence.seams.limits import Limits
from tenure.persistence.store import Store
from tenure.persistence.writing.pending import Pending
from tests.kit.ground import submit

LIMITS = Limits(inbox_inputs=3)
AGENT = LogicalRuntimeId("agent")
OTHER = LogicalRuntimeId("other")


def accept(store: Store, runtime_id: LogicalRuntimeId = AGENT, *, bound: bool = True) -> Pending:
    change = AcceptInput(
        runtime_id=runtime_id,
        input_id=InputId(store.seams.new_id()),
        payload=b"1",
        payload_digest=digest(b"1"),
        bound_by_inbox=bound,
    )
    return submit(store, Commit(changes=(change,)))


async def own(store: Store, runtime_id: LogicalRuntimeId = AGENT) -> None:
    new_id = store.seams.new_id
    change = TakeOwnership(runtime_id=runtime_id, kind="agent", epoch=new_id(), session_id=SessionId(new_id()))
    await store.commit(Commit(changes=(change,)))


async def landed(*pending: Pending) -> list[bool]:
    """Which of them landed; the others found the inbox full. All must have shared one group."""
    found: list[bool] = []
    groups: set[int] = set()
    for each in pending:
        try:
            groups.add((await each.wait()).group)
        except InboxFull:
            found.append(False)
        else:
            found.append(True)
    assert len(groups) == 1
    return found


async def test_accepts_that_share_a_group_fill_the_inbox_exactly() -> None:
    async with open_store(":memory:", limits=LIMITS) as store:
        await own(store)

        assert await landed(*[accept(store) for _ in range(5)]) == [True, True, True, False, False]


async def test_what_is_there_already_and_sends_count_too() -> None:
    async with open_store(":memory:", limits=LIMITS) as store:
        await own(store)
        await accept(store).wait()

        together = [accept(store), accept(store, bound=False), accept(store), accept(store, bound=False)]

        assert await landed(*together) == [True, True, False, True]


async def test_each_inbox_has_a_count_of_its_own() -> None:
    async with open_store(":memory:", limits=LIMITS) as store:
        await own(store)
        await own(store, OTHER)

        together = [accept(store, runtime_id) for _ in range(4) for runtime_id in (AGENT, OTHER)]

        assert await landed(*together) == [True] * 6 + [False] * 2


async def test_a_full_inbox_is_counted_again_by_the_next_group() -> None:
    async with open_store(":memory:", limits=LIMITS) as store:
        await own(store)
        for pending in [accept(store) for _ in range(3)]:
            await pending.wait()

        with pytest.raises(InboxFull):
            await accept(store).wait()
