"""Credentials: the one snapshot of OAuth flows that a store has (design §14).

The bytes are secrets. They stand in no `repr`, no error and no log; an error of an update is handed to its caller as it is and
is never turned into text here.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable
from functools import partial
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


COMPUTED: Final = "credentials, computed"
"""Key of the record between an update and its write."""


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
class UpdateFlow(Change):
    """Read the snapshot, compute the next one, write it. Answer: None, or the `UpdateRaised` that stopped it.

    The one change that carries a function (design §14). It is alone in its group: no other commit waits for it or is
    rolled back with it.
    """

    ingress = True

    update: Update = field(repr=False)

    @property
    def weight(self) -> int:
        """More than any group may have."""
        return sys.maxsize


@final
@frozen(kw_only=True, slots=True)
class UpdateRaised:
    """What an update raised; nothing was written."""

    error: BaseException = field(repr=False)


def _persist(tx: Transaction, change: PersistFlow) -> None:
    _save(tx, change.snapshot)


def _compute(tx: Transaction, change: UpdateFlow) -> UpdateRaised | None:
    # At the place of idempotent replay: an error is an answer, and then nothing at all is written.
    try:
        snapshot: Any = change.update(find(tx))
        if inspect.iscoroutine(snapshot):
            snapshot.close()
        if not isinstance(snapshot, bytes):
            raise InvalidInput(detail="an update returns bytes, and does so at once", field="update")  # noqa: TRY301
    except BaseException as exc:  # noqa: BLE001 - it is the caller's function, and what it raises is the caller's alone
        return UpdateRaised(error=exc)
    tx.notes[COMPUTED] = snapshot
    return None


def _update(tx: Transaction, _change: UpdateFlow) -> None:
    computed: bytes = tx.notes[COMPUTED]
    _save(tx, computed)


def _save(tx: Transaction, snapshot: bytes) -> None:
    if len(snapshot) > tx.limits.payload_bytes:
        raise PayloadTooLarge(size=len(snapshot), limit=tx.limits.payload_bytes)
    tx.write("credentials.save", snapshot=snapshot, digest=digest(snapshot), now=tx.now)


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
    handlers={PersistFlow: Handler(apply=_persist), UpdateFlow: Handler(apply=_update, replay=_compute)},
    part="rows",
    verify=(once(lambda statements: list(failing("credentials", "oauth", partial(find, statements)))),),
)
