"""`TenureSaver`: LangGraph's checkpointer over a store."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from typing import Any, final

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    BaseCheckpointSaver,
    ChannelVersions,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from tenure.adapters.checking import checked, text_from
from tenure.adapters.fronts import AnyStore, Caller

from .checkpoints import Checkpoints
from .listing import Listing


@final
@checked
class TenureSaver(BaseCheckpointSaver[int]):
    """Keeps the checkpoints of graphs in a store: `builder.compile(checkpointer=TenureSaver(store))`.

    What a verb has written is on disk when it returns, in one commit where it does not say otherwise. The store is opened and
    closed by its user; several savers, and other hosts, may be made of it. Errors are those of `tenure.errors`.
    """

    def __init__(self, store: AnyStore, *, serde: SerializerProtocol | None = None) -> None:
        """Bind to an open store.

        Args:
            store: Of `tenure.asyncio`, on whose loop this is called; or of `tenure.sync`. Over the first, verbs without an
                ``a`` are for other threads than that of the loop; over the second, those with one use threads.
            serde: How checkpoints are serialised; LangGraph's own by default.

        Raises:
            InvalidInput: It is another object, or there is no running loop for it.
        """
        super().__init__(serde=serde)
        self._caller = Caller(store)

    @property
    def _checkpoints(self) -> Checkpoints:
        return Checkpoints(self._caller.values, self.serde)  # the serializer of a clone is another

    # From a loop

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,  # noqa: ARG002 - a checkpoint is stored whole
    ) -> RunnableConfig:
        """Store a checkpoint; the config names its parent. Raises `InvalidInput`, `PayloadTooLarge`."""
        return await self._caller.awaited(self._checkpoints.put(config, checkpoint, metadata))

    async def aput_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """Store what a task has written for a checkpoint. What is there stays, but for errors, interrupts and resumes."""
        await self._caller.awaited(self._checkpoints.put_writes(config, writes, task_id, task_path))

    async def aget_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that a config names, or the latest of its namespace, with the writes for it; or None."""
        return await self._caller.awaited(self._checkpoints.get_tuple(config))

    async def alist(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - LangGraph's name
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> AsyncIterator[CheckpointTuple]:
        """Checkpoints from the newest to the oldest.

        Args:
            config: Of which thread, namespace and checkpoint; one that names a thread and a namespace is read page by page, any
                other one reads all that it may mean first.
            filter: What their metadata say.
            before: Only those with an id below this one's.
            limit: At most so many.
        """
        listing = Listing(self._checkpoints, config, filter, before, limit)
        while page := await self._caller.awaited(listing.next()):
            for each in page:
                yield each

    async def adelete_thread(self, thread_id: str) -> None:
        """Delete everything of a thread."""
        await self._caller.awaited(self._checkpoints.delete_thread(text_from(thread_id, "thread_id")))

    async def adelete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints whose metadata name one of these runs, with their writes. Reads every checkpoint there is."""
        await self._caller.awaited(self._checkpoints.delete_for_runs(run_ids))

    async def acopy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """Copy everything of a thread, oldest first, in commits of 200; cut short, it may be called again."""
        await self._caller.awaited(
            self._checkpoints.copy_thread(
                text_from(source_thread_id, "source_thread_id"), text_from(target_thread_id, "target_thread_id")
            )
        )

    async def aprune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """Delete all of the threads (``delete``), or what is not needed for the latest checkpoint of each namespace.

        Ancestors that its delta channels are rebuilt from are kept. One commit for a thread, as long as 10,000 keys go.
        """
        await self._caller.awaited(self._checkpoints.prune(thread_ids, strategy))

    async def aget_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """By channel: the value at the nearest ancestor that has one, and the writes since, oldest first."""
        return await self._caller.awaited(self._checkpoints.delta_history(config, channels))

    # From a thread

    def put(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,  # noqa: ARG002 - as above
    ) -> RunnableConfig:
        """See `aput`."""
        return self._caller.waited(self._checkpoints.put(config, checkpoint, metadata))

    def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str = ""
    ) -> None:
        """See `aput_writes`."""
        self._caller.waited(self._checkpoints.put_writes(config, writes, task_id, task_path))

    def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """See `aget_tuple`."""
        return self._caller.waited(self._checkpoints.get_tuple(config))

    def list(
        self,
        config: RunnableConfig | None,
        *,
        filter: dict[str, Any] | None = None,  # noqa: A002 - as above
        before: RunnableConfig | None = None,
        limit: int | None = None,
    ) -> Iterator[CheckpointTuple]:
        """See `alist`."""
        listing = Listing(self._checkpoints, config, filter, before, limit)
        while page := self._caller.waited(listing.next()):
            yield from page

    def delete_thread(self, thread_id: str) -> None:
        """See `adelete_thread`."""
        self._caller.waited(self._checkpoints.delete_thread(text_from(thread_id, "thread_id")))

    def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """See `adelete_for_runs`."""
        self._caller.waited(self._checkpoints.delete_for_runs(run_ids))

    def copy_thread(self, source_thread_id: str, target_thread_id: str) -> None:
        """See `acopy_thread`."""
        self._caller.waited(
            self._checkpoints.copy_thread(
                text_from(source_thread_id, "source_thread_id"), text_from(target_thread_id, "target_thread_id")
            )
        )

    def prune(self, thread_ids: Sequence[str], *, strategy: str = "keep_latest") -> None:
        """See `aprune`."""
        self._caller.waited(self._checkpoints.prune(thread_ids, strategy))

    def get_delta_channel_history(
        self, *, config: RunnableConfig, channels: Sequence[str]
    ) -> Mapping[str, DeltaChannelHistory]:
        """See `aget_delta_channel_history`."""
        return self._caller.waited(self._checkpoints.delta_history(config, channels))
