"""Puts `TenureSaver` and `TenureStore` where the tests of langgraph-checkpoint-sqlite import theirs from.

What a test asks of a module beside them, such as how it writes its SQL, is left as it is.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from types import ModuleType
from typing import Any

import pytest
from langgraph.store.sqlite import base as theirs

import tenure.asyncio
import tenure.sync
from tenure.adapters.langgraph import TenureSaver, TenureStore

OF_THEIR_SQL = (
    "NS_MATCH_FUNCTION",
    "BaseSqliteStore",
    "SqliteIndexConfig",
    "_escape_glob_literal",
    "_namespace_match_pattern",
)


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


def with_their_names(index: Any) -> Any:
    """An index as the interface has it: theirs has another name for the fields that become vectors."""
    return None if index is None else {**index, "fields": index.get("text_fields")}


class Opened:
    """A store of ours with what the tests call beside the interface."""

    def __init__(self, store: TenureStore, *, on_loop: bool) -> None:
        self._store, self._on_loop = store, on_loop

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def setup(self) -> Any:
        return self._done()

    def start_ttl_sweeper(self) -> Any:
        return self._done()  # what has expired is never given: there is nothing to start

    def stop_ttl_sweeper(self) -> Any:
        return self._done()

    def sweep_ttl(self) -> Any:
        return self._store.asweep_ttl() if self._on_loop else self._store.sweep_ttl()

    def _done(self) -> Any:
        return asyncio.sleep(0) if self._on_loop else None


class SqliteStore:
    """Named as theirs."""

    MIGRATIONS = theirs.SqliteStore.MIGRATIONS

    @staticmethod
    @contextmanager
    def from_conn_string(target: str, *, index: Any = None, ttl: Any = None) -> Generator[Opened]:
        with tenure.sync.open_store(target) as store:
            yield Opened(TenureStore(store, index=with_their_names(index), ttl=ttl), on_loop=False)


class AsyncSqliteStore:
    """Named as theirs."""

    @staticmethod
    @asynccontextmanager
    async def from_conn_string(target: str, *, index: Any = None, ttl: Any = None) -> AsyncGenerator[Opened]:
        async with tenure.asyncio.open_store(target) as store:
            yield Opened(TenureStore(store, index=with_their_names(index), ttl=ttl), on_loop=True)


def replace(name: str, **values: Any) -> None:
    """Let a module be one with these names."""
    module = ModuleType(name)
    module.__path__ = []
    module.__dict__.update(values)
    sys.modules[name] = module


replace("langgraph.checkpoint.sqlite", SqliteSaver=SqliteSaver)
replace("langgraph.checkpoint.sqlite.aio", AsyncSqliteSaver=AsyncSqliteSaver)
replace("langgraph.store.sqlite", SqliteStore=SqliteStore, AsyncSqliteStore=AsyncSqliteStore)
replace("langgraph.store.sqlite.aio", AsyncSqliteStore=AsyncSqliteStore)
replace("langgraph.store.sqlite.base", **{name: getattr(theirs, name) for name in OF_THEIR_SQL})
replace("langgraph.checkpoint.sqlite._delta", DELTA_STAGE1_SQL="of another saver")


def pytest_configure(config: pytest.Config) -> None:
    """A mark of a plugin of theirs: it repeats what fails, and here nothing is repeated."""
    config.addinivalue_line("markers", "flaky(retries): not repeated")
