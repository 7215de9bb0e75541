"""An engine that gives versions by runtime: SQLite, asked for what stands in the rows of the runtimes that a group names.

A server gives such versions: its hosts write at the same time, and one number for the whole database would never stay the same.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

from tenure.persistence.engines import choice
from tenure.persistence.engines.door import Door
from tenure.persistence.engines.engine import Begun, Engine, Group, WriteConnection
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams

SCHEME = "by-runtime"
"""Of its URLs; see `offered`."""


class ByRuntimeWriter:
    """The connection that writes, but for its versions."""

    def __init__(self, writer: WriteConnection) -> None:
        self._writer = writer
        self._named: list[str] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)

    def begin(self, group: Group, /) -> Begun:
        begun = self._writer.begin(group)
        self._named = sorted({*group.written, *group.reached, *group.moved})
        return Begun(alive=begun.alive, now=begun.now, shared_now=begun.shared_now, versions=self._versions())

    def commit(self) -> dict[str, int]:
        versions = self._versions()
        self._writer.commit()
        return versions

    def _versions(self) -> dict[str, int]:
        return {each: self._version(each) for each in self._named}

    def _version(self, runtime_id: str) -> int:
        rows = self._writer.raw("SELECT * FROM runtimes WHERE runtime_id = ?", (runtime_id,))
        rows += self._writer.raw(
            "SELECT u.* FROM runs u JOIN runtimes r ON r.run = u.run WHERE r.runtime_id = ?", (runtime_id,)
        )
        rows += self._writer.raw(
            "SELECT s.* FROM sessions s JOIN runtimes r ON r.session = s.session WHERE r.runtime_id = ?", (runtime_id,)
        )
        rows += self._writer.raw(
            "SELECT max(c.sequence) FROM receipts c JOIN runtimes r ON r.run = c.run WHERE r.runtime_id = ?",
            (runtime_id,),
        )
        return hash(tuple(rows))


class ByRuntimeEngine:
    """The engine, but for its connection that writes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def __getattr__(self, name: str) -> Any:
        return getattr(self._engine, name)

    def open(self) -> Any:
        return ByRuntimeWriter(self._engine.open())


class ByRuntimeDoor:
    """The door, but for its engine."""

    def __init__(self, target: str, limits: Limits, seams: Seams) -> None:
        self._door: Door = choice.ENGINES[choice.NO_SCHEME](target.removeprefix(f"{SCHEME}://"), limits, seams)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._door, name)

    def engine(self, durability: DurabilityClass | None) -> Any:
        return ByRuntimeEngine(self._door.engine(durability))


@contextmanager
def offered() -> Generator[None]:
    """Targets may have the scheme meanwhile."""
    engines: Any = choice.ENGINES
    engines[SCHEME] = ByRuntimeDoor
    try:
        yield
    finally:
        engines.pop(SCHEME, None)  # two at once may offer it
