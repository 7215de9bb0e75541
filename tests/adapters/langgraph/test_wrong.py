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
            "get": (get, {"namespace": ("a",), "key": "k", "refresh_ttl": False}),
            "put": (put, {"namespace": ("b",), "key": "k", "value": {"x": 1}, "index": False, "ttl": 3.0}),
            "search": (search, {"namespace_prefix": ("a",), "filter": {"x": 1}, "limit": 2, "offset": 0, "query": "x"}),
            "list_namespaces": (listed, spaces),
        }

    async def main() -> None:
        with tenure.sync.open_store(tmp_path / "b.db") as opened:
            plain = TenureStore(opened)
            of_threads: dict[str, Verb] = {
                "batch": (plain.batch, {"ops": []}),
                "sweep_ttl": (plain.sweep_ttl, {}),
            }
            assert await sweep(of_threads, lambda: plain.asearch(())) > 10
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
