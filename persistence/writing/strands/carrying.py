"""Carries out the waves of a group. Each strand has its transaction, and records that no other one has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Protocol

from tenure.persistence.commits.transaction import Records, Transaction
from tenure.persistence.engines.engine import WriteConnection

from .order import Strand, Wave
from .own_rows import OwnRows, ReachesFurther


class CarryOutOne(Protocol):
    """Carries out the commit at a place of the group."""

    def __call__(self, tx: Transaction, at: int, /, *, alone: bool) -> None:
        """Raises what ends the whole group. `alone`: no other one is beside it."""
        ...


def carry_out(
    waves: Iterable[Wave], connection: WriteConnection, tx: Transaction, records: Records, one: CarryOutOne
) -> None:
    """Carry out a group, on the connection and with the records of its transaction.

    Raises:
        ReachesFurther: Some of the commits do that went side by side: nothing of the group may land so.
        Exception: What ends the whole group, as `one` and `WriteConnection.side_by_side` raise it.
    """
    for wave in waves:
        side_by_side = connection.side_by_side
        if len(wave) > 1 and side_by_side is not None:
            further: list[int] = []
            parts = records.parted([strand.names for strand in wave])
            own = [tx.beside(OwnRows(connection, strand.names), part) for strand, part in zip(wave, parts, strict=True)]
            side_by_side([_function(*each, one, further) for each in zip(wave, own, strict=True)])
            if further:
                raise ReachesFurther(further)
            records.joined(parts)
        else:
            for at in wave[0].commits:
                one(tx, at, alone=True)


def _function(strand: Strand, tx: Transaction, one: CarryOutOne, further: list[int]) -> Callable[[], None]:
    def run() -> None:
        for at in strand.commits:
            try:
                one(tx, at, alone=False)
            except ReachesFurther:
                further.append(at)
                return  # what follows it in its strand waits for the next try

    return run
