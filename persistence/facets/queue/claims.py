"""Claims on queued work as rows, and who of their holders still lives (design §10).

A claim ends where its batches are done, given back, claimed again or cancelled; no clock ends one. It may be taken over where
its host is dead, or where an observer saw its renewals stand still for the time that it was claimed for.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import Any, Final, final

import msgspec
from msgspec.structs import astuple, replace

from tenure.errors import Corrupt
from tenure.persistence.commits.rows import check_row
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.engines.engine import Row, Statements
from tenure.persistence.model.digests import SHA_256, check_digest, seal

RECORD: Final = "claim"

_TYPES: Final = (int, str, str, str, str, int, int, int, int, int, int, str, bytes, int, int)


@final
class StoredClaim(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """A claim as it is stored. Two are equal where their rows are: whether the host lives is not in the row.

    Attributes:
        claim: Its key.
        session_id: Whose work it is on.
        claim_id: Its id.
        owner_id: Who claimed.
        lease_token: Its token.
        fencing_token: How often its first batch had been claimed.
        host: Key of the host's row that claimed, or renewed last.
        ttl_ms: How long it holds without a renewal.
        renewals: How often it was renewed.
        claimed_at: When, unix milliseconds.
        expires_at: When it would expire, unix milliseconds.
        batches: Keys of its batches.
        host_lives: Whether its host is neither closed nor known to be dead.
    """

    claim: int
    session_id: str
    claim_id: str
    owner_id: str
    lease_token: str
    fencing_token: int
    host: int
    ttl_ms: int
    renewals: int
    claimed_at: int
    expires_at: int
    batches: tuple[int, ...]
    host_lives: bool

    def __eq__(self, other: object) -> bool:
        """Whether the rows are the same."""
        return self is other or (type(other) is StoredClaim and self._row == other._row)

    def __hash__(self) -> int:
        """As of the row."""
        return hash(self._row)

    @property
    def _row(self) -> tuple[Any, ...]:
        return astuple(self)[:-1]

    @property
    def mark(self) -> tuple[str, int]:
        """What an observer knows it by: it changes with each renewal."""
        return self.claim_id, self.renewals

    def holds(self, lapsed: Collection[tuple[str, int]]) -> bool:
        """Whether it may not be taken over; `lapsed` is what an observer saw standing still."""
        return self.host_lives and self.mark not in lapsed


def insert(tx: Transaction, claim: StoredClaim) -> None:
    """Store a new claim; its key is one of `Transaction.key`."""
    names = _names(claim.batches)
    tx.write(
        "claims.insert",
        key=claim.claim,
        session_id=claim.session_id,
        claim_id=claim.claim_id,
        owner_id=claim.owner_id,
        lease_token=claim.lease_token,
        fencing_token=claim.fencing_token,
        host=claim.host,
        ttl_ms=claim.ttl_ms,
        claimed_at=claim.claimed_at,
        expires_at=claim.expires_at,
        batches=names,
        digest=_digest(claim, names),
    )
    _keep(tx, claim)


def renew(tx: Transaction, claim: StoredClaim, ttl_ms: int) -> StoredClaim:
    """Let a claim hold for `ttl_ms` from now on."""
    renewed = replace(
        claim,
        host=tx.host,
        ttl_ms=ttl_ms,
        renewals=claim.renewals + 1,
        expires_at=int(tx.now * 1000) + ttl_ms,
        host_lives=True,
    )
    tx.write(
        "claims.renew",
        claim=renewed.claim,
        host=renewed.host,
        ttl_ms=renewed.ttl_ms,
        renewals=renewed.renewals,
        expires_at=renewed.expires_at,
        digest=_digest(renewed, _names(renewed.batches)),
        scheme=SHA_256,
    )
    _keep(tx, renewed)
    return renewed


def give_back(tx: Transaction, claim: StoredClaim) -> None:
    """End a claim; its batches may be claimed again."""
    tx.write("queue.free", session_id=claim.session_id, claim=claim.claim)
    _end(tx, claim)


def complete(tx: Transaction, claim: StoredClaim) -> None:
    """End a claim together with its batches, and with what is stored of their failures. Raises `Corrupt`."""
    if claim.fencing_token > 1 or len(claim.batches) > 1:  # else its one batch was claimed for the first time
        tx.write("failures.delete_of_claim", session_id=claim.session_id, claim=claim.claim)
    gone = tx.all("queue.delete_of_claim", session_id=claim.session_id, claim=claim.claim)
    keys = [row[0] for row in gone]
    if keys != [*claim.batches] and sorted(keys) != sorted(claim.batches):  # nothing of this lands
        raise _astray(claim)
    _end(tx, claim)


def _end(tx: Transaction, claim: StoredClaim) -> None:
    tx.write("claims.delete", claim=claim.claim)
    tx.drop(RECORD, claim.claim_id)


def _keep(tx: Transaction, claim: StoredClaim) -> None:
    # Who made or renewed a claim is who will end it, mostly: the row is not read again for that.
    tx.keep(RECORD, claim.claim_id, claim)


def find(tx: Transaction, claim_id: str) -> StoredClaim | None:
    """A claim, or None; whether its host lives is as it was when the claim was read or made. Raises `Corrupt`."""
    return tx.record(RECORD, claim_id, find_stored)


def find_stored(statements: Statements, claim_id: str) -> StoredClaim | None:
    """A claim as its row says, or None. Raises `Corrupt`."""
    row = statements.one("claims.by_id", claim_id=claim_id)
    return None if row is None else decode_row(row)


def of_session(statements: Statements, session_id: str) -> list[StoredClaim]:
    """Every claim on work of a session, the oldest first. Raises `Corrupt`."""
    return [decode_row(row) for row in statements.all("claims.of_session", session_id=session_id)]


def check_batches(statements: Statements, claim: StoredClaim) -> None:
    """Compare a claim with the batches that name it. Raises `Corrupt`."""
    rows = statements.all("queue.keys_of_claim", session_id=claim.session_id, claim=claim.claim)
    if tuple([row[0] for row in rows]) != claim.batches:
        raise _astray(claim)


def _astray(claim: StoredClaim) -> Corrupt:
    return Corrupt(record=RECORD, key=claim.claim_id, detail="its batches are not those that name it")


def decode_row(row: Row) -> StoredClaim:
    """A row with all columns of a claim. Raises `Corrupt`."""
    check_row(row, _TYPES, RECORD, row[2])
    claim = StoredClaim(
        claim=row[0],
        session_id=row[1],
        claim_id=row[2],
        owner_id=row[3],
        lease_token=row[4],
        fencing_token=row[5],
        host=row[6],
        ttl_ms=row[7],
        renewals=row[8],
        claimed_at=row[9],
        expires_at=row[10],
        batches=_keys(row[11], row[2]),
        host_lives=row[14] == 1,
    )
    check_digest(_digest(claim, _names(claim.batches)), row[12], row[13], RECORD, claim.claim_id)
    return claim


def _keys(text: str, claim_id: str) -> tuple[int, ...]:
    try:
        found: Sequence[int] = json.loads(text)
    except (ValueError, RecursionError) as exc:
        raise Corrupt(record=RECORD, key=claim_id, detail="its batches have another form") from exc
    if not isinstance(found, list) or {type(key) for key in found} - {int}:
        raise Corrupt(record=RECORD, key=claim_id, detail="its batches have another form")
    return tuple(found)


def _digest(claim: StoredClaim, names: str) -> bytes:
    return seal(
        claim.session_id,
        claim.claim_id,
        claim.owner_id,
        claim.lease_token,
        claim.fencing_token,
        claim.host,
        claim.ttl_ms,
        claim.renewals,
        claim.claimed_at,
        claim.expires_at,
        names,
    )


def _names(batches: tuple[int, ...]) -> str:
    return str([*batches])  # JSON, as a list of numbers prints
