"""Credentials: the one snapshot of OAuth flows that a store has (design §14).

The bytes are secrets. They stand in no `repr`, no error and no log; an error of an update is handed to its caller as it is and
is never turned into text here.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from contextvars import ContextVar, copy_context
from functools import partial
from threading import Event
from typing import Any, Final, final

from attrs import field, frozen

from tenure.errors import Corrupt, InvalidInput, PayloadTooLarge
from tenure.persistence.commits.commit import Change
from tenure.persistence.commits.facet import (
    Facet,
    Handler,
)
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.commits.upkept import failing, once
from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.codec import digest
from tenure.persistence.model.digests import check_digest

Update = Callable[[bytes | None], bytes]
"""From the stored snapshot, or None, to the next one. Pure and sync."""

_OF_UPDATE: Final[ContextVar[Event | None]] = ContextVar("tenure.update", default=None)
"""Of code that an update has called, in whichever thread: set once that update has ended."""


@final
@frozen(kw_only=True, slots=True)
class PersistFlow(Change):
    """Write the snapshot. Answer: None."""

    ingress = True  # it belongs to no runtime

    snapshot: bytes = field(repr=False)

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return len(self.snapshot)


@final
@frozen(kw_only=True, slots=True)
class SwapFlow(Change):
    """Write the snapshot where the one that it was computed from is still there. Answer: whether it was.

    Attributes:
        before: What is there, or None.
        snapshot: What is there then.
    """

    ingress = True

    before: bytes | None = field(repr=False)
    snapshot: bytes = field(repr=False)

    @property
    def weight(self) -> int:
        """See `Change.weight`."""
        return len(self.snapshot)


@final
@frozen(kw_only=True, slots=True)
class Computed:
    """What an update returned, or raised.

    Attributes:
        snapshot: The next snapshot.
        error: What it raised in place of one.
    """

    snapshot: bytes = field(default=b"", repr=False)
    error: BaseException | None = field(default=None, repr=False)


def compute(update: Update, before: bytes | None) -> Computed:
    """Call an update. Raises nothing: an error of a caller's function is an answer."""
    context, ended = copy_context(), Event()
    context.run(_OF_UPDATE.set, ended)
    try:
        snapshot: Any = context.run(update, before)
        if inspect.iscoroutine(snapshot):
            snapshot.close()
        if not isinstance(snapshot, bytes):
            raise InvalidInput(detail="an update returns bytes, and does so at once", field="update")  # noqa: TRY301
    except BaseException as exc:  # noqa: BLE001 - it is the caller's function, and what it raises is the caller's alone
        return Computed(error=exc)
    finally:
        ended.set()
    return Computed(snapshot=bytes(snapshot))


def is_asked_by_an_update() -> bool:
    """Whether an update that is computed now has called what asks this: it would wait for itself."""
    ended = _OF_UPDATE.get()
    return ended is not None and not ended.is_set()


def _persist(tx: Transaction, change: PersistFlow) -> None:
    _save(tx, change.snapshot)


def _swap(tx: Transaction, change: SwapFlow) -> bool:
    if change.before is None:
        return _make(tx, change.snapshot)
    tx.write("credentials.hold")  # on a server no other host can change it from here on
    if find(tx) != change.before:
        return False
    _save(tx, change.snapshot)
    return True


def _make(tx: Transaction, snapshot: bytes) -> bool:
    _check_size(tx, snapshot)
    return bool(tx.all("credentials.make", snapshot=snapshot, digest=digest(snapshot), now=tx.now))


def _save(tx: Transaction, snapshot: bytes) -> None:
    _check_size(tx, snapshot)
    tx.write("credentials.save", snapshot=snapshot, digest=digest(snapshot), now=tx.now)


def _check_size(tx: Transaction, snapshot: bytes) -> None:
    if len(snapshot) > tx.limits.payload_bytes:
        raise PayloadTooLarge(size=len(snapshot), limit=tx.limits.payload_bytes)


def find(statements: Statements) -> bytes | None:
    """The stored snapshot, or None. Raises `Corrupt`."""
    row = statements.one("credentials.load")
    if row is None:
        return None
    snapshot, stored, scheme = row
    if not isinstance(snapshot, bytes):
        raise Corrupt(record="credentials", key="oauth", detail="they are not bytes")
    check_digest(digest(snapshot), stored, scheme, "credentials", "oauth")
    return snapshot


FACET: Final = Facet(
    name="credentials",
    handlers={PersistFlow: Handler(apply=_persist), SwapFlow: Handler(apply=_swap)},
    part="rows",
    verify=(once(lambda statements: list(failing("credentials", "oauth", partial(find, statements)))),),
)
