"""`TenureSaver` beyond the suites: names of any kind, both fronts at once, what is refused, and what a prune must keep."""

from __future__ import annotations

import asyncio
import operator
import threading
from collections.abc import Callable, Coroutine, Generator
from pathlib import Path
from typing import Annotated, Any, TypedDict

import pytest
from langchain_core.runnables import RunnableConfig
from langgraph.channels.delta import DeltaChannel
from langgraph.checkpoint.base import Checkpoint, empty_checkpoint
from langgraph.graph import END, START, StateGraph

import tenure
import tenure.asyncio
import tenure.sync
from tenure.adapters.langgraph import TenureSaver
from tenure.errors import Closed, Corrupt, InvalidInput, PayloadTooLarge, StaleFence


@pytest.fixture
def store(tmp_path: Path) -> Generator[tenure.sync.Store]:
    with tenure.sync.open_store(tmp_path / "agents.db") as store:
        yield store


def config(thread_id: Any = "t", **more: Any) -> RunnableConfig:
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": "", **more}}


def checkpoint(checkpoint_id: str, **values: Any) -> Checkpoint:
    return {**empty_checkpoint(), "id": checkpoint_id, "channel_values": values}


def ids(saver: TenureSaver, *arguments: Any, **terms: Any) -> list[str]:
    return [each.checkpoint["id"] for each in saver.list(*arguments, **terms)]


async def idle(run: tenure.Run) -> None:
    """Has no inputs."""


def run(main: Callable[[], Coroutine[Any, Any, None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await main()

    asyncio.run(bounded())


class State(TypedDict):
    done: Annotated[list[str], operator.add]


def graph(saver: TenureSaver) -> Any:
    def first(state: State) -> dict[str, Any]:
        return {"done": ["first"]}

    def second(state: State) -> dict[str, Any]:
        return {"done": ["second"]}

    builder = StateGraph(State)
    builder.add_node("first", first)
    builder.add_node("second", second)
    builder.add_edge(START, "first")
    builder.add_edge("first", "second")
    builder.add_edge("second", END)
    return builder.compile(checkpointer=saver, interrupt_before=["second"])


def test_a_graph_goes_on_where_another_process_would_open_the_file(tmp_path: Path) -> None:
    with tenure.sync.open_store(tmp_path / "agents.db") as store:
        graph(TenureSaver(store)).invoke({"done": []}, config())

    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "agents.db") as store:
            opened = graph(TenureSaver(store))
            assert (await opened.aget_state(config())).next == ("second",)
            assert (await opened.ainvoke(None, config()))["done"] == ["first", "second"]
            # From a thread, while the loop is free.
            history = await asyncio.to_thread(lambda: list(opened.get_state_history(config())))
            assert [each.next for each in history] == [(), ("second",), ("first",), ("__start__",)]

    run(main)


def test_a_store_of_a_thread_serves_a_loop_too(store: tenure.sync.Store) -> None:
    async def main() -> None:
        opened = graph(TenureSaver(store))
        await opened.ainvoke({"done": []}, config())
        assert [each.next async for each in opened.aget_state_history(config())] == [
            ("second",),
            ("first",),
            ("__start__",),
        ]

    run(main)


def test_a_verb_that_would_wait_for_its_own_loop_is_refused(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "agents.db") as store:
            with pytest.raises(InvalidInput, match="begins with an a"):
                TenureSaver(store).get_tuple(config())

            def without_a_loop() -> None:
                TenureSaver(store)

            with pytest.raises(InvalidInput, match="on the loop"):
                await asyncio.to_thread(without_a_loop)

    run(main)
    path: Any = "agents.db"
    with pytest.raises(InvalidInput):
        TenureSaver(path)


def test_a_thread_that_goes_on_when_its_loop_has_ended_is_refused(tmp_path: Path) -> None:
    ends: list[BaseException] = []

    def putting(saver: TenureSaver) -> None:
        try:
            for number in range(100_000):
                saver.put(config(), checkpoint(f"{number:06}"), {}, {})
        except BaseException as exc:  # noqa: BLE001 - what it is, is asked below
            ends.append(exc)

    async def main() -> threading.Thread:
        async with tenure.asyncio.open_store(tmp_path / "agents.db") as store:
            thread = threading.Thread(target=putting, args=(TenureSaver(store),), daemon=True)
            thread.start()
            await asyncio.sleep(0.05)
        return thread

    for _ in range(3):  # it is met at another place each time
        thread = asyncio.run(main())
        thread.join(10)
        assert not thread.is_alive()
    assert [type(end) for end in ends] == [Closed] * 3


def test_a_thread_is_refused_before_and_after_its_loop_takes_anything(store: tenure.sync.Store) -> None:
    async def main() -> TenureSaver:
        async with tenure.asyncio.open_store(":memory:") as opened:
            return TenureSaver(opened)

    saver = asyncio.run(main())
    with pytest.raises(Closed):
        saver.put(config(), checkpoint("1"), {}, {})


def test_what_names_no_thread_or_checkpoint_is_refused(store: tenure.sync.Store) -> None:
    saver = TenureSaver(store)

    with pytest.raises(InvalidInput, match="thread"):
        saver.get_tuple({"configurable": {}})
    with pytest.raises(InvalidInput, match="checkpoint"):
        saver.put_writes(config(), [("a", 1)], "task")
    with pytest.raises(InvalidInput, match="surrogate"):
        saver.put(config("\ud800"), checkpoint("1"), {}, {})
    with pytest.raises(InvalidInput, match="surrogate"):
        saver.put_writes(config(checkpoint_id="1"), [("\ud800", 1)], "task")
    with pytest.raises(InvalidInput, match="110 characters"):
        saver.put(config(), checkpoint("x" * 111), {}, {})
    with pytest.raises(InvalidInput, match="strategy"):
        saver.prune(["t"], strategy="newest")


NAMES = ["a", "a:b", "a!b", "a%3A", "é" * 40, "x" * 500, "x" * 499 + "y", "\0", "=", "a b", "A"]


def test_threads_namespaces_and_ids_of_any_text_are_told_apart(store: tenure.sync.Store) -> None:
    saver = TenureSaver(store)
    for name in NAMES:
        saver.put(config(name), checkpoint("1", of=name), {}, {})
        saver.put(config("t", checkpoint_ns=name), checkpoint("1", of=name), {}, {})
    for checkpoint_id in ("a", "a!", "a-b", "a:", "a\0"):
        put = saver.put(config("ids"), checkpoint(checkpoint_id, of=checkpoint_id), {}, {})
        saver.put_writes(put, [("channel", checkpoint_id)], "task:1")

    for name in NAMES:
        for found in (saver.get_tuple(config(name)), saver.get_tuple(config("t", checkpoint_ns=name))):
            assert found is not None
            assert found.checkpoint["channel_values"] == {"of": name}
    for found in saver.list(config("ids")):
        assert [write[2] for write in found.pending_writes or []] == [found.checkpoint["id"]]
    assert len(ids(saver, config("ids"))) == 5
    saver.delete_thread("a")
    assert len(ids(saver, None)) == 2 * len(NAMES) - 1 + 5


def test_pages_of_a_long_thread_are_put_together(store: tenure.sync.Store) -> None:
    saver = TenureSaver(store)
    for number in range(150):
        put = saver.put(config(), checkpoint(f"{number:03}"), {"step": number, "source": "loop"}, {})
        saver.put_writes(put, [(f"c{place}", place) for place in range(number % 5)], "task")
    saver.put_writes(config(checkpoint_id="149"), [("c", place) for place in range(450)], "wide")
    expected = [f"{number:03}" for number in reversed(range(150))]

    assert ids(saver, config()) == ids(saver, {"configurable": {"thread_id": "t"}}) == expected
    assert ids(saver, config(), limit=7) == expected[:7]
    assert ids(saver, config(), limit=0) == []
    assert ids(saver, config(), before=config(checkpoint_id="100"), limit=2) == ["099", "098"]
    assert ids(saver, config(), filter={"step": 5, "source": "loop"}) == ["005"]
    assert ids(saver, config(checkpoint_id="007")) == ["007"]
    assert ids(saver, config(checkpoint_id="007"), filter={"step": 8}) == []
    for found in saver.list(config()):
        writes = [write[2] for write in found.pending_writes or [] if write[0] == "task"]
        assert writes == list(range(int(found.checkpoint["id"]) % 5))
    latest = saver.get_tuple(config())
    assert latest is not None
    assert [write[2] for write in latest.pending_writes or [] if write[0] == "wide"] == list(range(450))

    saver.copy_thread("t", "u")
    saver.delete_thread("t")

    assert ids(saver, config("u")) == ids(saver, None) == expected
    assert {each.config.get("configurable", {})["thread_id"] for each in saver.list(config("u"))} == {"u"}
    saver.prune(["u"], strategy="keep_latest")
    assert ids(saver, config("u")) == expected[:1]


def test_a_write_that_stands_stays_and_an_error_is_replaced(store: tenure.sync.Store) -> None:
    saver = TenureSaver(store)
    put = saver.put(config(), checkpoint("1"), {}, {})

    saver.put_writes(put, [("a", 1), ("b", 1)], "task", "path")
    saver.put_writes(put, [("a", 2), ("b", 2), ("c", 2)], "task", "path")
    saver.put_writes(put, [("__error__", "first")], "task")
    saver.put_writes(put, [("__error__", "second")], "task")

    found = saver.get_tuple(config())
    assert found is not None
    assert found.pending_writes == [
        ("task", "__error__", "second"),
        *[("task", *each) for each in [("a", 1), ("b", 1), ("c", 2)]],
    ]


def test_writes_of_a_checkpoint_that_was_never_put_hide_no_other(store: tenure.sync.Store) -> None:
    saver = TenureSaver(store)
    saver.put(config(), checkpoint("1"), {}, {})
    saver.put_writes(config(checkpoint_id="2"), [("a", 1)], "task")

    found = saver.get_tuple(config())

    assert found is not None
    assert found.checkpoint["id"] == "1"
    assert saver.get_tuple(config(checkpoint_id="2")) is None
    assert ids(saver, config()) == ["1"]
    saver.put(config(), checkpoint("2"), {}, {})
    found = saver.get_tuple(config())
    assert found is not None
    assert found.pending_writes == [("task", "a", 1)]


def test_each_verb_that_writes_is_one_commit_and_a_copy_is_one_for_two_hundred_keys(store: tenure.sync.Store) -> None:
    saver = TenureSaver(store)

    def commits(verb: Callable[..., Any], *arguments: Any, **terms: Any) -> int:
        before = store.statistics().commits
        verb(*arguments, **terms)
        return store.statistics().commits - before

    assert commits(saver.put, config(), checkpoint("1"), {}, {}) == 1
    assert commits(saver.put_writes, config(checkpoint_id="1"), [(f"c{at}", at) for at in range(399)], "task") == 1
    assert commits(saver.copy_thread, "t", "u") == 2
    assert commits(saver.prune, ["u"], strategy="delete") == 1
    assert commits(saver.delete_thread, "t") == 1
    assert ids(saver, None) == []


def test_a_checkpoint_is_as_long_as_a_payload_may_be(tmp_path: Path) -> None:
    with tenure.sync.open_store(tmp_path / "agents.db", limits=tenure.Limits(payload_bytes=2_000)) as store:
        saver = TenureSaver(store)
        saver.put(config(), checkpoint("1"), {}, {})
        with pytest.raises(PayloadTooLarge):
            saver.put(config(), checkpoint("2", text="x" * 2_000), {}, {})
        assert ids(saver, config()) == ["1"]


def test_a_thread_under_the_fence_of_a_runtime_is_read_and_not_written(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_supervisor(tmp_path / "agents.db", behaviours={"clerk": idle}) as host:
            saver = TenureSaver(host.store)
            put = await saver.aput(config(), checkpoint("1"), {}, {})
            handle = await host.spawn("ada", "clerk")
            await host.store.state.bind("langgraph:t", "ada", fence=handle.fence_token)

            with pytest.raises(StaleFence):
                await saver.aput(put, checkpoint("2"), {}, {})
            with pytest.raises(StaleFence):
                await saver.adelete_thread("t")
            assert [each.checkpoint["id"] async for each in saver.alist(config())] == ["1"]

    run(main)


def test_savers_of_two_stores_on_one_file_see_what_each_other_has_written(tmp_path: Path) -> None:
    with (
        tenure.sync.open_store(tmp_path / "agents.db") as one,
        tenure.sync.open_store(tmp_path / "agents.db") as two,
    ):
        savers = (TenureSaver(one), TenureSaver(two))
        for number in range(6):
            saver, other = savers[number % 2], savers[1 - number % 2]
            put = saver.put(config(), checkpoint(str(number)), {}, {})
            other.put_writes(put, [("channel", number)], "task")
            found = saver.get_tuple(config())
            assert found is not None
            assert (found.checkpoint["id"], found.pending_writes) == (str(number), [("task", "channel", number)])
        savers[0].delete_thread("t")
        assert savers[1].get_tuple(config()) is None


class Deltas(TypedDict):
    items: Annotated[list[str], DeltaChannel(operator.add)]


def test_a_prune_keeps_what_the_latest_checkpoint_is_rebuilt_from(store: tenure.sync.Store) -> None:
    saver = TenureSaver(store)
    builder = StateGraph(Deltas)
    builder.add_node("noop", lambda state: {})
    builder.add_edge(START, "noop")
    builder.add_edge("noop", END)
    opened: Any = builder.compile(checkpointer=saver)
    for number in range(5):
        opened.invoke({"items": [f"v{number}"]}, config())
    before = opened.get_state(config()).values

    saver.prune(["t"])

    assert len(before["items"]) == 5
    assert opened.get_state(config()).values == before


def test_what_is_stored_under_a_key_and_is_no_record_is_corrupt(store: tenure.sync.Store) -> None:
    saver = TenureSaver(store)
    saver.put(config(), checkpoint("1"), {}, {})

    for data in (b"", b"\x91\x02", b"{}"):
        store.state.set("langgraph:t::1", data)
        with pytest.raises(Corrupt):
            saver.get_tuple(config())
