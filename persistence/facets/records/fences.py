"""Fences: whose token may write a runtime, and where tokens come from (design §4)."""

from __future__ import annotations

from tenure.errors import Corrupt, CounterOverflow, StaleFence
from tenure.persistence.commits.commit import Commit
from tenure.persistence.commits.transaction import Transaction
from tenure.persistence.model.values import LAST_TOKEN

from . import runtimes


def check_fence(tx: Transaction, commit: Commit) -> None:
    """Refuse a commit whose writer is not the one that may write (design §4).

    An owned runtime wants its token. An unowned one may be written without; a token that is given must be the last minted.
    What names a lost host as its owner is unowned. The first to write it without a token ends that ownership with a new
    one, so that the host, should it wake, neither keeps the runtime nor writes it under the old token.

    Raises:
        NotFound: No such runtime.
        StaleFence: Another token, or none where one is needed.
    """
    if commit.runtime_id is None or commit.is_ingress:
        return
    given = commit.fence_token
    if commit.may_create:
        found = runtimes.find_cached(tx, commit.runtime_id)
        if found is None:
            if given is not None:
                raise StaleFence(runtime_id=commit.runtime_id, expected=None, actual=given)
            return
    record = runtimes.load(tx, commit.runtime_id)
    if given == record.fence_token or (given is None and record.owner is None):
        return
    if given is not None or runtimes.living_holder(tx, record.owner) is not None:
        raise StaleFence(runtime_id=commit.runtime_id, expected=record.fence_token, actual=given)
    record.owner = None
    record.fence_token = mint_token(tx, record.fence_token)
    runtimes.save(tx, record)


def mint_token(tx: Transaction, replaced: int) -> int:
    """The next fence token of this store, in place of a runtime's last one.

    Raises:
        CounterOverflow: There is none any more.
        Corrupt: The counter is damaged: it is not a number, or is less than a token already minted.
    """
    row = tx.one("ownership.mint", least=replaced, most=LAST_TOKEN - 1)
    if row is not None and isinstance(row[0], int):
        token: int = row[0]
        return token
    last = tx.one("ownership.last_token") or (None,)
    if isinstance(last[0], int) and last[0] >= LAST_TOKEN:
        raise CounterOverflow(counter="fence_token")
    raise Corrupt(
        record="store", key="last_fence_token", detail="it is not a number, or is less than a token already minted"
    )
