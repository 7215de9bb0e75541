"""`store.journal.open`: states folded from streams, strategies, snapshots, facts; and the traps of its model.

The fourteen traps of `Runic.Runner` are what its store promises and its worker does not keep. Each has a test here that would
catch it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import attrs
import pytest
import trio
import trio.testing

import tenure
from tenure import EventTypes, FactRef, Rehydration, Store, Strategy
from tenure.errors import Closed, Corrupt, CursorConflict, InvalidInput, NotFound, PayloadTooLarge
from tests.persistence.contracts.damage import execute


def fold(state: dict[str, Any], event: Any) -> dict[str, Any]:
    """Everything that happened, in order; what was dispatched and has not ended."""
    open_work = [*state.get("open", [])]
    match event:
        case {"dispatched": name}:
            open_work.append(name)
        case {"completed": name} | {"failed": name}:
            open_work = [each for each in open_work if each != name]
        case _:
            pass
    return {"seen": [*state.get("seen", []), event], "open": open_work}


def count(state: int, _event: Any) -> int:
    return state + 1


async def opened(store: Store, **terms: Any) -> dict[str, Any]:
    """The state of a log, opened and left."""
    async with store.journal.open("flow", fold, {}, **terms) as log:
        return log.state


async def events_of(store: Store, stream: str = "flow") -> list[Any]:
    return [each.event async for each in store.journal.stream(stream)]


async def test_what_was_appended_is_folded_when_the_log_is_opened_again(store: Store) -> None:
    async with store.journal.open("flow", fold, {}) as log:
        assert (log.state, log.stored) == ({}, 0)
        assert await log.append([{"n": 1}, {"n": 2}]) == 2
        live = log.state

    async with store.journal.open("flow", fold, {}) as log:
        assert log.state == live
        assert log.stored == log.cursor == 2


@pytest.mark.parametrize(
    ("strategy", "stored"),
    [
        (Strategy.every_cycle, [1, 2, 3, 4]),
        ("every_cycle", [1, 2, 3, 4]),
        (Strategy.every(3), [None, None, 3, None]),
        (Strategy.on_complete, [None, None, None, None]),
        ("manual", [None, None, None, None]),
    ],
)
async def test_a_strategy_says_when_an_append_is_acknowledged(
    store: Store, strategy: Strategy | str, stored: list[int | None]
) -> None:
    async with store.journal.open("flow", fold, {}, strategy=strategy) as log:
        assert [await log.append([number]) for number in range(4)] == stored
        assert len(log.state["seen"]) == 4
        last = max([each or 0 for each in stored])
        assert log.stored == last
        assert await store.journal.append("flow", [], last) == last
        assert await log.flush() == 4

    assert await events_of(store) == [0, 1, 2, 3]


async def test_leaving_writes_what_is_pending_also_where_the_body_raises(store: Store) -> None:
    async with store.journal.open("flow", fold, {}, strategy="manual") as log:
        await log.append([1])
    with pytest.raises(ZeroDivisionError):  # noqa: PT012 - leaving the log is what raises
        async with store.journal.open("flow", fold, {}, strategy="manual") as log:
            await log.append([2])
            raise ZeroDivisionError
    with trio.CancelScope() as scope:
        async with store.journal.open("flow", fold, {}, strategy="manual") as log:
            await log.append([3])
            scope.cancel()
            await trio.sleep_forever()

    assert scope.cancelled_caught
    assert await events_of(store) == [1, 2, 3]


async def test_what_a_cancelled_log_could_not_write_in_time_is_said(
    store: Store, autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    notes: list[str] = []
    with trio.CancelScope() as scope:
        try:
            async with store.journal.open("flow", fold, {}, strategy="manual") as log:
                await log.append([1, 2])
                monkeypatch.setattr(log, "flush", trio.sleep_forever)  # a disk that answers nothing
                scope.cancel()
                await trio.sleep_forever()
        except trio.Cancelled as exc:
            notes += exc.__notes__
            raise

    assert notes == ["2 events of the log flow that were pending are not written"]


async def test_leaving_raises_what_fails(store: Store) -> None:
    with pytest.raises(CursorConflict):  # noqa: PT012 - leaving the log is what raises
        async with store.journal.open("flow", fold, {}, strategy="manual") as log:
            await log.append([1])
            await store.journal.append("flow", ["another"])

    assert await events_of(store) == ["another"]


async def test_a_log_that_was_left_takes_nothing(store: Store) -> None:
    async with store.journal.open("flow", fold, {}) as log:
        pass

    with pytest.raises(Closed):
        await log.append([1])


async def test_an_event_that_cannot_be_stored_or_folded_adds_nothing(store: Store) -> None:
    def refuses(state: int, event: Any) -> int:
        return state + int(event)

    async with store.journal.open("flow", refuses, 0, strategy="manual") as log:
        await log.append([1])
        with pytest.raises(InvalidInput):
            await log.append([1, float("inf")])
        with pytest.raises(ValueError, match="invalid literal"):
            await log.append([1, "one"])
        with pytest.raises(PayloadTooLarge):
            await log.append([1, "1" * (store.limits.payload_bytes + 1)])

        assert (log.state, log.cursor) == (1, 1)

    assert await events_of(store) == [1]


# Snapshots


async def test_a_snapshot_is_taken_with_the_write_that_makes_it_due(store: Store) -> None:
    async with store.journal.open("flow", count, 0, snapshot_every=3) as log:
        for _ in range(7):
            await log.append([None])

    found = await store.journal.load_snapshot("flow")

    assert (found.cursor, found.snapshot) == (6, b"6")
    folded: list[Any] = []
    async with store.journal.open("flow", lambda state, event: (folded.append(event), state + 1)[1], 0) as log:
        assert log.state == 7
    assert folded == [None]  # the tail alone


async def test_a_snapshot_beyond_the_end_is_discarded_at_recovery(store: Store) -> None:
    await store.journal.append("flow", [1, 2])
    await store.journal.save_snapshot("flow", 5, b"500")

    async with store.journal.open("flow", count, 0) as log:
        assert log.state == 2
        await log.snapshot()

    assert (await store.journal.load_snapshot("flow")).cursor == 2


async def test_a_snapshot_holds_what_its_cursor_says_and_no_more(store: Store) -> None:
    async with store.journal.open("flow", count, 0, strategy="manual") as log, trio.open_nursery() as nursery:
        await log.append([1])
        nursery.start_soon(log.snapshot)
        await trio.testing.wait_all_tasks_blocked()
        await log.append([2])

    found = await store.journal.load_snapshot("flow")
    assert found.snapshot == str(found.cursor).encode()
    async with store.journal.open("flow", count, 0) as log:
        assert log.state == 2


# Facts


LARGE = "x" * 200


async def test_large_fields_become_facts_and_come_back_whole(store: Store) -> None:
    async with store.journal.open("flow", fold, {}, facts_above=100) as log:
        await log.append([{"value": LARGE, "small": None}, {"value": LARGE}, [LARGE]])
        live = log.state

    stored = await events_of(store)
    reference = stored[0]["value"]
    assert isinstance(reference, FactRef)
    assert stored[0] == {"value": reference, "small": None}
    assert stored[1] == {"value": reference}
    assert stored[2] == [LARGE]  # only fields of objects
    assert await store.journal.load_fact(reference.hash) == LARGE
    async with store.journal.open("flow", fold, {}) as log:
        assert log.state == live
        assert log.state["seen"][0] == {"value": LARGE, "small": None}


@pytest.mark.parametrize("rehydration", ["hybrid", "lazy"])
async def test_references_are_folded_and_resolved_when_they_are_asked_for(store: Store, rehydration: str) -> None:
    async with store.journal.open(
        "flow", fold, {}, facts_above=100, strategy="manual", rehydration=rehydration, snapshot_every=1
    ) as log:
        await log.append([{"value": LARGE}])
        (event,) = log.state["seen"]
        assert isinstance(event["value"], FactRef)
        assert await log.resolve(event["value"]) == LARGE  # it is not stored yet
        live = log.state

    async with store.journal.open("flow", fold, {}, rehydration=rehydration) as log:
        assert log.state == live
        assert await log.resolve(log.state["seen"][0]["value"]) == LARGE


async def test_hybrid_loads_what_is_hot(store: Store) -> None:
    async with store.journal.open("flow", fold, {}, facts_above=100) as log:
        await log.append([{"value": LARGE}, {"value": LARGE + "hot"}])

    def hot(state: dict[str, Any]) -> list[FactRef]:
        return [state["seen"][-1]["value"]]

    async with store.journal.open("flow", fold, {}, rehydration="hybrid", hot=hot) as log:
        cold, warm = (event["value"] for event in log.state["seen"])
        assert log.value(warm) == LARGE + "hot"
        with pytest.raises(NotFound):
            log.value(cold)
        assert await log.resolve(cold) == LARGE


async def test_a_typed_event_holds_a_reference_where_its_value_is(store: Store) -> None:
    @attrs.frozen
    class Produced:
        name: str
        value: Any
        when: int | None = None

    types = EventTypes()
    types.add(Produced)
    async with store.journal.open("flow", fold, {}, types=types, facts_above=100) as log:
        await log.append([Produced("large", LARGE), Produced("none", None)])

    async with store.journal.open("flow", fold, {}, types=types, rehydration="lazy") as log:
        large, none = log.state["seen"]
        assert (large.name, await log.resolve(large.value), none) == ("large", LARGE, Produced("none", None))
    async with store.journal.open("flow", fold, {}, types=types) as log:
        assert log.state["seen"] == [Produced("large", LARGE), Produced("none", None)]


async def test_a_state_with_references_and_with_the_word_for_them_comes_back(store: Store) -> None:
    state: dict[str, Any] = {"$fact": ["not", 1], "in": [FactRef("h", 3), FactRef(b"\x00", 1), {"$fact": None}]}

    def given(_: dict[str, Any], __: Any) -> dict[str, Any]:
        return state

    async with store.journal.open("flow", given, {}) as log:
        await log.append([1])
        await log.snapshot()

    async with store.journal.open("flow", fold, {}) as log:
        assert log.state == state


# The fourteen traps


async def test_trap_1_a_dispatch_is_stored_before_the_work_runs(tmp_path: Path) -> None:
    async with tenure.open_store(tmp_path / "agents.db") as store, tenure.open_store(tmp_path / "agents.db") as other:
        async with store.journal.open("flow", fold, {}) as log:
            await log.append([{"dispatched": "pay"}])
            # The work would run here. Whoever looks at the store now finds that it was dispatched.
            async with other.journal.open("flow", fold, {}) as elsewhere:
                assert elsewhere.state["open"] == ["pay"]
            await log.append([{"completed": "pay"}])

        async with other.journal.open("flow", fold, {}) as elsewhere:
            assert elsewhere.state["open"] == []


async def test_trap_2_what_was_acknowledged_is_not_lost_with_its_worker(tmp_path: Path) -> None:
    async with tenure.open_store(tmp_path / "agents.db") as store, store.journal.open("flow", fold, {}) as log:
        assert await log.append([{"input": 1}]) == 1
        log.discard()  # it dies here: nothing is written at its end
    async with tenure.open_store(tmp_path / "agents.db") as store, store.journal.open("flow", fold, {}) as log:
        assert log.state["seen"] == [{"input": 1}]


async def test_trap_3_and_4_whoever_opens_again_resumes_and_the_beginning_is_written_once(store: Store) -> None:
    for number in range(3):
        async with store.journal.open("flow", fold, {}, first=[{"build": "a"}, {"build": "b"}]) as log:
            await log.append([number])

    assert await events_of(store) == [{"build": "a"}, {"build": "b"}, 0, 1, 2]


async def test_trap_4_two_that_open_a_new_stream_at_once_write_one_beginning(tmp_path: Path) -> None:
    path = tmp_path / "agents.db"
    async with tenure.open_store(path) as store, tenure.open_store(path) as other:

        async def begin(opened: Store) -> None:
            async with opened.journal.open("flow", fold, {}, first=["build"]) as log:
                assert log.state["seen"] == ["build"]

        async with trio.open_nursery() as nursery:
            for opened in (store, other) * 5:
                nursery.start_soon(begin, opened)

        assert await events_of(store) == ["build"]


async def test_trap_4_a_state_that_its_fold_changes_in_place_begins_anew_with_each_open(tmp_path: Path) -> None:
    def note(state: list[Any], event: Any) -> list[Any]:
        state.append(event)
        return state

    empty: list[Any] = []
    path = tmp_path / "agents.db"
    async with tenure.open_store(path) as store, tenure.open_store(path) as other:

        async def begin(opened: Store) -> None:
            async with opened.journal.open("flow", note, empty, first=["build"]) as log:
                assert log.state == ["build"]

        async with trio.open_nursery() as nursery:
            for opened in (store, other) * 5:
                nursery.start_soon(begin, opened)

        await begin(store)

    assert empty == []


async def test_trap_5_an_append_that_fails_loses_no_event(store: Store) -> None:
    with pytest.raises(CursorConflict):  # noqa: PT012 - leaving the log is what raises
        async with store.journal.open("flow", fold, {}, strategy="manual") as log:
            await log.append([1])
            await store.journal.append("flow", ["another"])
            with pytest.raises(CursorConflict):
                await log.flush()
            assert (log.stored, log.cursor) == (0, 1)  # it is still there, and leaving says so again
            assert log.state["seen"] == [1]


async def test_trap_6_what_was_written_is_not_written_again(store: Store) -> None:
    async with store.journal.open("flow", fold, {}, strategy=Strategy.every(2)) as log:
        await log.append([1])
        await log.append([2])
        await log.flush()
        await log.append([3])
        await log.flush()
        await log.flush()
        await log.snapshot()

    assert await events_of(store) == [1, 2, 3]


async def test_trap_7_discard_stores_nothing_more(store: Store) -> None:
    async with store.journal.open("flow", fold, {}, strategy="manual") as log:
        await log.append([1])
        await log.flush()
        await log.append([2, 3])
        assert log.discard() == 2
    async with store.journal.open("never", fold, {}, strategy="manual") as log:
        await log.append([1])
        log.discard()

    assert await events_of(store) == [1]
    assert not await store.journal.exists("never")


async def test_trap_8_what_a_flow_began_with_holds_when_it_resumes(store: Store) -> None:
    async with store.journal.open("flow", fold, {}, first=[{"policy": "three tries"}]) as log:
        pass

    async with store.journal.open("flow", fold, {}, first=[{"policy": "one try"}]) as log:
        assert log.state["seen"] == [{"policy": "three tries"}]


async def test_trap_9_a_failure_is_replayed_and_not_run_again(store: Store) -> None:
    async with store.journal.open("flow", fold, {}) as log:
        await log.append([{"dispatched": "pay"}, {"failed": "pay"}])
        live = log.state

    async with store.journal.open("flow", fold, {}) as log:
        assert log.state == live
        assert log.state["open"] == []


async def test_trap_10_none_is_a_value_and_a_missing_fact_is_an_error(store: Store) -> None:
    async with store.journal.open("flow", fold, {}, facts_above=100) as log:
        await log.append([{"value": None}, {"value": LARGE}])
    async with store.journal.open("flow", fold, {}, rehydration="lazy") as log:
        assert log.state["seen"][0] == {"value": None}
        reference = log.state["seen"][1]["value"]
        with pytest.raises(NotFound):
            await log.resolve(FactRef("no such", 1))
    await execute(store, "DELETE FROM facts")

    with pytest.raises(NotFound):
        await opened(store)
    async with store.journal.open("flow", fold, {}, rehydration=Rehydration.LAZY) as log:
        with pytest.raises(NotFound):
            await log.resolve(reference)


async def test_trap_11_cold_values_are_given_after_a_hybrid_resume(store: Store) -> None:
    async with store.journal.open("flow", fold, {}, facts_above=100) as log:
        await log.append([{"value": f"{LARGE}{number}"} for number in range(10)])

    async with store.journal.open("flow", fold, {}, rehydration="hybrid", hot=nothing) as log:
        values = [await log.resolve(event["value"]) for event in log.state["seen"]]

    assert values == [f"{LARGE}{number}" for number in range(10)]


async def test_trap_12_a_whole_log_becomes_the_beginning_of_its_stream(store: Store) -> None:
    await store.journal.save("flow", ["old", "older"])

    for number in range(2):
        async with store.journal.open("flow", fold, {}, first=["build"]) as log:
            await log.append([number])

    assert await events_of(store) == ["old", "older", 0, 1]
    assert await store.journal.load("flow") == ["old", "older"]


async def test_trap_13_the_cursor_of_a_log_is_that_of_the_store(store: Store) -> None:
    await store.journal.append("flow", [1, 2, 3])
    async with store.journal.open("flow", fold, {}) as log:
        assert log.stored == 3
    with pytest.raises(CursorConflict) as caught:  # noqa: PT012 - leaving the log raises
        async with store.journal.open("flow", fold, {}) as log:
            await store.journal.append("flow", [4])
            await log.append([5])
    assert (caught.value.expected, caught.value.actual) == (3, 4)


def nothing(_: Any) -> list[FactRef]:
    return []


WRONG: list[dict[str, Any]] = [
    {"strategy": "sometimes"},
    {"snapshot_every": 0},
    {"facts_above": -1},
    {"rehydration": "warm"},
    {"hot": nothing},  # nobody would ask it
    {"fence": "seven"},
]


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: next(iter(wrong)))
async def test_trap_14_no_option_is_taken_without_effect(store: Store, wrong: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput):
        store.journal.open("flow", fold, {}, **wrong)
    with pytest.raises(TypeError):
        store.journal.open("flow", fold, {}, deadline_ms=5)  # type: ignore[call-overload]


async def test_a_damaged_snapshot_or_event_ends_the_open(store: Store) -> None:
    async with store.journal.open("flow", fold, {}) as log:
        await log.append([1, 2])
        await log.snapshot()
        await log.append([3])
    await execute(store, "UPDATE events SET payload = x'34' WHERE sequence = 3")
    with pytest.raises(Corrupt):
        await opened(store)
    await execute(store, "UPDATE stream_snapshots SET snapshot = x'7b7d'")
    with pytest.raises(Corrupt):
        await opened(store)
