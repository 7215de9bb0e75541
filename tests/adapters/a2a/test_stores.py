"""The stores of A2A: what they promise beyond what those of the framework do."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from a2a.helpers.proto_helpers import new_data_part
from a2a.types.a2a_pb2 import Artifact, ListTasksRequest, Task
from google.protobuf.json_format import ParseError
from google.protobuf.message import DecodeError

import tenure.asyncio
from tenure.adapters.a2a import TenurePushConfigStore, TenureTaskStore
from tenure.errors import Corrupt, InvalidInput, PayloadTooLarge

from .scenarios import config, of, task


def run(main: Any, path: Path) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(120), tenure.asyncio.open_store(path / "agents.db") as store:
            await main(store)

    asyncio.run(bounded())


def test_damage_is_said_and_nothing_is_made_of_it(tmp_path: Path) -> None:
    async def main(store: tenure.asyncio.Store) -> None:
        tasks, pushes = TenureTaskStore(store), TenurePushConfigStore(store)
        await tasks.save(task("t"), of(""))
        await pushes.set_info("t", config("a"), of(""))
        for key, data in await store.state.items("a2a."):
            for damaged in (b"\xc1", data[:1] + b"\x07" + data[2:], data[:-2] + b"\xff\xff"):
                await store.state.write({key: damaged})
                with pytest.raises(Corrupt):
                    await (tasks.get("t", of("")) if "tasks" in key else pushes.get_info_for_dispatch("t"))
            await store.state.write({key: data})
        assert await tasks.get("t", of("")) == task("t")

    run(main, tmp_path)


def test_what_makes_no_sense_is_refused_and_changes_nothing(tmp_path: Path) -> None:
    depths: list[int] = []
    no_store: Any = object()
    for kind in (TenureTaskStore, TenurePushConfigStore):
        with pytest.raises(InvalidInput):
            kind(no_store)

    async def main(store: tenure.asyncio.Store) -> None:
        tasks, pushes = TenureTaskStore(store), TenurePushConfigStore(store)
        large = task("t")
        large.metadata.update({"text": "x" * 2**24})
        with pytest.raises(PayloadTooLarge):
            await tasks.save(large, of(""))
        with pytest.raises(PayloadTooLarge):
            await pushes.set_info("t", config("a", "x" * 2**24), of(""))
        for depth in range(30, 60):  # from some of these on protobuf writes what it does not read
            nested: Any = 1
            for _ in range(depth):
                nested = [nested]
            try:
                part = new_data_part(nested)
                await tasks.save(Task(id="deep", artifacts=[Artifact(parts=[part])]), of(""))
            except (ParseError, DecodeError, InvalidInput):
                depths.append(depth)
            assert len((await tasks.list(ListTasksRequest(), of(""))).tasks) == 1
        await tasks.delete("deep", of(""))
        wrong: Any
        for wrong in (3, None, "\ud800"):
            with pytest.raises(InvalidInput):
                await tasks.get(wrong, of(""))
            with pytest.raises(InvalidInput):
                await tasks.save(task("t"), of(wrong))
            with pytest.raises(InvalidInput):
                await tasks.list(ListTasksRequest(), of(wrong))
            with pytest.raises(InvalidInput):
                await pushes.get_info(wrong, of(""))
            with pytest.raises(InvalidInput):
                await pushes.delete_info(wrong, of(""))
        assert await store.state.items("a2a.") == []

    run(main, tmp_path)
    assert depths == list(range(depths[0], 60))
