"""Appends to a session until it is killed, two items at a time, and prints each number that is acknowledged."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import tenure.asyncio
from tenure.adapters.openai_agents import TenureSession


async def main(path: str) -> None:
    async with tenure.asyncio.open_store(path) as store:
        session = TenureSession("alice", store)
        at = len(await session.get_items()) // 2
        while True:
            item: Any = {"role": "user", "content": at}
            await session.add_items([item, item])
            sys.stdout.write(f"{at}\n")
            sys.stdout.flush()
            at += 1


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
