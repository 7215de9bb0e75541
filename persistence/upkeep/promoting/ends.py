"""The two ends of a promotion: each a store with its connection that writes, and no host of it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from typing import TypeVar, final

from attrs import frozen

from tenure.errors import CannotOpen, NotADatabase, PromotionUnfinished, StoreLocked
from tenure.persistence.engines.door import Door
from tenure.persistence.engines.engine import Engine, Reading, UnknownOutcome, WriteConnection
from tenure.persistence.engines.promotion import PromotionState, Whereabouts, refuse_promoted, whereabouts_of
from tenure.persistence.engines.tables import PREFIX
from tenure.persistence.model.values import DurabilityClass
from tenure.persistence.writing.host_row import OtherHost, other_hosts

from .logical_hash import Found, LogicalHash
from .walking import Between, carried_tables, take_in_attachments, take_in_rows

T = TypeVar("T")

NO_HOST = -1
"""A key that no row of a host has: all of them are others."""


@final
@frozen(kw_only=True, slots=True)
class Glance:
    """What a look sees of an end.

    Attributes:
        whereabouts: What it says of its promotion; None where it was never promoted.
        is_store: Whether a host has ever opened it, or it came whole from elsewhere.
        last_fence_token: The last token that was minted.
    """

    whereabouts: Whereabouts | None
    is_store: bool
    last_fence_token: int


def glance(door: Door) -> Glance:
    """Look at an end beside its hosts. Raises what a look does."""
    return _looked(door, _glance)


def counted(door: Door) -> Mapping[str, int]:
    """Rows by table of an end, beside its hosts. Raises what a look does."""
    return _looked(door, _counted)


def _glance(statements: Reading) -> Glance:
    store = statements.one("promotion.store")
    return Glance(
        whereabouts=whereabouts_of(statements),
        is_store=store is not None,
        last_fence_token=0 if store is None else store[1],
    )


def _counted(statements: Reading) -> Mapping[str, int]:
    rows = {table.name: statements.one(f"{PREFIX}count.{table.name}") for table in carried_tables()}
    return {name: 0 if row is None else row[0] for name, row in rows.items()}


def _looked(door: Door, read: Callable[[Reading], T]) -> T:
    look = door.look()
    try:
        connection, _ = look.open()
        try:
            return _in_a_view(connection, read)
        finally:
            connection.close()
    finally:
        look.close()


def _in_a_view(connection: Reading, read: Callable[[Reading], T]) -> T:
    connection.begin_read()
    try:
        return read(connection)
    finally:
        connection.end_read()


@final
class End:
    """One of the two stores, open. Made by `opened`."""

    def __init__(self, door: Door, engine: Engine, connection: WriteConnection) -> None:
        """Bind."""
        self.place = door.place
        self.connection = connection
        self.blobs = engine.blobs
        self.authority_key = engine.authority_key
        self._engine = engine

    @contextmanager
    def writing(self) -> Generator[WriteConnection]:
        """One transaction, in which no host writes; it lands with the end of the block.

        Raises:
            DiskFull, Again, FailedLate: Nothing landed.
            UnknownOutcome: See there; so may it be after `Again`, where an answer to COMMIT was lost.
        """
        self.connection.begin_unnumbered()
        try:
            self.connection.one("promotion.be_patient")
            yield self.connection
            self.connection.commit()
        except UnknownOutcome as exc:
            self._engine.mark_broken(str(exc))
            raise
        except BaseException:
            self.connection.rollback()
            raise

    # As the source

    def living(self) -> tuple[OtherHost, ...]:
        """The hosts that may live; none where no other can have the store open."""
        return () if self._engine.alone else _in_a_view(self.connection, _living)

    def bury(self, still: tuple[OtherHost, ...], now: float) -> None:
        """Mark every host as lost, in the transaction that is open: those that were `still` for a lease, where any may live.

        Raises:
            StoreLocked: One lives.
        """
        if self._engine.alone:
            self.connection.run("ownership.lose_others", host=NO_HOST, now=now)
            return
        for host in _living(self.connection):
            if host not in still:
                raise StoreLocked(path=self.place, holder=host.incarnation)
            self.connection.run("ownership.mark_lapsed", lost=host.host, counter=host.counter, now=now)

    def store_id(self) -> str:
        """The store that is promoted.

        Raises:
            StorePromoted, PromotionUnfinished: It is gone, or not whole itself.
            NotADatabase: There is none.
        """
        refuse_promoted(self.connection)
        row = self.connection.one("promotion.store")
        if row is None:
            raise NotADatabase(path=self.place, detail="no host has ever opened it")
        return str(row[0])

    def is_behind(self, target: End) -> bool:
        """Whether a target has groups that are not here: a source that went on meanwhile has more, and a backup has fewer."""
        mine: dict[str, int] = dict(self.connection.all("promotion.groups"))
        return any(number > mine.get(host, -1) for host, number in target.connection.all("promotion.groups"))

    # As the target

    def check_free(self, source: End) -> None:
        """See that nothing is there but what an earlier try to promote the same store from the same place has left.

        A copy of the store at another place has no claim to it: the one that was promoted may be closed already, and what is
        here may be all there is of it. Nor has an older one that was put in the place of the source since.

        Raises:
            CannotOpen: Something is, or what is there is newer than the source.
            PromotionUnfinished: What a promotion of another store, or from another place, has left.
        """
        whereabouts = whereabouts_of(self.connection)
        if whereabouts is not None and whereabouts.state is PromotionState.COMING:
            if (whereabouts.store_id, whereabouts.place) != (source.store_id(), source.place):
                raise PromotionUnfinished(place=whereabouts.place)
            if source.is_behind(self):
                detail = (
                    "what an earlier call has left there is newer than the source, which may be a backup: remove one"
                )
                raise CannotOpen(path=self.place, detail=detail)
            return
        if whereabouts is not None or self.connection.one("promotion.store") is not None:
            detail = "a store is there already, and nothing is ever written over"
            raise CannotOpen(path=self.place, detail=detail)
        if self.blobs.names() or self.blobs.unfinished():
            detail = "attachments of another store are there already"
            raise CannotOpen(path=self.place, detail=detail)

    def awaits(self, promotion_id: str) -> bool:
        """Whether it waits for the end of this promotion, so that no host opens it."""
        whereabouts = whereabouts_of(self.connection)
        return (
            whereabouts is not None
            and whereabouts.state is PromotionState.COMING
            and whereabouts.promotion_id == promotion_id
        )

    def found(self, between: Between) -> Found:
        """All that is there, read anew from what is on disk. Raises what a walk does."""
        into = LogicalHash()
        reader = self._engine.open_reader()
        try:
            _in_a_view(reader or self.connection, lambda statements: take_in_rows(into, statements, between))
        finally:
            if reader is not None:
                reader.close()
        take_in_attachments(into, self.blobs, between)
        return into.found()

    def close(self, *, in_order: bool) -> None:
        """Close it."""
        try:
            self.connection.close(checkpoint=in_order)
        finally:
            self._engine.close()


def _living(statements: Reading) -> tuple[OtherHost, ...]:
    return other_hosts(statements, NO_HOST).living


@contextmanager
def opened(door: Door, *, alone: bool) -> Generator[End]:
    """Open an end; `alone`: no host has it open, where an engine can know that.

    Raises:
        StoreLocked: One has.
        Again, UnknownOutcome, Error: Of `Engine.open`.
    """
    engine = door.engine(DurabilityClass.DISK)
    connection = engine.open()
    end = End(door, engine, connection)
    in_order = False
    try:
        if alone and not engine.requires_network and not engine.alone:
            raise StoreLocked(path=door.place, holder="a host, or a look")
        yield end
        in_order = True
    finally:
        end.close(in_order=in_order)
