"""The own state of a runtime, as a run of it sees it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar, final

import trio

from tenure.errors import PayloadTooLarge
from tenure.persistence.engines.engine import Statements
from tenure.persistence.facets.state import own_state
from tenure.persistence.model.arguments import checked
from tenure.persistence.model.codec import decode, encode
from tenure.persistence.model.contracts.execution import check_state_name
from tenure.persistence.reading.patience import patiently
from tenure.supervisor.runs.recording.branch import Branch
from tenure.supervisor.runs.recording.entering import Entering
from tenure.supervisor.runs.resting.turns import awaited

from .own_values import OwnValues

T = TypeVar("T")


@final
class RunState:
    """What the runtime keeps between its runs, JSON values by name: as it stood when this run first began, and what it wrote.

    What others write meanwhile is seen by the next run, so that a run which enters again reads what it read before. What is
    written here lands with the next boundary, and is in force for this run at once. In a branch of `gather` or `first`, what
    that branch wrote is seen there, and takes its place when the `gather` ends; of a `first` only the winner's lands.
    """

    def __init__(self, entering: Entering, run: int, values: OwnValues) -> None:
        """Made by the host; `run` is its row."""
        self._entering = self._opens = entering
        self._run = run
        self._values = values

    @awaited
    @checked
    async def get(self, name: str, default: Any = None) -> Any:
        """The value under a name, or `default` where there is none.

        Raises:
            InvalidInput: No name; or it is asked for inside a step.
            Corrupt: What is stored is not what its digest says.
            RunEnded: The run is over.
        """
        found = await self._find(check_state_name(name))
        return default if found is None else decode(found, "own value", f"{self._entering.runtime_id}/{name}")

    @awaited
    @checked
    async def exists(self, name: str) -> bool:
        """Whether there is a value under a name. Raises what `get` raises."""
        return await self._find(check_state_name(name)) is not None

    @awaited
    @checked
    async def all(self) -> dict[str, Any]:
        """Every value by its name. Reads the whole state. Raises what `get` raises."""
        own = self._own()
        stored = await self._read(partial(own_state.all_seen, run=self._run))
        found = {name: value for name, value in {**stored, **own}.items() if value is not None}
        where = self._entering.runtime_id
        return {name: decode(found[name], "own value", f"{where}/{name}") for name in sorted(found)}

    @checked
    def set(self, name: str, value: Any) -> None:
        """Set the value under a name. It lands with the next boundary of the run.

        Args:
            name: Text of 1 to 200 characters.
            value: A JSON value.

        Raises:
            InvalidInput: No name, or no JSON form; a step with ``call=`` is in flight beside it; another branch of the same
                `gather` has written the name; or it is asked for inside a step.
            PayloadTooLarge: It is larger than `Limits.payload_bytes`.
            RunEnded: The run is over.
        """
        data = encode(value, "value")
        limit = self._entering.store.limits.payload_bytes
        if len(data) > limit:
            raise PayloadTooLarge(size=len(data), limit=limit)
        self._write(name, data)

    @checked
    def delete(self, name: str) -> None:
        """Delete the value under a name, if there is one. Lands, and raises, as `set`."""
        self._write(name, None)

    # Inside

    def _write(self, name: str, data: bytes | None) -> None:
        self._entering.check_open()
        given = check_state_name(name), data
        self._entering.buffers("a value of the state", given).write(*given)

    async def _find(self, name: str) -> bytes | None:
        own = self._own()
        if name in own:
            await trio.lowlevel.checkpoint()
            return own[name]
        return await self._read(partial(own_state.find_seen, run=self._run, name=name))

    async def _read(self, read: Callable[[Statements], T]) -> T:
        return await patiently(partial(self._entering.store.read, read))

    def _own(self) -> dict[str, bytes | None]:
        branch: Branch | None = self._entering.branch
        found: dict[str, bytes | None] = {}
        while branch is not None:
            found = {**branch.written, **found}
            branch = branch.around
        return {**self._values.on_disk, **found}
