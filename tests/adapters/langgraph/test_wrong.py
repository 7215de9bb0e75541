"""What is wrong is refused by each verb of saver and store, and hides no checkpoint and no item."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from langgraph.checkpoint.base import empty_checkpoint
from langgraph.store.base import GetOp, InvalidNamespaceError, ListNamespacesOp, MatchCondition, PutOp, SearchOp

import tenure.asyncio
import tenure.sync
from tenure.adapters.langgraph import TenureSaver, TenureStore
from tenure.errors import InvalidInput
from tests.adapters.sweep import Verb, sweep, verbs_of


def config(**more: Any) -> Any:
    return {"configurable": {"thread_id": "t", "checkpoint_ns": "", **more}}


def checkpoint(name: str) -> Any:
    return {**empty_checkpoint(), "id": name, "channel_values": {"a": 1}}


def verbs_of_saver(saver: TenureSaver, begin: str) -> dict[str, Verb]:
    """Those whose names begin so, with arguments that change nothing of the thread ``t``."""
    other = {"configurable": {"thread_id": "other", "checkpoint_ns": ""}}
    put = {"config": other, "checkpoint": checkpoint("1"), "metadata": {}, "new_versions": {}}
    writes = {"config": config(checkpoint_id="1"), "writes": [("a", 1)], "task_id": "k", "task_path": ""}
    arguments: dict[str, dict[str, Any]] = {
        "put": put,
        "put_writes": writes,
        "get_tuple": {"config": config()},
        "list": {"config": config(), "filter": {}, "before": config(checkpoint_id="9"), "limit": 3},
        "delete_thread": {"thread_id": "other"},
        "delete_for_runs": {"run_ids": ["none"]},
        "copy_thread": {"source_thread_id": "t", "target_thread_id": "copy"},
        "prune": {"thread_ids": ["other"], "strategy": "keep_latest"},
        "get_delta_channel_history": {"config": config(), "channels": ["a"]},
    }
    return {f"{begin}{name}": (getattr(saver, f"{begin}{name}"), each) for name, each in arguments.items()}


def nested(saver: TenureSaver) -> dict[str, Verb]:
    """What stands in the arguments, as arguments."""

    async def put_in(thread_id: Any, checkpoint_ns: Any, checkpoint_id: Any, new_id: Any, value: Any) -> None:
        where = {"thread_id": thread_id, "checkpoint_ns": checkpoint_ns, "checkpoint_id": checkpoint_id}
        new = checkpoint(new_id) | {"channel_values": {"a": value}}
        await saver.aput({"configurable": where}, new, {}, {})

    async def write_in(channel: Any, value: Any) -> None:
        await saver.aput_writes(config(checkpoint_id="1"), [(channel, value)], "n")

    return {
        "put_in": (
            put_in,
            {"thread_id": "other", "checkpoint_ns": "", "checkpoint_id": "0", "new_id": "1", "value": 1},
        ),
        "write_in": (write_in, {"channel": "a", "value": 1}),
    }


@pytest.mark.slow
def test_a_wrong_argument_of_a_saver_is_a_typed_error_and_hides_no_checkpoint(tmp_path: Path) -> None:
    async def over(saver: TenureSaver, verbs: dict[str, Verb]) -> int:
        async def intact() -> Any:
            everything = [each async for each in saver.alist(None)]  # every one that there is can be read
            assert everything
            return [(each.checkpoint, each.metadata) async for each in saver.alist(config())]

        return await sweep(verbs, intact, typed=(NotImplementedError,))

    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "a.db") as store:
            saver = TenureSaver(store)
            await saver.aput(config(), checkpoint("1"), {"source": "input"}, {})
            verbs = verbs_of_saver(saver, "a")
            assert await over(saver, verbs | nested(saver)) > 300
        with tenure.sync.open_store(tmp_path / "b.db") as store:
            saver = TenureSaver(store)
            await saver.aput(config(), checkpoint("1"), {"source": "input"}, {})
            plain = verbs_of_saver(saver, "")
            assert await over(saver, plain) > 250
        assert {*verbs, *plain} == verbs_of(TenureSaver)

    asyncio.run(main())


def interface(items: TenureStore, begin: str) -> dict[str, Verb]:
    """The verbs of one item, and those that list: with arguments that change none of those below ``a``."""
    search = getattr(items, f"{begin}search")
    by_name = {"get": {"refresh_ttl": False}, "delete": {}}
    found = {name: {"namespace": ("c",), "key": "k", **more} for name, more in by_name.items()}
    found["list_namespaces"] = {"prefix": ("a",), "suffix": ("a",), "max_depth": 1, "limit": 2, "offset": 0}
    verbs: dict[str, Verb] = {
        f"{begin}{name}": (getattr(items, f"{begin}{name}"), each) for name, each in found.items()
    }
    terms = {
        "namespace_prefix": ("a",),
        "query": "x",
        "filter": {"x": 1},
        "limit": 2,
        "offset": 0,
        "refresh_ttl": False,
    }

    def called(namespace_prefix: Any, **more: Any) -> Any:
        return search(namespace_prefix, **more)

    async def awaited(namespace_prefix: Any, **more: Any) -> Any:
        return await search(namespace_prefix, **more)

    return {**verbs, f"{begin}search": (awaited if begin else called, terms)}


@pytest.mark.slow
def test_a_wrong_argument_of_a_store_is_a_typed_error_and_hides_no_item(tmp_path: Path) -> None:
    def verbs_of_store(items: TenureStore) -> dict[str, Verb]:
        async def get(**fields: Any) -> None:
            await items.abatch([GetOp(**fields)])

        async def put(**fields: Any) -> None:
            await items.abatch([PutOp(**fields)])

        async def search(**fields: Any) -> None:
            await items.abatch([SearchOp(**fields)])

        async def listed(**fields: Any) -> None:
            await items.abatch([ListNamespacesOp(**fields)])

        matching = (MatchCondition("prefix", ("a",)),)
        spaces = {"match_conditions": matching, "max_depth": 1, "limit": 2, "offset": 0}
        return {
            "abatch": (items.abatch, {"ops": []}),
            "aput": (items.aput, {"namespace": ("b",), "key": "k", "value": {"x": 1}, "index": False}),
            "asweep_ttl": (items.asweep_ttl, {}),
            **interface(items, "a"),
            "get operation": (get, {"namespace": ("a",), "key": "k", "refresh_ttl": False}),
            "put operation": (put, {"namespace": ("b",), "key": "k", "value": {"x": 1}, "index": False, "ttl": 3.0}),
            "search operation": (
                search,
                {"namespace_prefix": ("a",), "filter": {"x": 1}, "limit": 2, "offset": 0, "query": "x"},
            ),
            "list operation": (listed, spaces),
        }

    async def main() -> None:
        with tenure.sync.open_store(tmp_path / "b.db") as opened:
            plain = TenureStore(opened)
            of_threads: dict[str, Verb] = {
                "batch": (plain.batch, {"ops": []}),
                "sweep_ttl": (plain.sweep_ttl, {}),
                "put": (plain.put, {"namespace": ("b",), "key": "k", "value": {"x": 1}, "index": False}),
                **interface(plain, ""),
            }
            assert (
                await sweep(of_threads, lambda: plain.asearch(("a",)), typed=(InvalidNamespaceError, ValueError)) > 100
            )
        async with tenure.asyncio.open_store(tmp_path / "a.db") as store:
            items = TenureStore(store)
            await items.aput(("a",), "k", {"x": 1})

            async def intact() -> Any:
                await items.asearch(())
                await items.alist_namespaces()
                return [each.dict() for each in await items.asearch(("a",))]

            verbs = verbs_of_store(items)
            # ValueError is what the stores that ship raise for a filter.
            assert await sweep(verbs, intact, typed=(InvalidNamespaceError, ValueError)) > 250
            assert {*verbs, *of_threads} >= verbs_of(TenureStore)

    asyncio.run(main())


class Text(str):
    """Text of a class, as ids often are, which says something else of itself than it is."""

    __slots__ = ()

    def __str__(self) -> str:
        raise OSError

    def __repr__(self) -> str:
        raise OSError


class Filter(dict[str, Any]):
    """A dictionary whose class has its own code."""

    def items(self) -> Any:
        raise OSError


class Count(int):
    """A number of a class."""


def nested_in_itself(depth: int) -> list[Any]:
    found: list[Any] = []
    for _ in range(depth):
        found = [found]
    return found


def test_each_verb_of_a_store_refuses_what_has_no_text_and_takes_text_of_any_class(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "agents.db") as opened:
            store: Any = TenureStore(opened)
            typed = (InvalidInput, InvalidNamespaceError)
            for wrong in (object.__new__(Silent), 5, None, nested_in_itself(5_000)):
                for verb in (store.aget, store.adelete):
                    with pytest.raises(typed):
                        await verb(wrong, "k")
                    with pytest.raises(typed):
                        await verb(("a", wrong), "k")
                with pytest.raises(typed):
                    await store.aput(wrong, "k", {})
                with pytest.raises(typed):
                    await store.aput(("a", wrong), "k", {})
                with pytest.raises(typed):
                    await store.asearch(wrong)
                with pytest.raises(typed):
                    await store.alist_namespaces(suffix=(wrong,))
                with pytest.raises(typed):
                    await asyncio.to_thread(store.get, ("a", wrong), "k")
                with pytest.raises(typed):
                    await asyncio.to_thread(store.list_namespaces, prefix=(wrong,))
            for verb in (store.aget, store.adelete):
                with pytest.raises(InvalidInput):
                    await verb(("a",), object.__new__(Silent))
            with pytest.raises(InvalidInput):
                await asyncio.to_thread(store.delete, ("a",), object.__new__(Silent))

            await store.aput((Text("a"), "b"), "k", {"who": Text("ada"), "count": Count(3), "share": Share(0.5)})
            await store.abatch([PutOp((Text("a"),), Text("k2"), {"n": 1})])
            (item,) = await store.asearch((Text("a"),), filter=Filter(who="ada"))
            assert (item.namespace, item.value) == (("a", "b"), {"who": "ada", "count": 3, "share": 0.5})
            assert (await store.aget(("a",), "k2")).value == {"n": 1}
            assert await store.alist_namespaces(prefix=[Text("a")]) == [("a",), ("a", "b")]
            assert await store.asearch(("a",), filter={"who": {1: 2}}) == []

    asyncio.run(main())


class Silent:
    """What no text can be made of."""

    def __repr__(self) -> str:
        raise OSError


class Share(float):
    """A number of a class."""


def test_each_verb_of_a_saver_refuses_what_has_no_text(tmp_path: Path) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "agents.db") as opened:
            saver: Any = TenureSaver(opened)
            await saver.aput(config(), checkpoint("1"), {}, {})
            wrong = Text("t")
            for call in (
                lambda: saver.adelete_thread(wrong),
                lambda: saver.adelete_for_runs([wrong]),
                lambda: saver.acopy_thread(wrong, "copy"),
                lambda: saver.acopy_thread("t", wrong),
                lambda: saver.aprune([wrong]),
                lambda: saver.aput(config(thread_id=wrong), checkpoint("2"), {}, {}),
                lambda: saver.aget_tuple(config(thread_id=wrong)),
            ):
                with pytest.raises(InvalidInput):
                    await call()
            assert [each.checkpoint["id"] async for each in saver.alist(config(), filter=Filter())] == ["1"]

    asyncio.run(main())
