"""Puts that wait for one another, where the task that would carry them out is cancelled before its first step."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import tenure.asyncio
from tenure.adapters.langgraph import TenureStore


@pytest.mark.parametrize("all_of_them", [True, False])
def test_a_round_whose_task_was_cancelled_before_it_began_is_begun_anew(tmp_path: Path, *, all_of_them: bool) -> None:
    async def main() -> None:
        async with tenure.asyncio.open_store(tmp_path / "agents.db") as opened:
            store, others = TenureStore(opened), asyncio.all_tasks()

            async def first() -> None:
                await store.aput(("a",), "first", {})
                found = asyncio.all_tasks() - others - {asyncio.current_task()}
                for each in found if all_of_them else found.difference(waiting):
                    each.cancel()

            goes_first = asyncio.ensure_future(first())
            waiting = [asyncio.ensure_future(store.aput(("a",), str(number), {})) for number in range(3)]
            async with asyncio.timeout(10):
                await asyncio.wait([goes_first, *waiting])
                assert [each.cancelled() for each in waiting] == [all_of_them] * 3
                await store.aput(("a",), "last", {})
            await goes_first
            landed = {"first", "last"} if all_of_them else {"first", "0", "1", "2", "last"}
            assert {each.key for each in await store.asearch(("a",))} == landed

    asyncio.run(main())
