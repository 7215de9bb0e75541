"""Puts `TenureSaver` where the tests of langgraph-checkpoint-sqlite import their savers from."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from types import ModuleType
from typing import Any

import tenure.asyncio
import tenure.sync
from tenure.adapters.langgraph import TenureSaver


class SqliteSaver:
    """Named as theirs."""

    @staticmethod
    @contextmanager
    def from_conn_string(target: str) -> Generator[TenureSaver]:
        with tenure.sync.open_store(target) as store:
            yield TenureSaver(store)


class AsyncSqliteSaver:
    """Named as theirs."""

    @staticmethod
    @asynccontextmanager
    async def from_conn_string(target: str) -> AsyncGenerator[TenureSaver]:
        async with tenure.asyncio.open_store(target) as store:
            yield TenureSaver(store)


def replace(name: str, **values: Any) -> None:
    """Let a module be one with these names."""
    module = ModuleType(name)
    module.__path__ = []
    module.__dict__.update(values)
    sys.modules[name] = module


replace("langgraph.checkpoint.sqlite", SqliteSaver=SqliteSaver)
replace("langgraph.checkpoint.sqlite.aio", AsyncSqliteSaver=AsyncSqliteSaver)
replace("langgraph.checkpoint.sqlite._delta", DELTA_STAGE1_SQL="of another saver")
