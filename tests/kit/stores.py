"""What the tests of the store write and read: runtimes, and inputs in their inboxes."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from attrs import evolve

from tenure.errors import Error
from tenure.persistence.commits.commit import (
    Commit,
    CommitResult,
)
from tenure.persistence.engines.engine import Statements
from tenure.persistence.engines.sqlite.options import SqliteOptions
from tenure.persistence.facets.inbox.cancelling import CancelInput
from tenure.persistence.facets.inbox.inputs import AcceptInput
from tenure.persistence.facets.inbox.outcomes import find_by_key
from tenure.persistence.facets.ownership.ownership import (
    Ownership,
    TakeOwnership,
)
from tenure.persistence.model.codec import digest
from tenure.persistence.model.values import (
    InputId,
    LogicalRuntimeId,
    SessionId,
)
from tenure.persistence.opening import open_store
from tenure.persistence.seams.seams import Seams
from tenure.persistence.store import Store
from tenure.persistence.writing.pending import Pending
from tenure.testing.observing import seen

MODES = ("file", "memory", "one connection")


class OpenMode:
    """Opens the store of one engine mode; in ``memory`` it is a new one each time.

    Arguments are those of `open_store`, of `Seams` and of `SqliteOptions`.
    """

    def __init__(self, mode: str, path: Path) -> None:
        self.mode = mode
        self.path = path

    def __call__(self, **changes: Any) -> AbstractAsyncContextManager[Store]:
        of_store = {name: changes.pop(name) for name in ("durability", "limits", "retention") if name in changes}
        seams = changes.pop("seams", Seams())
        of_engine = {name: changes.pop(name) for name in ("vfs", "wal_pages", "keep_from") if name in changes}
        options = SqliteOptions(one_connection=self.mode == "one connection", **of_engine)
        seams = seen(evolve(seams, engine=options, **changes))
        target = ":memory:" if self.mode == "memory" else self.path
        return open_store(target, seams=seams, **of_store)


def name(text: str) -> LogicalRuntimeId:
    return LogicalRuntimeId(text)


async def own(store: Store, runtime_id: str = "a") -> int:
    """Own a runtime; returns its fence token."""
    result = await store.commit(Commit(changes=(ownership(store, runtime_id),)))
    owned: Ownership = result.values[0]
    return owned.fence_token


def ownership(store: Store, runtime_id: str) -> TakeOwnership:
    return TakeOwnership(
        runtime_id=name(runtime_id), kind="k", epoch=store.seams.new_id(), session_id=SessionId(store.seams.new_id())
    )


def message(store: Store, key: str, runtime_id: str = "a", payload: bytes = b'"hello"') -> Commit:
    """Ingress: one input, known by its key."""
    change = AcceptInput(
        runtime_id=name(runtime_id),
        input_id=InputId(store.seams.new_id()),
        idempotency_key=key,
        payload=payload,
        payload_digest=digest(payload),
    )
    return Commit(changes=(change,))


async def landed(store: Store, *keys: str, runtime_id: str = "a") -> list[str]:
    """Which of these messages are in the store."""

    def read(statements: Statements) -> list[str]:
        return [key for key in keys if find_by_key(statements, name(runtime_id), key) is not None]

    return await store.read(read)


def refused() -> Commit:
    """A commit that its fence refuses."""
    change = CancelInput(runtime_id=name("a"), input_id=InputId("none"))
    return Commit(runtime_id=name("a"), fence_token=999_999, changes=(change,))


async def settle(pending: Pending) -> CommitResult | Error:
    """What a commit came to, as a value."""
    try:
        return await pending.wait()
    except Error as exc:
        return exc


async def settle_all(waiting: Iterable[Pending]) -> list[CommitResult | Error]:
    return [await settle(each) for each in waiting]
