"""Hosts: the row under which a store writes, and what proves that its host lives (design §4).

A host writes its group number and its lease into its row with every group. The number is also its renewal counter: it rises
with each group that lands, and a group lands at least every `Limits.renew_s` seconds. Beside the row a host holds its own proof
of life (on SQLite an OS lock), which it begins before the row can be seen. So another host sees three cases:

- the proof can be seized: the host is dead, wherever it ran, and is marked lost at once;
- the proof is held and the counter rises: it lives, and what it owns is its own;
- the proof is held and the counter stood still for one lease on the observer's own clock: frozen, and judged lapsed.

A row that was marked lost never comes back. A frozen host that wakes finds it out with its next group, registers under a new
row, takes along what no other host took from it in the meantime, and hears which runtimes it lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final, final

from attrs import frozen

from tenure.errors import CannotOpen, Contended, Corrupt, Error, NoDescriptor
from tenure.persistence.commits.rows import (
    OPTIONAL_NUMBER,
    OPTIONAL_TEXT,
    check_row,
    sound,
)
from tenure.persistence.engines.engine import (
    Again,
    Moved,
    Row,
    Statements,
    WriteConnection,
)
from tenure.persistence.engines.promotion import refuse_promoted
from tenure.persistence.engines.proofs import HostProofs, lease_of
from tenure.persistence.model.values import DurabilityClass, LogicalRuntimeId
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams

LATEST: Final = 32
"""Rows that are looked at for hosts that came and went unseen: more than may register between two looks."""


@final
@frozen(kw_only=True, slots=True)
class HostKey:
    """Which row of ``hosts`` a store writes as.

    Attributes:
        host: Key of the row.
        incarnation: The host's name in errors and verdicts.
        files: What the row says of its files; on a server the name of its sessions there.
    """

    host: int
    incarnation: str
    files: str | None = None


def is_lost(row: Row | None, own: HostKey) -> bool:
    """Whether a host whose row does not live was judged dead, and has not closed it itself.

    Raises:
        Moved: The row is another host's, or gone, though rows of hosts stay: another store stands where this one stood.
        Corrupt: A column of it is damaged.
    """
    if row is None:
        raise Moved(f"host {own.host} is not known: another store stands where this one stood")
    check_row(row, (str, str, OPTIONAL_NUMBER, OPTIONAL_NUMBER, OPTIONAL_TEXT), "host", own.host)
    if row[0] != own.incarnation:
        if row[4] == own.files:
            raise Corrupt(record="host", key=str(own.host), detail="its name is not the one that it was opened under")
        raise Moved(f"host {own.host} is {row[0]!r}: another store was made where this one stood")
    return row[2] is None


@final
@frozen(kw_only=True, slots=True)
class Rejoined:
    """A host that was judged dead has a new row.

    Attributes:
        host: The new row.
        owned: What it still owns, with the token of each; everything else it lost.
    """

    host: HostKey
    owned: Mapping[LogicalRuntimeId, int]


@final
class HostRegistry:
    """Registers this process as a host. Runs on the writer's executor."""

    def __init__(
        self,
        connection: WriteConnection,
        proofs: HostProofs,
        durability: DurabilityClass,
        limits: Limits,
        seams: Seams,
    ) -> None:
        """Register nothing yet."""
        self._durability = durability
        self._connection = connection
        self._proofs = proofs
        self._limits = limits
        self._seams = seams

    def join(self, *, alone: bool) -> HostKey:
        """Commit a first row; `alone`: no other host has the store open, so that all others are marked lost.

        Before any question is answered: with a group of our own after them, the groups that were found in the log can no
        longer be there at one reading and gone at the next (design §3, verdicts).
        """
        return self._register(alone=alone, lost=None).host

    def rejoin(self, lost: HostKey) -> Rejoined:
        """Commit a new row in place of a lost one and take along what still names the lost one as its owner.

        Tokens stay: no host has written those runtimes since. Raises `Contended`, `DiskFull` and `Again`, and nothing happened.
        """
        try:
            rejoined = self._register(alone=False, lost=lost)
        except (CannotOpen, NoDescriptor) as exc:
            raise Contended(detail=f"this host was judged dead and cannot register anew: {exc}") from exc
        self._proofs.let_go(lost.incarnation)
        return rejoined

    def _register(self, *, alone: bool, lost: HostKey | None) -> Rejoined:
        incarnation = self._seams.new_id()
        files = self._proofs.hold(
            incarnation
        )  # before the row can be seen: who cannot find the proof held takes us for dead
        try:
            # In every class: nothing that the host writes may be on disk without the row that says its class.
            try:
                self._connection.begin_unnumbered()
                host = self._insert(incarnation, files)
                refuse_promoted(self._connection)  # after its row: what a promotion wrote until then is seen
                if alone:
                    self._connection.write("ownership.lose_others", host=host, now=self._seams.wall_clock())
                if lost is not None:
                    self._connection.write("ownership.move_runtimes", host=host, lost=lost.host)
                owned = {} if lost is None else _owned(self._connection, host)
                self._connection.commit()
            except (Error, Again):
                self._connection.rollback()
                raise
        except BaseException:
            self._proofs.let_go(incarnation)
            raise
        return Rejoined(host=HostKey(host=host, incarnation=incarnation, files=files), owned=owned)

    def _insert(self, incarnation: str, files: str | None) -> int:
        now = self._seams.wall_clock()
        identity = self._seams.identity
        self._connection.write("ownership.create_store", store_id=self._seams.new_id())
        return self._connection.insert(
            "ownership.open_host",
            incarnation=incarnation,
            host_name=identity.host_name,
            boot_id=identity.boot_id,
            pid=identity.pid,
            process_start=identity.process_start,
            files=files,
            durability=self._durability.value,
            lease_until=now + self._limits.lease_s,
            now=now,
        )


def _owned(statements: Statements, host: int) -> dict[LogicalRuntimeId, int]:
    rows = sound(statements.readable("ownership.owned", host=host), (str, int))
    return {LogicalRuntimeId(runtime_id): token for runtime_id, token in rows}


# What one host sees of the others


@final
@frozen(kw_only=True, slots=True)
class OtherHost:
    """Another host whose row is neither closed nor lost.

    Attributes:
        host: Key of its row.
        incarnation: Its name.
        counter: Number of its last group.
        files: What its row says of its files, or of its sessions on a server; None from an engine without.
        drain: What its row says of its drain.
    """

    host: int
    incarnation: str
    counter: int
    files: str | None
    drain: str | None = None


@final
@frozen(kw_only=True, slots=True)
class OtherHosts:
    """The other hosts at one moment. Two that differ mean that another host wrote in between.

    Attributes:
        latest: Keys of the rows that came last, also of hosts that came and went unseen.
        living: Those that are neither closed nor lost.
    """

    latest: frozenset[int]
    living: tuple[OtherHost, ...]


def other_hosts(statements: Statements, host: int) -> OtherHosts:
    """Read the other hosts."""
    latest = sound(statements.readable("ownership.latest_hosts", count=LATEST), (int,))
    return OtherHosts(
        latest=frozenset([key for (key,) in latest]),
        living=tuple(
            OtherHost(host=other, incarnation=incarnation, counter=counter, files=files, drain=drain)
            for other, incarnation, counter, files, drain in sound(
                statements.readable("ownership.other_hosts", host=host), (int, str, int, OPTIONAL_TEXT, OPTIONAL_TEXT)
            )
        ),
    )


@final
@frozen(kw_only=True, slots=True)
class Sighting:
    """A counter and a breath (`HostProofs.breath`), and when they were first seen on the observer's clock.

    And for how many seconds the host may stand still, by its row; None: as long as the observer.
    """

    counter: int
    first_seen: float
    breath: object | None = None
    lease_s: float | None = None

    def lease(self, of_observer: float) -> float:
        """After how many seconds the host is judged."""
        return of_observer if self.lease_s is None else self.lease_s


Sightings = Mapping[int, Sighting]
"""By key of the host's row; kept in the observer's memory."""


NO_BREATHS: Final[Mapping[int, object | None]] = {}


def sight(
    before: Sightings,
    living: Iterable[OtherHost],
    *,
    now: float,
    slept: bool,
    breaths: Mapping[int, object | None] = NO_BREATHS,
) -> Sightings:
    """Note the counters of the living hosts.

    Args:
        before: What was noted at the last look.
        living: The hosts.
        now: The observer's boot clock.
        slept: The observer itself was away longer than it may be since its last look: what it missed is not a host's fault, and
            every host begins anew.
        breaths: What each was seen to breathe: one whose loop stands still renews nothing, and lives.
    """
    noted: dict[int, Sighting] = {}
    for host in living:
        known = before.get(host.host)
        breath = breaths.get(host.host)
        if slept or known is None or known.counter != host.counter or known.breath != breath:
            known = Sighting(counter=host.counter, first_seen=now, breath=breath, lease_s=lease_of(host.files))
        noted[host.host] = known
    return noted


def lapsed(noted: Sightings, *, now: float, lease_s: float) -> tuple[int, ...]:
    """The hosts whose counter stood still for one lease: their own, where their rows say it, else the observer's `lease_s`."""
    return tuple(host for host, sighting in noted.items() if now - sighting.first_seen >= sighting.lease(lease_s))
