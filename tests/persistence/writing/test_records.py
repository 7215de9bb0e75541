"""Records in hand: kept from group to group for as long as nobody else has written the database."""

from __future__ import annotations

from typing import Any

import pytest

from tenure.errors import StaleFence
from tenure.persistence.commits.commit import Commit
from tenure.persistence.commits.transaction import (
    RECORDS_KEPT,
    Records,
)
from tenure.persistence.facets.conversation.sessions import AppendMessages
from tenure.persistence.facets.inbox.inputs import CancelInput
from tenure.persistence.model.values import InputId
from tenure.persistence.store import Store, ground_of, inside_of
from tests.kit.stores import (
    OpenMode,
    message,
    name,
    own,
    refused,
    settle,
)
from tests.persistence.engines.test_faults import on_writer


def cancel(fence_token: int) -> Commit:
    """A commit that asks for the record of its runtime, and writes nothing."""
    return Commit(
        runtime_id=name("a"),
        fence_token=fence_token,
        changes=(CancelInput(runtime_id=name("a"), input_id=InputId("none")),),
    )


def in_hand(store: Store) -> set[Any]:
    return set(inside_of(store).kept)


def test_what_another_has_written_is_not_in_hand_any_more() -> None:
    records = Records()
    records.begin_group(1)
    records.found["kind", "key"] = "record"
    records.end_group(2)

    records.begin_group(2)
    assert records.found
    records.begin_group(3)
    assert not records.found


def test_no_more_is_kept_than_there_is_room_for() -> None:
    records = Records()
    records.end_group(1)
    records.found.update({("kind", number): number for number in range(RECORDS_KEPT)})

    records.begin_group(1)
    assert len(records.found) == RECORDS_KEPT
    records.found["kind", -1] = -1
    records.begin_group(1)
    assert not records.found


async def test_a_fence_that_was_moved_between_two_groups_is_seen_by_the_next_commit(open_file: OpenMode) -> None:
    async with open_file() as store:
        token = await own(store)
        await store.commit(cancel(token))

        await on_writer(store, lambda db: db.execute("UPDATE runtimes SET fence_token = fence_token + 7"))

        with pytest.raises(StaleFence):
            await store.commit(cancel(token))
        await store.commit(cancel(token + 7))


async def test_a_commit_that_fails_lets_go_of_what_it_had_in_hand(store: Store) -> None:
    token = await own(store)
    append = AppendMessages(runtime_id=name("a"), messages=(b"hi",))
    await store.commit(Commit(runtime_id=name("a"), fence_token=token, changes=(append,)))
    assert ("runtime", "a") in in_hand(store)

    landing = ground_of(store).submit(message(store, "m"))
    refusal = ground_of(store).submit(refused())

    assert isinstance(await settle(refusal), StaleFence)
    await landing.wait()
    assert ("runtime", "a") not in in_hand(store)
