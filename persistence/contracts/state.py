"""`store.state`: snapshots of executions and their working memory, and the storage backend below it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Final, final

from tenure.errors import InvalidInput, PayloadTooLarge
from tenure.persistence.commits.commit import Change, Commit
from tenure.persistence.facets.journal import journal
from tenure.persistence.facets.state import state
from tenure.persistence.facets.state.bindings import BindExecution
from tenure.persistence.facets.state.state import DeleteExecution, SaveExecution
from tenure.persistence.facets.state.values import (
    ExpireValues,
    FoundValues,
    RenewValues,
    SweepExpired,
    WriteValues,
    find_page,
    find_values,
)
from tenure.persistence.model.arguments import (
    checked,
)
from tenure.persistence.model.codec import decode, encode
from tenure.persistence.model.contracts.execution import (
    ExecutionId,
    ExecutionSnapshot,
    check_execution_id,
    check_state_key,
    check_state_keys,
    check_tenant_id,
    encode_execution,
    range_of,
    ttl_seconds,
)
from tenure.persistence.model.events.journal import check_stream
from tenure.persistence.model.numbers import (
    INT_LIMIT,
)
from tenure.persistence.model.values import LogicalRuntimeId, check_runtime_id

from .access import Backend

SWEPT_AT_ONCE: Final = 200
"""Expired values that one commit of `sweep` deletes."""

WRITTEN_AT_ONCE: Final = 10_000
"""Most keys that one `write` takes, so that no commit holds the writer for long."""

READ_AT_ONCE: Final = 1_000
"""Most values that one `items` or `get_all` gives."""


@final
@checked
class StateContract:
    """The verbs of `store.state`.

    A cache and a memory for work in progress: the journal is the truth, and `stale` compares. Every verb that writes is all or
    nothing, and what it wrote is on disk when it returns. `fence` is the token of the runtime that the execution is bound to;
    without a binding there is none to give. Cancellation is that of `Store.commit` and `Store.read`.
    """

    def __init__(self, store: Backend) -> None:
        """Bind to an open store."""
        self._store = store

    @property
    def name(self) -> str:
        """Name of the engine."""
        return self._store.name

    @property
    def requires_network(self) -> bool:
        """Whether the engine talks to a server."""
        return self._store.requires_network

    @property
    def supports_air_gapped(self) -> bool:
        """Whether the store works without a network."""
        return self._store.supports_air_gapped

    async def health_check(self) -> None:
        """Return if the store can be read; see `Store.health_check`."""
        await self._store.health_check()

    async def shutdown(self) -> None:
        """Close the store, with everything in it; see `Store.shutdown`."""
        await self._store.shutdown()

    # Snapshots

    async def save_snapshot(self, snapshot: ExecutionSnapshot, *, fence: int | None = None) -> bool:
        """Keep a snapshot in place of the one before, unless that one has a higher sequence number.

        Returns:
            Whether it is kept.

        Raises:
            InvalidInput: It cannot be stored and read back, or the execution is another tenant's.
            StaleFence, RuntimeDestroyed: Of the runtime that the execution is bound to.
            PayloadTooLarge: It is larger than `Limits.payload_bytes`.
        """
        encoded = encode_execution(snapshot)
        self._check_size(encoded.data)
        kept: bool = await self._write(SaveExecution(snapshot=encoded, fence=fence))
        return kept

    async def load_snapshot(self, execution_id: str) -> ExecutionSnapshot | None:
        """The latest snapshot, or None. Compare it by `stale` before relying on it. Raises `Corrupt`."""
        wanted = check_execution_id(execution_id)
        return await self._store.read(lambda statements: state.find_execution(statements, wanted))

    async def delete_snapshot(self, execution_id: str, *, fence: int | None = None) -> None:
        """Forget the snapshot, if there is one. Raises `StaleFence`, `RuntimeDestroyed`."""
        await self._write(DeleteExecution(execution_id=check_execution_id(execution_id), keys=False, fence=fence))

    async def list_snapshots(self, tenant_id: str, limit: int) -> Sequence[ExecutionId]:
        """The executions of a tenant that have a snapshot, the last saved first; none for limit 0."""
        wanted = check_tenant_id(tenant_id)
        if limit < 0:
            raise InvalidInput(detail="a limit is 0 or more", field="limit")
        most = min(limit, INT_LIMIT - 1)
        return await self._store.read(lambda statements: state.list_executions(statements, wanted, most))

    async def stale(self, execution_id: str, stream: str | None = None) -> int | None:
        """By how many events the journal is ahead of the snapshot: 0 where it is current, None without a snapshot.

        Below 0 the snapshot is beyond the end of the journal: it is to be discarded.

        Args:
            execution_id: Which execution.
            stream: Its journal; the stream of the same id for None. One that is not there has no events.
        """
        wanted, journal_id = check_execution_id(execution_id), check_stream(execution_id if stream is None else stream)

        def compare(statements: Any) -> int | None:
            snapshot = state.find_execution(statements, wanted)
            head = journal.head(statements, journal_id) or 0
            return None if snapshot is None else head - snapshot.sequence_number

        return await self._store.read(compare)

    # Working memory

    async def set(
        self, key: str, value: bytes, ttl: timedelta | float | None = None, *, fence: int | None = None
    ) -> None:
        """Store bytes under a key, in place of what was there.

        Args:
            key: Text of 1 to 500 characters; name it ``exec:{id}:...`` or ``{id}:...`` after its execution.
            value: The bytes.
            ttl: After how long it expires, a timedelta or seconds, by the store's wall clock; None for never, also where the
                value before it would have expired.
            fence: See the class.

        Raises:
            InvalidInput: The key is none, or the time is not above 0.
            PayloadTooLarge: The value is larger than `Limits.payload_bytes`.
            StaleFence, RuntimeDestroyed: Of the runtime that the execution is bound to.
        """
        await self.write({key: value}, ttl, fence=fence)

    async def write(
        self,
        values: Mapping[str, bytes | None],
        ttl: timedelta | float | None = None,
        *,
        keep: bool = False,
        expected: Mapping[str, bytes | None] | None = None,
        fence: int | None = None,
    ) -> int:
        """Store and delete values under several keys, in one commit.

        Args:
            values: The bytes by key; None deletes the key. At most 10,000 keys; see `set` for what a key is.
            ttl: After how long what is stored expires; see `set`.
            keep: Store only where there is no value yet: a key that has one keeps it, with its time to live.
            expected: What must stand under keys before this, whether it writes them or not: the bytes, or None for no value. At
                most 1,000 keys.
            fence: See the class; it is that of every key, so none may be of another runtime, or of none.

        Returns:
            How many of the keys were stored, or were there and are deleted.

        Raises:
            InvalidInput: There are too many keys, or one is none, or the time is not above 0.
            PayloadTooLarge: One value is larger than `Limits.payload_bytes`.
            ValueConflict: Something else stands under a key of `expected`.
            Corrupt: What stands under a key of `expected` is not what its digest says.
            StaleFence, RuntimeDestroyed: Of a runtime that one of the executions is bound to. Then nothing was written.
        """
        asked, most = tuple((expected or {}).items()), self._store.limits.payload_bytes
        if len(asked) > READ_AT_ONCE:
            raise InvalidInput(detail=f"{len(asked)} keys are more than {READ_AT_ONCE}", field="expected")
        if len(values) > WRITTEN_AT_ONCE:
            raise InvalidInput(detail=f"{len(values)} keys are more than {WRITTEN_AT_ONCE}", field="values")
        check_state_keys(values)
        largest = max(map(len, filter(None, values.values())), default=0)
        if largest > most:
            raise PayloadTooLarge(size=largest, limit=most)
        for key in (expected or {}).keys() - values.keys():
            check_state_key(key)
        seconds = ttl_seconds(ttl)
        if not values and not asked:
            return 0
        change = WriteValues(values=tuple(values.items()), ttl_s=seconds, keep=keep, fence=fence, expected=asked)
        written: int = await self._write(change)
        return written

    async def get(self, key: str) -> bytes | None:
        """The bytes under a key, or None where there are none, or they have expired; then they never come back.

        Raises:
            Corrupt: They are not what their digest says.
            DiskFull, Contended: They have expired, and that could not be written.
        """
        return (await self.get_all((key,))).get(key)

    async def get_all(self, keys: Iterable[str]) -> dict[str, bytes]:
        """The bytes under several keys, as they stood at one moment. A key without a value is left out.

        Args:
            keys: At most 1,000.

        Raises:
            InvalidInput: There are too many keys, or one is none.
            Corrupt, DiskFull, Contended: As `get` does, for any of them.
        """
        wanted = dict.fromkeys(map(check_state_key, keys))
        if len(wanted) > READ_AT_ONCE:
            raise InvalidInput(detail=f"{len(wanted)} keys are more than {READ_AT_ONCE}", field="keys")
        now = self._store.seams.wall_clock()
        found = await self._store.read(lambda statements: find_values(statements, wanted, now))
        return dict(await self._without_expired(found, now))

    async def items(
        self, prefix: str, *, after: str | None = None, limit: int = 200, reverse: bool = False
    ) -> list[tuple[str, bytes]]:
        """A page of the keys that begin with a prefix, with their bytes, in the order of the keys, as they stood at one moment.

            page = await store.state.items("exec:run1:")
            while page:
                ...
                page = await store.state.items("exec:run1:", after=page[-1][0])

        Args:
            prefix: What the keys begin with: text of 1 to 500 characters. The key that is the prefix alone is one of them.
            after: Only keys that come after this one, in reverse before it: the last of the page before. It need not exist.
            limit: How many, 1 to 1,000. Fewer are there only where the keys end.
            reverse: From the last key to the first.

        Raises:
            InvalidInput: A key is none, `after` does not begin with the prefix, or the limit is out of range.
            Corrupt, DiskFull, Contended: As `get` does, for any of them.
        """
        between = range_of(check_state_key(prefix))
        if after is not None and not check_state_key(after).startswith(prefix):
            raise InvalidInput(detail="it does not begin with the prefix", field="after")
        if not 1 <= limit <= READ_AT_ONCE:
            raise InvalidInput(detail=f"a page has 1 to {READ_AT_ONCE} values", field="limit")
        now = self._store.seams.wall_clock()
        found = await self._store.read(
            lambda statements: find_page(statements, between, after=after, limit=limit, reverse=reverse, now=now)
        )
        return await self._without_expired(found, now)

    async def renew(self, keys: Iterable[str], ttl: timedelta | float | None, *, fence: int | None = None) -> int:
        """Let values live on for a time, in one commit. One that lives longer, or for ever, stays as it is.

        Args:
            keys: At most 10,000.
            ttl: For how long at least from now on, a timedelta or seconds; None for ever.
            fence: As for `write`.

        Returns:
            How many of the keys have a value. One that has expired is not brought back.

        Raises:
            InvalidInput: There are too many keys, or one is none, or the time is not above 0.
            StaleFence, RuntimeDestroyed: As `write`.
            Corrupt: A value is not what its digest says. Then none was renewed.
        """
        wanted = tuple(dict.fromkeys(map(check_state_key, keys)))
        if len(wanted) > WRITTEN_AT_ONCE:
            raise InvalidInput(detail=f"{len(wanted)} keys are more than {WRITTEN_AT_ONCE}", field="keys")
        seconds = ttl_seconds(ttl)
        if not wanted:
            return 0
        renewed: int = await self._write(RenewValues(keys=wanted, ttl_s=seconds, fence=fence))
        return renewed

    async def delete(self, key: str, *, fence: int | None = None) -> None:
        """Delete a key, if it is there. Raises `StaleFence`, `RuntimeDestroyed`."""
        await self.write({key: None}, fence=fence)

    async def exists(self, key: str) -> bool:
        """Whether `get` would give a value. Raises what `get` raises."""
        return await self.get(key) is not None

    async def set_json(
        self, key: str, value: Any, ttl: timedelta | float | None = None, *, fence: int | None = None
    ) -> None:
        """`set` of a JSON value. Raises `InvalidInput` for what has no JSON form."""
        await self.write({key: encode(value, "value")}, ttl, fence=fence)

    async def get_json(self, key: str) -> Any:
        """The JSON value under a key, or None. Raises `Corrupt` where what is stored is not JSON, and what `get` raises."""
        data = await self.get(key)
        return None if data is None else decode(data, "state value", key)

    async def delete_execution_state(self, execution_id: str, *, fence: int | None = None) -> None:
        """Delete the snapshot of an execution and the keys ``{id}:...`` and ``exec:{id}:...``, in one commit.

        The key that is the id alone stays, and so do the keys of every other id that begins alike.

        Raises:
            StaleFence, RuntimeDestroyed: Of a runtime that the execution, or one whose id begins with ``{id}:``, is bound to.
        """
        await self._write(DeleteExecution(execution_id=check_execution_id(execution_id), keys=True, fence=fence))

    async def bind(self, execution_id: str, runtime_id: LogicalRuntimeId | str, *, fence: int | None = None) -> None:
        """Bind an execution to a runtime: its snapshot and its keys obey the runtime's fence from then on.

        Args:
            execution_id: Which execution.
            runtime_id: The runtime.
            fence: The runtime's token.

        Raises:
            NotFound: There is no such runtime.
            StaleFence: Another token than the runtime's, or none where it is owned.
            InvalidInput: The execution is bound to another runtime.
        """
        target = check_runtime_id(runtime_id)
        change = BindExecution(execution_id=check_execution_id(execution_id), runtime_id=target)
        await self._store.commit(Commit(runtime_id=target, fence_token=fence, changes=(change,)))

    async def sweep(self) -> int:
        """Delete what has expired, in small commits; how many values went. `Store.prune` does it too.

        Cancellation: between two commits, or as that of `Store.commit`.
        """
        total = 0
        while True:
            swept: int = await self._write(SweepExpired(count=SWEPT_AT_ONCE))
            total += swept
            if swept < SWEPT_AT_ONCE:
                return total

    async def _without_expired(self, found: FoundValues, now: float) -> list[tuple[str, bytes]]:
        # Gone before anyone hears that they are; a prefix may have had more of them than one commit takes.
        for start in range(0, len(found.expired), WRITTEN_AT_ONCE):
            await self._write(ExpireValues(keys=tuple(found.expired[start : start + WRITTEN_AT_ONCE]), seen=now))
        return found.values

    def _check_size(self, data: bytes) -> None:
        if len(data) > self._store.limits.payload_bytes:
            raise PayloadTooLarge(size=len(data), limit=self._store.limits.payload_bytes)

    async def _write(self, change: Change) -> Any:
        return (await self._store.commit(Commit(changes=(change,)))).values[0]
