"""`store.journal`: streams, whole logs, snapshots and facts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
import trio

import tenure
from tenure import EventTypes, Fact, Store, StoredEvent
from tenure.errors import (
    Closed,
    CursorConflict,
    FactConflict,
    InvalidInput,
    NotFound,
    PayloadTooLarge,
    RuntimeDestroyed,
    StaleFence,
    Unsupported,
)
from tenure.persistence.model.values import RuntimeState
from tests.persistence.contracts.owners.owned import Owner


async def events_of(store: Store, stream: str, after: int = 0) -> list[Any]:
    return [each.event async for each in store.journal.stream(stream, after)]


async def test_events_come_back_in_order_with_sequences_from_one(store: Store) -> None:
    assert await store.journal.append("flow", [{"n": 1}, "two", None, 4, [5], True]) == 6

    found = [each async for each in store.journal.stream("flow")]

    assert [each.event for each in found] == [{"n": 1}, "two", None, 4, [5], True]
    assert [each.sequence for each in found] == [1, 2, 3, 4, 5, 6]


async def test_a_read_begins_behind_its_cursor(store: Store) -> None:
    await store.journal.append("flow", [1, 2, 3])

    assert await events_of(store, "flow", 2) == [3]
    assert await events_of(store, "flow", 3) == []
    assert await events_of(store, "flow", 99) == []


async def test_an_append_that_expects_another_cursor_writes_nothing(store: Store) -> None:
    await store.journal.append("flow", [1, 2], expected_cursor=0)

    with pytest.raises(CursorConflict) as caught:
        await store.journal.append("flow", [3], 1, [Fact("h", "value")])

    assert (caught.value.stream, caught.value.expected, caught.value.actual) == ("flow", 1, 2)
    assert await events_of(store, "flow") == [1, 2]
    with pytest.raises(NotFound):
        await store.journal.load_fact("h")


async def test_one_of_many_appends_at_the_same_cursor_lands(store: Store) -> None:
    outcomes: list[str] = []

    async def append(name: int) -> None:
        try:
            await store.journal.append("flow", [name], expected_cursor=0)
            outcomes.append("landed")
        except CursorConflict:
            outcomes.append("refused")

    async with trio.open_nursery() as nursery:
        for name in range(20):
            nursery.start_soon(append, name)

    assert outcomes.count("landed") == 1
    assert len(await events_of(store, "flow")) == 1


async def test_an_empty_batch_changes_nothing(store: Store) -> None:
    assert await store.journal.append("flow", []) == 0
    assert not await store.journal.exists("flow")
    await store.journal.append("flow", [1])

    assert await store.journal.append("flow", [], 1) == 1
    with pytest.raises(CursorConflict):
        await store.journal.append("flow", [], 0)


async def test_a_batch_with_one_bad_event_is_refused_whole(store: Store) -> None:
    with pytest.raises(InvalidInput):
        await store.journal.append("flow", [1, {"at": float("nan")}])
    with pytest.raises(PayloadTooLarge):
        await store.journal.append("flow", [1, "x" * (store.limits.payload_bytes + 1)])

    assert not await store.journal.exists("flow")


async def test_what_is_not_there_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        await events_of(store, "flow")
    with pytest.raises(NotFound):
        await store.journal.load("flow")
    with pytest.raises(NotFound):
        await store.journal.load_snapshot("flow")
    with pytest.raises(NotFound):
        await store.journal.load_fact("flow")
    await store.journal.delete("flow")


async def test_a_log_stands_beside_the_stream_of_its_id(store: Store) -> None:
    await store.journal.save("flow", ["a", "b"])
    with pytest.raises(NotFound):
        await events_of(store, "flow")
    await store.journal.append("flow", [1])
    await store.journal.checkpoint("flow", ["c"])

    assert await store.journal.load("flow") == ["c"]
    assert await events_of(store, "flow") == [1]


async def test_delete_forgets_stream_log_and_snapshot_and_leaves_facts(store: Store) -> None:
    await store.journal.append("flow", [1, 2], facts=[Fact(b"h", {"v": None})])
    await store.journal.save("flow", [0])
    await store.journal.save_snapshot("flow", 2, b"two")

    await store.journal.delete("flow")

    assert not await store.journal.exists("flow")
    assert await store.journal.list() == []
    assert await store.journal.load_fact(b"h") == {"v": None}
    assert await store.journal.append("flow", ["anew"]) == 1
    assert await events_of(store, "flow") == ["anew"]
    with pytest.raises(NotFound):
        await store.journal.load_snapshot("flow")


async def test_list_names_every_known_id_in_order(store: Store) -> None:
    await store.journal.append("c", [1])
    await store.journal.save("a", [])
    await store.journal.save_snapshot("b", 0, b"")
    for number in range(510):
        await store.journal.save(f"many-{number:03}", [])

    found = await store.journal.list()

    assert found == ["a", "b", "c", *[f"many-{number:03}" for number in range(510)]]
    assert await store.journal.exists("a")


async def test_a_newer_or_equal_snapshot_wins(store: Store) -> None:
    await store.journal.append("flow", [1, 2, 3])
    assert await store.journal.save_snapshot("flow", 2, b"two")
    assert await store.journal.save_snapshot("flow", 2, b"two again")
    assert not await store.journal.save_snapshot("flow", 1, b"one")

    found = await store.journal.load_snapshot("flow")

    assert (found.cursor, found.snapshot) == (2, b"two again")


async def test_a_snapshot_beyond_the_end_loses_to_any_that_is_not(store: Store) -> None:
    await store.journal.append("flow", [1, 2, 3])
    assert await store.journal.save_snapshot("flow", 1_000, b"beyond")

    assert await store.journal.save_snapshot("flow", 3, b"three")

    assert (await store.journal.load_snapshot("flow")).cursor == 3


async def test_one_hash_has_one_value(store: Store) -> None:
    await store.journal.save_fact("h", None)
    await store.journal.save_fact("h", None)
    await store.journal.save_fact(b"h", b"bytes are another hash")

    with pytest.raises(FactConflict):
        await store.journal.save_fact("h", 0)
    with pytest.raises(FactConflict):
        await store.journal.append("flow", [1], facts=[Fact("h", "another")])

    assert await store.journal.load_fact("h") is None
    assert await store.journal.load_fact(b"h") == b"bytes are another hash"
    assert not await store.journal.exists("flow")


async def test_an_append_that_refers_to_no_fact_is_refused(store: Store) -> None:
    with pytest.raises(NotFound):
        await store.journal.append("flow", [1], facts=["nowhere"])
    assert not await store.journal.exists("flow")
    await store.journal.save_fact("somewhere", 1)

    assert await store.journal.append("flow", [1], facts=["somewhere"]) == 1


async def test_prune_takes_facts_that_nothing_refers_to(store: Store) -> None:
    await store.journal.save_fact("alone", 1)
    await store.journal.append("flow", [1], facts=[Fact("of an event", 2)])
    await store.journal.save_snapshot("flow", 1, b"", facts=[Fact("of a snapshot", 3)])
    await trio.sleep(0.01)

    assert (await store.prune(0)).facts == 1

    with pytest.raises(NotFound):
        await store.journal.load_fact("alone")
    assert await store.journal.load_fact("of an event") == 2
    await store.journal.save_snapshot("flow", 1, b"without")
    await trio.sleep(0.01)
    assert (await store.prune(0)).facts == 1
    await store.journal.delete("flow")
    assert (await store.prune(0)).facts == 1


async def test_a_young_fact_waits_for_the_append_that_declares_it(store: Store) -> None:
    await store.journal.save_fact("young", 1)

    assert (await store.prune(60)).facts == 0

    assert await store.journal.load_fact("young") == 1


async def test_large_events_are_read_one_by_one(store: Store) -> None:
    large = "x" * 3_000_000
    await store.journal.append("flow", [large, large, large, "small"])

    assert [len(each) for each in await events_of(store, "flow")] == [3_000_000] * 3 + [5]


async def test_supports_stream(store: Store) -> None:
    assert store.journal.supports_stream


# Classes of events


@attrs.frozen
class Charged:
    cents: int
    currency: str = "EUR"


async def test_an_event_of_a_class_comes_back_as_an_instance(store: Store) -> None:
    types = EventTypes()
    types.add(Charged)

    await store.journal.append("flow", [Charged(5)], types=types)

    (found,) = [each async for each in store.journal.stream("flow", types=types)]
    assert found.event == Charged(5)
    assert (found.kind, found.version) == ("Charged", 1)
    assert await events_of(store, "flow") == [{"cents": 5, "currency": "EUR"}]


async def test_an_old_version_is_brought_up_by_its_hooks(store: Store) -> None:
    old = EventTypes()

    @attrs.frozen
    class Old:
        amount: str

    old.add(Old, name="charged")
    await store.journal.append("flow", [Old("1.50")], types=old)
    new = EventTypes()
    new.add(
        Charged,
        name="charged",
        version=3,
        upcast={
            1: lambda event: {"cents": round(float(event["amount"]) * 100)},
            2: lambda event: {**event, "currency": "USD"},
        },
    )
    await store.journal.append("flow", [Charged(7)], types=new)

    found = [each.event async for each in store.journal.stream("flow", types=new)]

    assert found == [Charged(150, "USD"), Charged(7)]


async def test_a_class_or_version_that_nobody_registered_is_unsupported(store: Store) -> None:
    types = EventTypes()
    types.add(Charged, version=2, upcast={1: lambda event: event})
    await store.journal.append("flow", [Charged(5)], types=types)
    older = EventTypes()
    older.add(Charged)

    for known in (EventTypes(), older):
        with pytest.raises(Unsupported):
            _ = [each async for each in store.journal.stream("flow", types=known)]


async def test_an_event_that_does_not_fit_its_class_is_refused(store: Store) -> None:
    types = EventTypes()
    types.add(Charged)

    for event in (Charged("five"), {"cents": 5}, Charged(float("nan"))):  # type: ignore[arg-type]
        with pytest.raises(InvalidInput):
            await store.journal.append("flow", [event], types=types)

    assert not await store.journal.exists("flow")


def test_a_name_is_registered_once() -> None:
    types = EventTypes()
    types.add(Charged)

    with pytest.raises(InvalidInput):
        types.add(Charged, name="again")
    with pytest.raises(InvalidInput):
        EventTypes().add(Charged, version=0)


# Following


async def test_a_follower_gets_what_is_there_and_then_what_comes(store: Store) -> None:
    await store.journal.append("flow", [1, 2])
    reader = store.journal.follow("flow", 1)
    heard = trio.Event()
    seen: list[StoredEvent] = []

    async def follow() -> None:
        seen.append(await anext(reader))
        heard.set()
        seen.extend([await anext(reader), await anext(reader)])

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow)
            await heard.wait()
            await store.journal.append("flow", [3])
            await store.journal.append("flow", [4])

    assert [each.event for each in seen] == [2, 3, 4]


async def test_a_follower_waits_for_a_stream_that_is_not_there_and_ends_with_it(store: Store) -> None:
    seen: list[Any] = []
    heard, ended = trio.Event(), trio.Event()

    async def follow() -> None:
        reader = store.journal.follow("flow")
        seen.append((await anext(reader)).event)
        heard.set()
        with pytest.raises(NotFound):
            await anext(reader)
        ended.set()

    with trio.fail_after(10):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(follow)
            await store.journal.save("flow", ["a log is no event"])
            await trio.sleep(0.1)
            await store.journal.append("flow", [1])
            await heard.wait()
            await store.journal.delete("flow")
            await ended.wait()

    assert seen == [1]


async def test_many_followers_see_everything_when_the_one_that_looks_leaves(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    async with tenure.open_store(path) as store, tenure.open_store(path) as other:
        seen: dict[int, list[Any]] = {number: [] for number in range(10)}
        scopes = [trio.CancelScope() for _ in range(10)]

        async def follow(number: int) -> None:
            reader = store.journal.follow(f"flow-{number % 3}")
            with scopes[number]:
                for _ in range(4):
                    seen[number].append((await anext(reader)).event)

        with trio.fail_after(20):
            async with trio.open_nursery() as nursery:
                for number in range(10):
                    nursery.start_soon(follow, number)
                for place in range(4):
                    await trio.sleep(0.1)
                    scopes[place].cancel()  # sooner or later the one that looks
                    for stream in range(3):
                        await other.journal.append(f"flow-{stream}", [place])

    assert all(seen[number] == [0, 1, 2, 3] for number in range(4, 10))


async def test_followers_end_with_the_store(tmp_path: Path) -> None:
    ended = trio.Event()
    async with trio.open_nursery() as nursery:
        async with tenure.open_store(tmp_path / "agents.db") as store:

            async def follow() -> None:
                with pytest.raises(Closed):
                    await anext(store.journal.follow("flow"))
                ended.set()

            nursery.start_soon(follow)
            await trio.sleep(0.02)
        with trio.fail_after(10):
            await ended.wait()


# Bound to a runtime


async def owned(store: Store, runtime_id: str) -> int:
    return (await Owner(store, runtime_id).own()).fence_token


async def test_a_bound_stream_obeys_the_fence_of_its_runtime(store: Store) -> None:
    token = await owned(store, "ada")
    await store.journal.bind("flow", "ada", fence=token)
    await store.journal.append("flow", [1], fence=token)

    for fence in (None, token + 1, token - 1):
        with pytest.raises(StaleFence):
            await store.journal.append("flow", [2], fence=fence)
        with pytest.raises(StaleFence):
            await store.journal.save("flow", [2], fence=fence)
        with pytest.raises(StaleFence):
            await store.journal.save_snapshot("flow", 1, b"", fence=fence)
        with pytest.raises(StaleFence):
            await store.journal.delete("flow", fence=fence)

    assert await events_of(store, "flow") == [1]
    await store.journal.delete("flow", fence=token)


async def test_a_token_for_a_stream_that_is_bound_to_nothing_is_refused(store: Store) -> None:
    with pytest.raises(InvalidInput):
        await store.journal.append("flow", [1], fence=7)
    assert not await store.journal.exists("flow")


async def test_a_stream_is_bound_to_one_runtime_and_ends_with_it(store: Store) -> None:
    await store.runtimes.persist_runtime_state("ada", RuntimeState.IDLE)
    await store.runtimes.persist_runtime_state("bob", RuntimeState.IDLE)
    await store.journal.bind("flow", "ada")
    await store.journal.bind("flow", "ada")
    with pytest.raises(InvalidInput):
        await store.journal.bind("flow", "bob")
    with pytest.raises(NotFound):
        await store.journal.bind("flow", "nobody")
    await store.journal.append("flow", [1])

    await store.runtimes.persist_runtime_state("ada", RuntimeState.DESTROYED)

    with pytest.raises(RuntimeDestroyed):
        await store.journal.append("flow", [2])
    assert await events_of(store, "flow") == [1]
