"""Records in hand: kept from group to group for as long as nobody else has written the database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from attrs import define

from tenure.errors import InvalidTransition, StaleFence
from tenure.persistence.commits.commit import Commit
from tenure.persistence.commits.transaction import (
    RECORDS_KEPT,
    RUNTIME,
    Place,
    Records,
    Transaction,
)
from tenure.persistence.facets.conversation.sessions import AppendMessages
from tenure.persistence.facets.inbox.cancelling import CancelInput
from tenure.persistence.facets.ownership.lifecycle import Hold
from tenure.persistence.facets.ownership.ownership import MarkLost
from tenure.persistence.facets.runs.runs import FinishRun
from tenure.persistence.model.lifecycles.retention import Retention
from tenure.persistence.model.values import DurabilityClass, InputId, RunId
from tenure.persistence.seams.limits import Limits
from tenure.persistence.store import Store
from tenure.testing.observing import inside_of
from tests.kit.by_runtime import SCHEME, offered
from tests.kit.ground import host_key, submit
from tests.kit.seen import open_seen_store
from tests.kit.stores import (
    OpenMode,
    message,
    name,
    own,
    refused,
    settle,
)


def cancel(fence_token: int) -> Commit:
    """A commit that asks for the record of its runtime, and writes nothing."""
    return Commit(
        runtime_id=name("a"),
        fence_token=fence_token,
        changes=(CancelInput(runtime_id=name("a"), input_id=InputId("none")),),
    )


class Nothing:
    """A connection of which nothing is asked."""

    def __getattr__(self, name: str) -> None:
        """Whatever is bound."""


def group_with(records: Records) -> Transaction:
    connection: Any = Nothing()
    transaction = Transaction(connection, records, limits=Limits(), retention=Retention())
    transaction.begin(1, 1, 0.0, None, DurabilityClass.DISK, savepoints=False)
    return transaction


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


@define
class Guard:
    """A record of a runtime, with a record that holds as long as it."""

    guards: tuple[Place, ...] = (("run", 1),)


def by_runtime(**versions: int) -> Records:
    """What a group has left that had these runtimes and their runs in hand, and a row of no runtime."""
    records = Records()
    records.begin_group(versions)
    records.found.update({(RUNTIME, name): Guard((("run", name),)) for name in versions})
    records.found.update({("run", name): f"run of {name}" for name in versions})
    records.found["session", 7] = "session"
    records.end_group({name: version + 1 for name, version in versions.items()})
    return records


def test_where_versions_are_by_runtime_a_group_sees_what_nobody_else_has_written_of_the_runtimes_that_it_names() -> (
    None
):
    records = by_runtime(a=1, b=1, c=1)

    records.begin_group({"a": 2, "b": 3})

    assert set(records.found) == {(RUNTIME, "a"), ("run", "a")}


def test_the_records_of_other_runtimes_wait_for_a_group_that_names_them() -> None:
    records = by_runtime(a=1, b=1)
    records.begin_group({"a": 2})
    records.end_group({"a": 3})

    records.begin_group({"b": 2})

    assert set(records.found) == {(RUNTIME, "b"), ("run", "b")}


def test_a_record_that_a_group_has_reached_without_naming_its_runtime_is_kept_no_longer() -> None:
    records = by_runtime(a=1, b=1)
    records.begin_group({"a": 2})
    records.found[RUNTIME, "b"] = Guard()
    records.end_group({"a": 3})

    records.begin_group({"b": 2})

    assert not records.found


def test_after_a_group_that_was_rolled_back_nothing_is_kept_of_any_runtime() -> None:
    records = by_runtime(a=1, b=1)
    records.clear()

    records.begin_group({"a": 2, "b": 2})

    assert not records.found


def test_a_record_that_a_group_has_let_go_is_kept_no_longer_whatever_its_version_says() -> None:
    for versions in (
        {"a": 2, "b": 3},
        {},
    ):  # nothing of it was written; and its versions were lost with the answer to COMMIT
        records = by_runtime(a=1, b=1)
        records.begin_group({"a": 2, "b": 2})
        records.drop((RUNTIME, "a"))  # its commit failed: it may have been changed in hand
        records.end_group(versions)

        records.begin_group({"a": 2})

        assert not records.found


def test_of_more_runtimes_than_there_is_room_for_those_in_use_stay_and_the_others_go() -> None:
    names = {f"r{number}": 1 for number in range(RECORDS_KEPT // 2)}
    records = by_runtime(**names)
    records.begin_group({"r0": 2})  # another generation, and this one is asked for
    records.end_group({"r0": 3})
    for start in (0, RECORDS_KEPT):  # two of others
        more = {f"s{number + start}": 1 for number in range(RECORDS_KEPT // 2)}
        records.begin_group({**more, "r0": 3})
        records.found.update({(RUNTIME, each): Guard() for each in more})
        records.end_group({**dict.fromkeys(more, 2), "r0": 3})

    records.begin_group({"r0": 3, "r1": 2})

    assert set(records.found) == {(RUNTIME, "r0"), ("run", "r0")}


def say(fence_token: int) -> Commit:
    append = AppendMessages(runtime_id=name("a"), messages=(b"hi",))
    return Commit(runtime_id=name("a"), fence_token=fence_token, changes=(append,))


async def test_with_versions_by_runtime_a_host_keeps_what_others_did_not_write_and_reads_again_what_they_did(
    tmp_path: Path,
) -> None:
    target = f"{SCHEME}://{tmp_path}/agents.db"
    with offered():
        async with open_seen_store(target) as first, open_seen_store(target) as second:
            token = await own(first)
            await own(second, "b")
            await first.commit(say(token))
            kept = inside_of(first).kept[RUNTIME, "a"]
            await second.commit(message(second, "m", "b"))
            await first.commit(say(token))
            assert inside_of(first).kept[RUNTIME, "a"] is kept

            hold = Hold(runtime_id=name("a"), reason="crash_loop", detail="of a test")
            await second.commit(Commit(runtime_id=name("a"), fence_token=token, changes=(hold,)))
            await first.commit(say(token))
            assert inside_of(first).kept[RUNTIME, "a"].held == "crash_loop"

            await second.commit(Commit(changes=(MarkLost(host=host_key(first), counter=None),)))
            moved = await own(second)

            with pytest.raises(StaleFence):
                await first.commit(say(token))
            await second.commit(say(moved))


async def test_with_versions_by_runtime_too_what_a_refused_commit_has_changed_in_hand_is_read_again(
    tmp_path: Path,
) -> None:
    with offered():
        async with open_seen_store(f"{SCHEME}://{tmp_path}/agents.db") as store:
            token, other = await own(store), await own(store, "b")
            await store.commit(say(token))
            hold = Hold(runtime_id=name("a"), reason="crash_loop")
            finish = FinishRun(runtime_id=name("a"), run_id=RunId("none"))
            landing = submit(
                store,
                Commit(runtime_id=name("b"), fence_token=other, changes=(Hold(runtime_id=name("b"), reason=None),)),
            )
            refusal = submit(store, Commit(runtime_id=name("a"), fence_token=token, changes=(hold, finish)))
            assert isinstance(await settle(refusal), InvalidTransition)
            await landing.wait()

            await store.commit(say(token))

            assert inside_of(store).kept[RUNTIME, "a"].held is None


def test_of_more_than_there_is_room_for_what_is_in_use_stays_and_the_rest_goes() -> None:
    records = Records()
    records.end_group(1)
    loaded = [0]
    for generation in range(3):
        records.begin_group(1)
        tx = group_with(records)
        for number in range(RECORDS_KEPT):
            tx.record("kind", (generation, number), lambda _, key: key)
        assert tx.record("kind", "in use", lambda _, __: loaded.pop()) == 0  # once, and kept

    records.begin_group(1)

    assert ("kind", "in use") in records.all
    assert ("kind", (0, 1)) not in records.all
    assert len(records.all) <= 2 * RECORDS_KEPT + 2


def test_a_record_of_the_generation_before_is_dropped_as_one_of_this_is() -> None:
    records = Records()
    records.end_group(1)
    records.found.update({("kind", number): [number] for number in range(RECORDS_KEPT)})
    records.begin_group(1)
    tx = group_with(records)

    tx.drop("kind", 1)
    tx.record("kind", 2, lambda _, __: [])
    tx.forget()  # its commit failed: what it asked for may have been changed in hand

    assert records.all.keys().isdisjoint({("kind", 1), ("kind", 2)})
    assert tx.record("kind", 3, lambda _, __: []) == [3]
    records.clear()
    assert not records.all


async def test_a_fence_that_was_moved_between_two_groups_is_seen_by_the_next_commit(open_file: OpenMode) -> None:
    async with open_file() as store:
        token = await own(store)
        await store.commit(cancel(token))

        await inside_of(store).run(
            lambda connection: connection.raw("UPDATE runtimes SET fence_token = fence_token + 7")
        )

        with pytest.raises(StaleFence):
            await store.commit(cancel(token))
        await store.commit(cancel(token + 7))


async def test_a_commit_that_fails_lets_go_of_what_it_had_in_hand(store: Store) -> None:
    token = await own(store)
    append = AppendMessages(runtime_id=name("a"), messages=(b"hi",))
    await store.commit(Commit(runtime_id=name("a"), fence_token=token, changes=(append,)))
    assert ("runtime", "a") in in_hand(store)

    landing = submit(store, message(store, "m"))
    refusal = submit(store, refused())

    assert isinstance(await settle(refusal), StaleFence)
    await landing.wait()
    assert ("runtime", "a") not in in_hand(store)
