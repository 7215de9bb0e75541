"""A plugin for the framework's own tests: its `SQLiteSession` is one of ours, over a store that is opened at first use.

Their tests make a session without a loop, give it from loop to loop, and may never close it. So the store of a file lives in a
thread with a loop of its own, until the last session that used it is closed, or the process ends.
"""

from __future__ import annotations

import asyncio
import atexit
import shutil
import tempfile
import threading
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar

import agents
import agents.memory
import agents.memory.sqlite_session
from agents import SessionSettings

import tenure.asyncio
from tenure.adapters.openai_agents import TenureSession

MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
FOLDER = tempfile.mkdtemp(prefix="tenure-sessions-", dir=MEMORY)
"""Where the stores of sessions stand that theirs keep in memory; it goes with the process."""

atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)  # stores of sessions that were not closed are open still


class OpenStore:
    """The store of a file, in a thread of its own."""

    def __init__(self, path: Path) -> None:
        self.users = 0
        self.opened: Future[tenure.asyncio.Store] = Future()
        self._ended: Future[None] = Future()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._hold(path)), daemon=True)
        self._thread.start()

    async def _hold(self, path: Path) -> None:
        async with tenure.asyncio.open_store(path) as store:
            self.opened.set_result(store)
            await asyncio.wrap_future(self._ended)

    def close(self) -> None:
        self._ended.set_result(None)
        self._thread.join()


class SQLiteSession:
    """Called as theirs is; each verb is that of `TenureSession`."""

    _stores: ClassVar[dict[Path, OpenStore]] = {}

    def __init__(
        self,
        session_id: str,
        db_path: str | Path = ":memory:",
        sessions_table: str = "agent_sessions",
        messages_table: str = "agent_messages",
        session_settings: SessionSettings | dict[str, Any] | None = None,
    ) -> None:
        self.session_id = session_id
        self.session_settings: Any = SessionSettings().resolve(session_settings)
        self.db_path = db_path
        memory = str(db_path) == ":memory:"
        self._path = Path(tempfile.mkdtemp(dir=FOLDER), "tenure.db") if memory else Path(f"{db_path}.tenure").resolve()
        self._ours: TenureSession | None = None
        self._closed = False

    async def _session(self) -> TenureSession:
        if self._closed:
            raise RuntimeError("SQLiteSession is closed")
        if self._ours is None:
            held = self._stores.get(self._path) or self._stores.setdefault(self._path, OpenStore(self._path))
            held.users += 1
            self._ours = TenureSession(self.session_id, await asyncio.wrap_future(held.opened))
        self._ours.session_settings = self.session_settings
        return self._ours

    async def get_items(self, limit: int | None = None) -> list[Any]:
        return await (await self._session()).get_items(limit)

    async def add_items(self, items: list[Any]) -> None:
        await (await self._session()).add_items(items)

    async def pop_item(self) -> Any:
        return await (await self._session()).pop_item()

    async def clear_session(self) -> None:
        await (await self._session()).clear_session()

    async def _get_compaction_snapshot(self, limit: int, *, prune_prefix: Any = None) -> Any:
        if type(self) is not SQLiteSession:
            return None  # as theirs: a subclass may do more in its verbs
        return await (await self._session())._get_compaction_snapshot(limit, prune_prefix=prune_prefix)

    def close(self) -> None:
        if self._ours is not None and not self._closed:
            held = self._stores[self._path]
            held.users -= 1
            if not held.users:
                self._stores.pop(self._path).close()
        self._closed = True


for module in (agents, agents.memory, agents.memory.sqlite_session):
    vars(module)["SQLiteSession"] = SQLiteSession
