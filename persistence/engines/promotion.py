"""What a store says of its promotion: it came from another place, is not whole yet, or is gone to one and closed for good.

Every host asks when it registers, in the transaction that makes its row: no host is in a store that has gone, or is half there.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final, final

from attrs import frozen

from tenure.errors import Corrupt, PromotionUnfinished, StorePromoted
from tenure.persistence.model.digests import check_digest, seal

from .engine import Row, Statements, WriteConnection


@final
class PromotionState(StrEnum):
    """How far a promotion is, as one of its two stores says it."""

    COMING = "coming"
    """The store is the target, and may not be whole."""
    HERE = "here"
    """The store is the target, and has come."""
    GONE = "gone"
    """The store was the source."""


@final
@frozen(kw_only=True, slots=True)
class Whereabouts:
    """What one of the two stores of a promotion says of it.

    Attributes:
        promotion_id: Which promotion; the same in both.
        state: How far it is.
        store_id: The store that is promoted.
        place: Where the other one is, without a password.
        logical_hash: What both were proven equal by, in hex; empty until that is done.
        promoted_at: When this was written, unix seconds.
    """

    promotion_id: str
    state: PromotionState
    store_id: str
    place: str
    logical_hash: str
    promoted_at: float

    @property
    def parts(self) -> tuple[str | float, ...]:
        """What its digest covers."""
        return self.promotion_id, self.state.value, self.store_id, self.place, self.logical_hash, self.promoted_at


_TYPES: Final = (str, str, str, str, str, float)


def whereabouts_of(statements: Statements) -> Whereabouts | None:
    """What a store says of its promotion; None where it was never promoted. Raises `Corrupt`."""
    row = statements.one("promotion.load")
    return None if row is None else _whereabouts(row)


def refuse_promoted(statements: Statements) -> None:
    """Refuse a store that no host may have open.

    Raises:
        StorePromoted: It is gone to another place.
        PromotionUnfinished: It is not whole yet.
        Corrupt: Its whereabouts are damaged.
    """
    whereabouts = whereabouts_of(statements)
    if whereabouts is None or whereabouts.state is PromotionState.HERE:
        return
    raise (StorePromoted if whereabouts.state is PromotionState.GONE else PromotionUnfinished)(place=whereabouts.place)


def write_whereabouts(connection: WriteConnection, whereabouts: Whereabouts) -> None:
    """Have a store say this, in the transaction that is open."""
    connection.run("promotion.forget")
    connection.run(
        "promotion.say",
        promotion_id=whereabouts.promotion_id,
        state=whereabouts.state.value,
        store_id=whereabouts.store_id,
        place=whereabouts.place,
        logical_hash=whereabouts.logical_hash,
        now=whereabouts.promoted_at,
        digest=seal(*whereabouts.parts),
    )


def _whereabouts(row: Row) -> Whereabouts:
    *columns, digest, scheme = row
    promotion_id, state, store_id, place, logical_hash, promoted_at = columns
    if tuple(map(type, columns)) != _TYPES or state not in [*PromotionState]:
        raise Corrupt(record="store", key="promotion", detail="its columns are of other types")
    whereabouts = Whereabouts(
        promotion_id=promotion_id,
        state=PromotionState(state),
        store_id=store_id,
        place=place,
        logical_hash=logical_hash,
        promoted_at=promoted_at,
    )
    check_digest(seal(*whereabouts.parts), digest, scheme, "store", "promotion")
    return whereabouts
