"""`TenureStore` beyond the suite: what is refused, names of any kind, times to live, one commit for a batch."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Generator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
from langgraph.store.base import InvalidNamespaceError, ListNamespacesOp, MatchCondition, PutOp, SearchOp

import tenure.asyncio
import tenure.sync
from tenure.adapters.langgraph import TenureStore
from tenure.adapters.langgraph.addresses import key_of, plain_key_of
from tenure.adapters.langgraph.items import ItemRecord
from tenure.errors import Corrupt, InvalidInput, PayloadTooLarge


@pytest.fixture
def opened(tmp_path: Path) -> Generator[tenure.sync.Store]:
    with tenure.sync.open_store(tmp_path / "agents.db") as store:
        yield store


def embed(texts: Any) -> list[list[float]]:
    return [[float(text.count("a")), float(text.count("b"))] for text in texts]


def test_a_batch_is_put_in_one_commit_and_the_last_of_a_key_wins(opened: tenure.sync.Store) -> None:
    store = TenureStore(opened)
    before = opened.statistics().commits

    store.batch([PutOp(("a",), str(number), {"n": number}) for number in range(50)] + [PutOp(("a",), "0", {"n": -1})])

    assert opened.statistics().commits == before + 1
    found = store.get(("a",), "0")
    assert found is not None
    assert found.value == {"n": -1}
    assert len(store.search(("a",), limit=100)) == 50


def test_what_an_item_was_made_at_stays_when_it_is_changed(opened: tenure.sync.Store) -> None:
    store = TenureStore(opened)
    store.put(("a",), "k", {"n": 1})
    first = store.get(("a",), "k")
    store.put(("a",), "k", {"n": 2})
    second = store.get(("a",), "k")

    assert first is not None
    assert second is not None
    assert (second.created_at, second.value) == (first.created_at, {"n": 2})
    assert second.updated_at >= first.updated_at


def test_items_that_another_has_made_keep_their_time_in_a_batch_with_new_ones(opened: tenure.sync.Store) -> None:
    store, other = TenureStore(opened, ttl={}), TenureStore(opened)
    other.put(("a",), "old", {"n": 0})
    other.put(("a",), "gone", {"n": 0})
    made = {item.key: item.created_at for item in other.search(("a",))}
    before = opened.statistics().commits

    store.batch(
        [
            PutOp(("a",), "brief", {"n": 1}, ttl=5),
            PutOp(("a",), "old", {"n": 1}),
            PutOp(("a",), "gone", None),
            *[PutOp(("a",), f"new {number}", {"n": 1}) for number in range(3)],
        ]
    )

    assert opened.statistics().commits == before + 2  # one for each time to live: what is refused is not written
    found = {item.key: item for item in store.search(("a",))}
    assert sorted(found) == ["brief", "new 0", "new 1", "new 2", "old"]
    assert {item.value["n"] for item in found.values()} == {1}
    assert [found[key].created_at == made["old"] for key in ("old", "brief", "new 0")] == [True, False, False]

    before = opened.statistics().commits
    store.put(("a",), "old", {"n": 2})  # and what is read first, and what is new after that
    store.put(("a",), "newer", {"n": 2})
    store.put(("a",), "newest", {"n": 2})
    store.put(("a",), "old", {"n": 3})
    assert opened.statistics().commits == before + 4
    last = store.get(("a",), "old")
    assert last is not None
    assert (last.created_at, last.value) == (made["old"], {"n": 3})


def test_deletes_between_changes_of_an_item_make_no_change_of_it_wait_for_a_refusal(
    opened: tenure.sync.Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    write = type(opened.state).write

    def spy(*arguments: Any, **named: Any) -> int:
        asked.append(named.get("expected"))
        return write(*arguments, **named)

    monkeypatch.setattr(type(opened.state), "write", spy)
    store = TenureStore(opened)
    for number in range(5):
        store.put(("a",), "changed", {"n": number})
        store.delete(("a",), "none")

    assert len([each for each in asked if each]) == 2  # the first put, and the first change


def nested(levels: int) -> dict[str, Any]:
    """So deep, with brackets in texts and in keys, and beside it."""
    value: dict[str, Any] = {'{"\\': "[[{" * 400, "\\": '\\"['}
    for number in range(levels - 1):
        value = {'[\\"{' if number % 2 else "}": value, "wide": number}
    return value


def test_the_depth_of_a_value_is_that_of_its_brackets_and_not_of_its_texts(opened: tenure.sync.Store) -> None:
    store = TenureStore(opened)
    wide, text = {str(number): {"[": []} for number in range(1_000)}, {"text": '"' + "[" * 300}
    for value in (nested(200), wide, text):
        store.put(("a",), "k", value)
        found = store.get(("a",), "k")
        assert found is not None
        assert found.value == value

    with pytest.raises(InvalidInput, match="nested deeper than 200"):
        store.put(("a",), "k", nested(201))


def test_a_thousand_items_and_more_are_put_at_once(opened: tenure.sync.Store) -> None:
    store = TenureStore(opened)
    for turn in range(2):
        store.batch([PutOp(("a",), str(number), {"n": turn}) for number in range(1_001)])

    assert {item.value["n"] for item in store.search(("a",), limit=2_000)} == {1}


LABELS = ["a", "a b", "é" * 30, "x" * 200, "x" * 199 + "y", ":", "%", "a:", "*", "\n"]


def test_labels_and_keys_of_any_text_are_told_apart(opened: tenure.sync.Store) -> None:
    store = TenureStore(opened)
    for label in LABELS:
        store.put((label,), label, {"of": label})
        store.put(("below", label), "k", {"of": label})

    for label in LABELS:
        found = store.get((label,), label)
        assert found is not None
        assert found.value == {"of": label}
        assert [each.value for each in store.search(("below", label))] == [{"of": label}]
    assert len(store.search((), limit=100)) == 2 * len(LABELS)
    assert store.list_namespaces(max_depth=1) == sorted({(label,) for label in [*LABELS, "below"]})
    assert len(store.list_namespaces(suffix=("*", "a"))) == 1


def test_a_key_that_is_made_of_a_known_namespace_is_that_of_the_item() -> None:
    labels = [*LABELS, "b", "a-b", "a.b", "", "langgraph", "l" * 80, "l" * 81]
    namespaces = [each for depth in range(3) for each in itertools.product(labels, repeat=depth)]
    plain = 0
    for _ in range(2):  # what is known of a namespace is asked for the second time
        for namespace, key in itertools.product(namespaces, ["", "k", "a.b", "a:b", "é", "k" * 70, "k" * 80, "k" * 81]):
            found = plain_key_of(namespace, key)
            plain += found is not None
            assert found in {None, key_of((namespace, key))}
            if not namespace or namespace[0] == "langgraph" or {"", "a.b"}.intersection(namespace):
                assert found is None  # LangGraph refuses it, and that is for its own code to say

    assert plain == 2 * (4 + 4 * 5) * 5
    assert plain_key_of(("l" * 80,) * 5, "k") is None
    with pytest.raises(InvalidInput):
        key_of((("l" * 80,) * 6, "k" * 80))


def test_a_search_goes_over_pages(opened: tenure.sync.Store) -> None:
    store = TenureStore(opened)
    store.batch([PutOp(("a", str(number % 3)), str(number), {"n": number}) for number in range(450)])

    assert len(store.search(("a",), limit=1_000)) == 450
    assert {each.value["n"] for each in store.search(("a",), filter={"n": {"$gte": 448}})} == {448, 449}
    assert store.list_namespaces() == [("a", "0"), ("a", "1"), ("a", "2")]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"n": 1}, "one"),
        ({"n": True}, "yes"),
        ({"n": None}, "absent none"),
        ({"n": {"$ne": 1}}, "absent deep list none text yes"),
        ({"n": {"$gt": 0, "$lte": 1}}, "one yes"),
        ({"n": {"$gt": "a"}}, "text"),
        ({"n": {"deep": 1}}, "deep"),
        ({"n.deep": 1}, "deep"),
        ({"n": ("a", "b")}, "list"),
    ],
    ids=str,
)
def test_filters(opened: tenure.sync.Store, wanted: dict[str, Any], found: str) -> None:
    store = TenureStore(opened)
    values: dict[str, Any] = {"one": 1, "yes": True, "none": None, "text": "b", "deep": {"deep": 1}, "list": ["a", "b"]}
    store.batch([PutOp(("a",), key, {"n": value}) for key, value in values.items()] + [PutOp(("a",), "absent", {})])

    assert " ".join(sorted(each.key for each in store.search(("a",), filter=wanted))) == found


def test_what_makes_no_sense_is_refused_before_anything_is_put(opened: tenure.sync.Store) -> None:
    store = TenureStore(opened)
    put = PutOp(("a",), "k", {"n": 1})
    middle: Any = "middle"

    for op, error in (
        (SearchOp((), {"n'": 1}), ValueError),
        (SearchOp((), {"n": {"$like": 1}}), ValueError),
        (SearchOp((), limit=-1), InvalidInput),
        (ListNamespacesOp((MatchCondition(middle, ("a",)),)), ValueError),
        (PutOp(("a",), "k", {"n": object()}), InvalidInput),
        (PutOp(("a",), "\ud800", {}), InvalidInput),
        (PutOp(("a" * 70,) * 8, "k", {}), InvalidInput),
        (PutOp(("a",), "k", {}, ttl=-1), InvalidInput),
    ):
        with pytest.raises(error):
            store.batch([put, op])
    assert store.search(()) == []


def test_a_query_finds_what_is_near_and_only_what_has_vectors(opened: tenure.sync.Store) -> None:
    store = TenureStore(opened, index={"dims": 2, "embed": embed, "fields": ["text", "more[*]"]})
    store.put(("a",), "as", {"text": "aaa", "more": ["b"]})
    store.put(("a",), "bs", {"text": "bbb"})
    store.put(("a",), "plain", {"text": "aaa"}, index=False)
    store.put(("a",), "other", {"title": "aaa"})

    found = store.search(("a",), query="bb")

    assert {each.key: round(each.score or 0, 3) for each in found} == {"as": 1.0, "bs": 1.0}
    assert [each.key for each in store.search(("a",), query="a", limit=1)] == ["as"]
    assert len(store.search(("a",))) == 4


def test_a_query_is_refused_where_vectors_were_made_in_another_way(opened: tenure.sync.Store) -> None:
    TenureStore(opened, index={"dims": 2, "embed": embed}).put(("a",), "k", {"text": "a"})
    wider = TenureStore(opened, index={"dims": 3, "embed": lambda texts: [[1.0, 0.0, 1.0] for _ in texts]})

    with pytest.raises(InvalidInput, match="3 numbers"):
        wider.search(("a",), query="a")
    assert len(wider.search(("a",))) == 1


def test_a_time_to_live_is_begun_anew_by_reads_and_never_shortened(opened: tenure.sync.Store) -> None:
    store = TenureStore(opened, ttl={"default_ttl": 60})
    store.put(("a",), "k", {})
    store.put(("a",), "ever", {}, ttl=None)
    key = "langgraph.store:a.:k"
    opened.state.renew([key], 2 * 3600)

    store.get(("a",), "k")
    store.search(("a",))

    assert store.sweep_ttl() == 0
    assert len(opened.state.items("langgraph.store:")) == 2


def test_what_is_stored_under_a_key_and_is_no_item_is_corrupt(opened: tenure.sync.Store) -> None:
    store = TenureStore(opened)
    no_json = ItemRecord(
        version=1,
        namespace=("a",),
        key="k",
        value=b"{",
        created_at=0.0,
        updated_at=0.0,
        ttl_minutes=None,
        vectors=(),
    )
    for data in (b"", b"\x91\x02", b"{}", msgspec.msgpack.encode(no_json)):
        opened.state.set("langgraph.store:a.:k", data)
        with pytest.raises(Corrupt):
            store.get(("a",), "k")
        with pytest.raises(Corrupt):
            store.search(("a",))


def test_a_graph_uses_both_on_one_file_from_a_loop(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "agents.db") as opened:
            store = TenureStore(opened, index={"dims": 2, "embed": embed})
            await store.aput(("a",), "k", {"text": "ab"})
            (found,) = await store.asearch(("a",), query="ab")
            assert found.score == pytest.approx(1.0)
            assert await asyncio.to_thread(store.get, ("a",), "k") is not None
            assert await store.alist_namespaces() == [("a",)]
            assert await store.asweep_ttl() == 0
            await store.adelete(("a",), "k")
            assert await store.aget(("a",), "k") is None

    asyncio.run(main())


def test_tasks_that_put_at_once_share_commits_and_each_hears_its_own_error(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_store(
            tmp_path / "agents.db", limits=tenure.Limits(payload_bytes=1_000)
        ) as opened:
            store = TenureStore(opened)
            before = (await opened.statistics()).commits
            await asyncio.gather(*[store.aput(("a",), str(number), {}) for number in range(100)])
            assert (await opened.statistics()).commits <= before + 3
            assert len(await store.asearch(("a",), limit=200)) == 100

            large = {"text": "x" * 2_000}
            ended = await asyncio.gather(
                *[store.aput(("b",), str(number), large if number == 5 else {}) for number in range(10)],
                return_exceptions=True,
            )
            assert [type(each) for each in ended if each is not None] == [PayloadTooLarge]
            assert len(await store.asearch(("b",))) == 9

            first = asyncio.ensure_future(store.aput(("c",), "first", {}))
            left_out = asyncio.ensure_future(store.aput(("c",), "left out", {}))
            third = asyncio.ensure_future(store.aput(("c",), "third", {}))
            await asyncio.sleep(0)
            left_out.cancel()
            await asyncio.wait([first, left_out, third])
            assert left_out.cancelled()
            assert {each.key for each in await store.asearch(("c",))} == {"first", "third"}

    asyncio.run(main())


def test_tasks_that_go_round_together_share_one_commit_a_round(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "agents.db") as opened:
            store = TenureStore(opened)
            before = (await opened.statistics()).commits

            async def go_round(name: int) -> None:
                for turn in range(10):
                    await store.aput(("a", str(name)), str(turn), {})

            await asyncio.gather(*[go_round(name) for name in range(20)])
            assert (await opened.statistics()).commits <= before + 12
            assert len(await store.asearch(("a",), limit=300)) == 200

    asyncio.run(main())


def test_a_put_of_a_task_is_checked_as_the_interface_says(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "agents.db") as opened:
            store = TenureStore(opened)
            for namespace in ((), ("langgraph", "a"), ("a.b",), ("a", ""), ("a\x00",), ("a", 1)):
                with pytest.raises(InvalidNamespaceError):
                    await store.aput(cast("Any", namespace), "k", {})
            with pytest.raises(InvalidInput):
                await store.aput(("a",), "k", {"n": object()})
            await store.aput(("a", "langgraph"), "k", {"n": 1}, index=False)
            await store.aput(("a", "b"), "k", {"n": 1}, ttl=5)
            assert [item.namespace for item in await store.asearch(())] == [("a", "b"), ("a", "langgraph")]
            await store.aput(("a", "b"), cast("Any", 5), {"n": 2})  # of which the framework makes text
            assert [item.key for item in await store.asearch(("a", "b"))] == ["5", "k"]

            brief = TenureStore(opened, ttl={"default_ttl": 0.001})
            await brief.aput(("c",), "k", {})
            await brief.aput(("c",), "for ever", {}, ttl=None)
            await asyncio.sleep(0.1)
            assert [item.key for item in await brief.asearch(("c",))] == ["for ever"]

    asyncio.run(main())


def test_a_batch_that_has_begun_is_waited_for_and_one_that_waits_for_company_is_left_out(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "agents.db") as opened:
            store = TenureStore(opened)
            await asyncio.gather(*[store.aput(("a",), str(number), {}) for number in range(3)])  # they have had company
            left_out = asyncio.ensure_future(store.aput(("b",), "left out", {}))
            await asyncio.sleep(0)
            left_out.cancel()
            begun = [asyncio.ensure_future(store.aput(("b",), str(number), {})) for number in range(3)]
            for _ in range(3):
                await asyncio.sleep(0)
            begun[0].cancel()
            await asyncio.wait([left_out, *begun])
            assert [each.cancelled() for each in (left_out, *begun)] == [True, True, False, False]
            assert {each.key for each in await store.asearch(("b",))} == {"0", "1", "2"}

    asyncio.run(main())
