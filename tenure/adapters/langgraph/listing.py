"""One listing of checkpoints: what a config, a filter and a limit leave of them, page by page."""

from __future__ import annotations

from typing import Any, Final, final

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import CheckpointTuple

from .checkpoints import Checkpoints, checkpoint_id_of, configurable_of, target_of
from .records import PREFIX, CheckpointRecord, execution_of, id_part, stem_of

_PAGE: Final = 100


@final
class Listing:
    """Gives the checkpoints that are asked for, the greatest id first; see `TenureSaver.alist`."""

    def __init__(
        self,
        checkpoints: Checkpoints,
        config: RunnableConfig | None,
        wanted: dict[str, Any] | None,
        before: RunnableConfig | None,
        limit: int | None,
    ) -> None:
        """Nothing was read yet."""
        self._checkpoints = checkpoints
        self._config = config
        self._wanted = dict(wanted or {})
        self._before = None if before is None else checkpoint_id_of(before)
        self._left = limit
        self._ended = False
        self._stem: str | None = None
        self._after: str | None = None
        self._records: list[CheckpointRecord] | None = None
        if config is not None and "checkpoint_ns" in configurable_of(config):
            self._stem = stem_of(*target_of(config))
            self._after = None if self._before is None else self._stem + id_part(self._before)

    async def next(self) -> list[CheckpointTuple]:
        """The next of them; none at the end. Raises `InvalidInput`, `Corrupt`."""
        while not self._ended and self._left != 0:
            found = [each for each in await self._next_page() if self._fits(each)]
            if self._left is not None:
                found = found[: self._left]
                self._left -= len(found)
            if found:
                return found
        return []

    def _fits(self, found: CheckpointTuple) -> bool:
        checkpoint_id = found.checkpoint["id"]
        exact = None if self._config is None else checkpoint_id_of(self._config)
        if (exact and checkpoint_id != exact) or (self._before is not None and checkpoint_id >= self._before):
            return False
        metadata: dict[str, Any] = dict(found.metadata)
        return all(name in metadata and metadata[name] == value for name, value in self._wanted.items())

    async def _next_page(self) -> list[CheckpointTuple]:
        if self._config is not None and self._stem is not None and checkpoint_id_of(self._config):
            self._ended = True
            only = await self._checkpoints.get_tuple(self._config)
            return [] if only is None else [only]
        if self._stem is not None:
            # Each checkpoint has some writes beside it; a filter may want many.
            size = _PAGE if self._left is None or self._wanted else min(_PAGE, 4 * self._left)
            page, self._after = await self._checkpoints.page(self._stem, self._after, size)
            self._ended = self._after is None
            return page
        if self._records is None:
            prefix = f"{PREFIX}:" if self._config is None else f"{execution_of(target_of(self._config)[0])}:"
            self._records = await self._checkpoints.every(prefix)
        records, self._records = self._records[:_PAGE], self._records[_PAGE:]
        self._ended = not self._records
        found = [await self._checkpoints.of_record(record) for record in records]
        return [each for each in found if each is not None]
