"""Carries out the waves of a group. Each strand has its transaction, and records that no other one has."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Protocol, final

from tenure.persistence.commits.transaction import Records, Transaction
from tenure.persistence.engines.engine import WriteConnection

from .order import Strand, Wave
from .own_rows import OwnRows, ReachesFurther

MOST_KEPT: Final = 256
"""For so many strands of a group what they have is kept; about 3 KB each."""


class CarryOutOne(Protocol):
    """Carries out the commit at a place of the group."""

    def __call__(self, tx: Transaction, at: int, /, *, alone: bool) -> None:
        """Raises what ends the whole group. `alone`: no other one is beside it."""
        ...


@final
class Strands:
    """What the strands of one connection have: made once, and used again by later groups.

    Each has some thirty objects, and all of a group live as long as it does: made anew for each group they outlived the young
    collections of Python's collector, and had it look at everything.
    """

    def __init__(self, connection: WriteConnection) -> None:
        """Make none yet."""
        self.connection = connection
        self._made: list[_Carried] = []

    def of(self, wave: Wave, tx: Transaction, records: Records, one: CarryOutOne) -> list[_Carried]:
        """Those of a wave, each with the records of its runtimes."""
        made = self._made
        while len(made) < min(len(wave), MOST_KEPT):
            made.append(_Carried(self.connection))
        more = [_Carried(self.connection) for _ in range(len(wave) - len(made))]
        found = [*made[: len(wave)], *more]
        for each, strand in zip(found, wave, strict=True):
            each.begin(strand, tx, one)
        records.part([(each.names, each.records) for each in found])
        return found


@final
class _Carried:
    """A strand that is carried out.

    Attributes:
        names: The runtimes that it names.
        records: Those of these runtimes.
        further: The commit that reached further, where one did.
    """

    __slots__ = ("_commits", "_one", "_rows", "_tx", "further", "names", "records")

    def __init__(self, connection: WriteConnection) -> None:
        """Carry out nothing yet."""
        self._rows = OwnRows(connection)
        self.records = Records()
        self._tx: Transaction | None = None
        self._commits: Sequence[int] = ()

    def begin(self, strand: Strand, tx: Transaction, one: CarryOutOne) -> None:
        """Carry out this one, of the group of `tx`."""
        self.names = self._rows.names = strand.names
        self._commits = strand.commits
        self._one = one
        self.further: int | None = None
        self.records.clear()
        if self._tx is None:
            self._tx = tx.beside(self._rows, self.records)
        self._tx.follow(tx)

    def __call__(self) -> None:
        """Its commits, one after another."""
        if self._tx is not None:
            for at in self._commits:
                try:
                    self._one(self._tx, at, alone=False)
                except ReachesFurther:
                    self.further = at
                    return  # what follows it in its strand waits for the next try


def carry_out(waves: Iterable[Wave], strands: Strands, tx: Transaction, records: Records, one: CarryOutOne) -> None:
    """Carry out a group, on the connection and with the records of its transaction.

    Raises:
        ReachesFurther: Some of the commits do that went side by side: nothing of the group may land so.
        Exception: What ends the whole group, as `one` and `WriteConnection.side_by_side` raise it.
    """
    for wave in waves:
        side_by_side = strands.connection.side_by_side
        if len(wave) > 1 and side_by_side is not None:
            carried = strands.of(wave, tx, records, one)
            side_by_side(carried)
            further = [each.further for each in carried if each.further is not None]
            if further:
                raise ReachesFurther(further)
            records.join([each.records for each in carried])
        else:
            for at in wave[0].commits:
                one(tx, at, alone=True)
