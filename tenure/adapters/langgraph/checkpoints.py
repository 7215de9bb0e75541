"""The verbs of a saver as coroutines over `store.state`; they await nothing else."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, Final, cast, final

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import (
    WRITES_IDX_MAP,
    Checkpoint,
    CheckpointMetadata,
    CheckpointTuple,
    DeltaChannelHistory,
    PendingWrite,
    get_checkpoint_metadata,
)
from langgraph.checkpoint.serde.base import SerializerProtocol

from tenure.adapters.checking import text_from
from tenure.adapters.fronts import Values
from tenure.errors import InvalidInput

from .records import (
    PREFIX,
    VERSION,
    CheckpointRecord,
    Group,
    WriteRecord,
    after_group,
    checkpoint_key_of,
    decode,
    encode,
    execution_of,
    groups,
    id_part,
    stem_of,
    write_key,
)

_PAGE: Final = 200
_DELETED_AT_ONCE: Final = 10_000
_DELTA_COUNTERS: Final = "counters_since_delta_snapshot"

Target = tuple[str, str]
"""Thread and namespace."""


def target_of(config: RunnableConfig) -> Target:
    """The thread and the namespace that a config means. Raises `InvalidInput` where it names no thread."""
    return _target_in(configurable_of(config))


def _target_in(configurable: dict[str, Any]) -> Target:
    if configurable.get("thread_id") is None:
        raise InvalidInput(detail="a config for a checkpointer names its thread", field="thread_id")
    namespace = text_from(configurable.get("checkpoint_ns") or "", "checkpoint_ns")
    return text_from(configurable["thread_id"], "thread_id"), namespace


def configurable_of(config: RunnableConfig) -> dict[str, Any]:
    """What a config says to a checkpointer. Raises `InvalidInput` where that has not the form of it."""
    found: dict[str, Any] = config.get("configurable", {})
    if type(found) is not dict and not isinstance(found, dict):  # pyright: ignore[reportUnnecessaryIsInstance] - what callers pass
        raise InvalidInput(detail="what is configurable is a dict", field="config")
    for name in ("checkpoint_ns", "checkpoint_id"):
        given: Any = found.get(name)
        if given is not None and not isinstance(given, str):
            raise InvalidInput(detail="it is a text", field=name)
    return found


def checkpoint_id_of(config: RunnableConfig) -> str | None:
    """Which checkpoint a config names, or None."""
    return configurable_of(config).get("checkpoint_id")


def config_of(target: Target, checkpoint_id: str) -> RunnableConfig:
    """The config that means one checkpoint."""
    thread_id, namespace = target
    return {"configurable": {"thread_id": thread_id, "checkpoint_ns": namespace, "checkpoint_id": checkpoint_id}}


@final
class Checkpoints:
    """Reads and writes checkpoints, serialised by `serde`."""

    def __init__(self, values: Values, serde: SerializerProtocol) -> None:
        """Bind to the values of an open store."""
        self._values = values
        self._serde = serde

    # Writes

    async def put(self, config: RunnableConfig, checkpoint: Checkpoint, metadata: CheckpointMetadata) -> RunnableConfig:
        """Store a checkpoint in one commit, and return the config that means it."""
        configurable = configurable_of(config)
        thread_id, namespace = _target_in(configurable)
        if "id" not in checkpoint:
            raise InvalidInput(detail="a checkpoint has an id", field="checkpoint")
        record = CheckpointRecord(
            version=VERSION,
            thread_id=thread_id,
            namespace=namespace,
            checkpoint_id=checkpoint["id"],
            parent_id=configurable.get("checkpoint_id"),
            checkpoint=self._serialised(checkpoint, "checkpoint"),
            metadata=self._serialised(get_checkpoint_metadata(config, metadata), "metadata"),
        )
        key = stem_of(thread_id, namespace) + id_part(checkpoint["id"])
        await self._values.write({key: encode(record)})
        return config_of((configurable["thread_id"], namespace), checkpoint["id"])

    async def put_writes(
        self, config: RunnableConfig, writes: Sequence[tuple[str, Any]], task_id: str, task_path: str
    ) -> None:
        """Store the writes of a task in one commit. What stands there stays, but for errors, interrupts and resumes alone."""
        checkpoint_id = checkpoint_id_of(config)
        if checkpoint_id is None:
            raise InvalidInput(detail="writes are for a checkpoint, which the config names", field="checkpoint_id")
        key = stem_of(*target_of(config)) + id_part(checkpoint_id)
        values: dict[str, bytes | None] = {}
        for place, (channel, value) in enumerate(writes):
            index = WRITES_IDX_MAP.get(channel, place)
            record = WriteRecord(
                version=VERSION,
                task_id=task_id,
                task_path=task_path,
                index=index,
                channel=channel,
                value=self._serialised(value, "writes"),
            )
            values[write_key(key, task_id, index)] = encode(record)
        await self._values.write(values, keep=not all(channel in WRITES_IDX_MAP for channel, _ in writes))

    async def delete_thread(self, thread_id: str) -> None:
        """Delete everything of a thread in one commit."""
        await self._values.delete_execution_state(execution_of(thread_id))

    async def delete_for_runs(self, run_ids: Sequence[str]) -> None:
        """Delete the checkpoints of runs, with their writes. Reads every checkpoint of the store."""
        wanted, keys = {text_from(each, "run_ids") for each in run_ids}, list[str]()
        if wanted:
            async for group in self._walk(f"{PREFIX}:"):
                record = group.record()
                if record is not None and self._metadata(record).get("run_id") in wanted:
                    keys += group.keys
        await self._delete(keys)

    async def copy_thread(self, source_id: str, target_id: str) -> None:
        """Copy everything of a thread, oldest first, in commits of 200 keys."""
        source, target, after = execution_of(source_id) + ":", execution_of(target_id) + ":", None
        while page := await self._values.items(source, after=after, limit=_PAGE):
            copied: dict[str, bytes | None] = {}
            for key, value in page:
                under = target + key.removeprefix(source)
                copied[under] = value if checkpoint_key_of(key) != key else _moved(value, key, target_id)
            await self._values.write(copied)
            after = page[-1][0]

    async def prune(self, thread_ids: Sequence[str], strategy: str) -> None:
        """Delete all of the threads, or all but the latest checkpoint of each namespace and what it is rebuilt from."""
        if strategy not in {"keep_latest", "delete"}:
            raise InvalidInput(detail=f"{strategy!r} is not a strategy: keep_latest, delete", field="strategy")
        for thread_id in [text_from(each, "thread_ids") for each in thread_ids]:
            if strategy == "delete":
                await self.delete_thread(thread_id)
                continue
            keys, latest = list[str](), dict[str, str]()
            async for group in self._walk(execution_of(thread_id) + ":"):
                keys += group.keys
                if group.stored is not None:
                    latest[group.key.rpartition(":")[0]] = group.key
            kept = {key for each in latest.values() for key in await self._needed(each)}
            await self._delete([key for key in keys if checkpoint_key_of(key) not in kept])

    async def _needed(self, key: str) -> list[str]:
        """The keys of a checkpoint, and of the ancestors that its delta channels are rebuilt from."""
        stem, _, _ = key.rpartition(":")
        group = await self._group(key)
        record = group.record()
        if record is None:  # deleted meanwhile
            return []
        seeded = self._checkpoint(record)["channel_values"]
        open_channels = {each for each in self._metadata(record).get(_DELTA_COUNTERS, {}) if each not in seeded}
        needed = [key]
        async for each in self._ancestors(f"{stem}:", record):
            if not open_channels:
                break
            needed.append(each.key)
            found = each.record()
            open_channels -= set() if found is None else set(self._checkpoint(found)["channel_values"])
        return needed

    async def _delete(self, keys: Sequence[str]) -> None:
        for start in range(0, len(keys), _DELETED_AT_ONCE):
            await self._values.write(dict.fromkeys(keys[start : start + _DELETED_AT_ONCE]))

    # Reads

    async def get_tuple(self, config: RunnableConfig) -> CheckpointTuple | None:
        """The checkpoint that a config names, or the latest of its namespace; None where there is none."""
        found = await self._find(stem_of(*target_of(config)), checkpoint_id_of(config))
        return None if found is None else self._tuple(found)

    async def page(self, stem: str, before: str | None, limit: int) -> tuple[list[CheckpointTuple], str | None]:
        """Checkpoints from the newest to the oldest, and where the next page begins; None at the end."""
        found: list[CheckpointTuple] = []
        after = before
        rows = await self._values.items(stem, after=after, limit=limit, reverse=True)
        page = list(groups(rows))
        if len(rows) == limit and page:  # the last may go on
            page[-1] = await self._group(page[-1].key)
        for group in page:
            each = self._tuple(group)
            if each is not None:
                found.append(each)
        return found, page[-1].key if page and len(rows) == limit else None

    async def every(self, prefix: str) -> list[CheckpointRecord]:
        """Every checkpoint below a prefix, the greatest id first."""
        found: list[CheckpointRecord] = []
        async for group in self._walk(prefix):
            record = group.record()
            if record is not None:
                found.append(record)
        return sorted(found, key=lambda record: record.checkpoint_id, reverse=True)

    async def of_record(self, record: CheckpointRecord) -> CheckpointTuple | None:
        """A checkpoint with its writes; None where it was deleted meanwhile."""
        return self._tuple(
            await self._group(stem_of(record.thread_id, record.namespace) + id_part(record.checkpoint_id))
        )

    async def delta_history(self, config: RunnableConfig, channels: Sequence[str]) -> Mapping[str, DeltaChannelHistory]:
        """What the ancestors of a checkpoint say of channels: the nearest value that is stored, and the writes since."""
        result: dict[str, DeltaChannelHistory] = {channel: {"writes": []} for channel in channels}
        stem = stem_of(*target_of(config))
        target = await self._find(stem, checkpoint_id_of(config)) if channels else None
        record = None if target is None else target.record()
        missing = set(channels)
        backwards: dict[str, list[PendingWrite]] = {channel: [] for channel in channels}
        if record is not None:
            async for group in self._ancestors(stem, record):
                for write in reversed(group.write_records()):
                    if write.channel in missing:
                        backwards[write.channel].append(self._write(write))
                found = group.record()
                stored = {} if found is None else self._checkpoint(found)["channel_values"]
                for channel in missing & set(stored):
                    result[channel]["seed"] = stored[channel]
                missing -= set(stored)
                if not missing:
                    break
        for channel, writes in backwards.items():
            result[channel]["writes"] = writes[::-1]
        return result

    async def _ancestors(self, stem: str, record: CheckpointRecord) -> AsyncIterator[Group]:
        """The parent of a checkpoint, its parent, and so on, nearest first; a chain that returns to itself ends there."""
        seen = {record.checkpoint_id}
        near: dict[str, Group] = {}
        current: CheckpointRecord | None = record
        while current is not None and current.parent_id and current.parent_id not in seen:
            seen.add(current.parent_id)
            key = stem + id_part(current.parent_id)
            if key not in near:  # with those of lower ids: most often its ancestors
                rows = await self._values.items(stem, after=after_group(key), limit=_PAGE, reverse=True)
                page = list(groups(rows))
                near = {each.key: each for each in (page[:-1] if len(rows) == _PAGE else page)}
            group = near.get(key) or await self._group(key)
            current = group.record()
            if current is not None:
                yield group

    async def _find(self, stem: str, checkpoint_id: str | None) -> Group | None:
        return await (self._group(stem + id_part(checkpoint_id)) if checkpoint_id else self._latest(stem))

    async def _latest(self, stem: str) -> Group | None:
        after: str | None = None
        while rows := await self._values.items(stem, after=after, limit=1, reverse=True):
            key = checkpoint_key_of(rows[0][0])
            group = _only(key, rows) if rows[0][0] == key else await self._group(key)
            if group.stored is not None:
                return group
            after = key  # writes alone: the checkpoint is not there yet, or not any more
        return None

    async def _group(self, key: str) -> Group:
        rows: list[tuple[str, bytes]] = []
        after: str | None = None
        while page := await self._values.items(key, after=after, limit=_PAGE):
            rows += [row for row in page if checkpoint_key_of(row[0]) == key]
            after = page[-1][0]
            if len(page) < _PAGE or checkpoint_key_of(after) != key:
                break
        return _only(key, rows)

    async def _walk(self, prefix: str) -> AsyncIterator[Group]:
        """Every group below a prefix, in the order of the keys."""
        after: str | None = None
        while rows := await self._values.items(prefix, after=after, limit=_PAGE):
            page = list(groups(rows))
            if len(rows) == _PAGE:  # the last may go on
                page[-1] = await self._group(page[-1].key)
            for group in page:
                yield group
            after = after_group(page[-1].key)

    # Records

    def _tuple(self, group: Group) -> CheckpointTuple | None:
        record = group.record()
        if record is None:
            return None
        target = record.thread_id, record.namespace
        return CheckpointTuple(
            config=config_of(target, record.checkpoint_id),
            checkpoint=self._checkpoint(record),
            metadata=self._metadata(record),
            parent_config=config_of(target, record.parent_id) if record.parent_id else None,
            pending_writes=[self._write(each) for each in group.write_records()],
        )

    def _serialised(self, value: Any, field: str) -> tuple[str, bytes]:
        try:
            return self._serde.dumps_typed(value)
        except (TypeError, ValueError, RecursionError) as exc:
            raise InvalidInput(detail=f"the serializer does not take it: {exc}", field=field) from exc

    def _checkpoint(self, record: CheckpointRecord) -> Checkpoint:
        return cast("Checkpoint", self._serde.loads_typed(record.checkpoint))

    def _metadata(self, record: CheckpointRecord) -> CheckpointMetadata:
        return cast("CheckpointMetadata", self._serde.loads_typed(record.metadata))

    def _write(self, record: WriteRecord) -> PendingWrite:
        return record.task_id, record.channel, self._serde.loads_typed(record.value)


def _only(key: str, rows: list[tuple[str, bytes]]) -> Group:
    found = next(groups(rows), None)
    return Group(key=key, stored=None, writes=()) if found is None else found


def _moved(value: bytes, key: str, thread_id: str) -> bytes:
    record = decode(value, CheckpointRecord, key)
    return encode(
        CheckpointRecord(
            version=record.version,
            thread_id=thread_id,
            namespace=record.namespace,
            checkpoint_id=record.checkpoint_id,
            parent_id=record.parent_id,
            checkpoint=record.checkpoint,
            metadata=record.metadata,
        )
    )
