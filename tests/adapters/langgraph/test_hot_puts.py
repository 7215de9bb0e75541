"""What keeps a put short that comes with others. This counts work, and looks at no clock."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from types import FrameType
from typing import Any

import tenure.asyncio
from tenure.adapters.langgraph import TenureStore

TASKS = 100
BYTECODES = 298
"""What one put of these takes of this library in the thread of the loop, and a few to spare."""


async def rounds(store: TenureStore, first: int, count: int) -> None:
    """Let so many tasks put so many items each."""

    async def work(task: int) -> None:
        for turn in range(first, first + count):
            await store.aput(("agents", str(task)), str(turn), {"message": {"content": "said"}})

    await asyncio.gather(*[work(task) for task in range(TASKS)])


def test_a_put_of_many_tasks_takes_no_more_than_it_did(tmp_path: Path) -> None:
    took = 0

    def count(frame: FrameType, event: str, _: object) -> Any:
        nonlocal took
        if event == "call" and not str(frame.f_globals.get("__name__")).startswith("tenure."):
            return None
        frame.f_trace_opcodes = True
        took += event == "opcode"
        return count

    async def main() -> float:
        async with tenure.asyncio.open_store(tmp_path / "agents.db") as opened:
            store = TenureStore(opened)
            await rounds(store, 0, 2)
            sys.settrace(count)
            try:
                await rounds(store, 2, 5)
            finally:
                sys.settrace(None)
            return took / (5 * TASKS)

    each = asyncio.run(main())
    assert each <= BYTECODES, each
