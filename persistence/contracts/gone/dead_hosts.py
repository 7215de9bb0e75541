"""Which of the hosts whose claims, intents and removals are in the way are dead.

A supervisor looks at the other hosts by itself, a store that is open alone does not: it looks when something of theirs is met.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from functools import partial
from typing import Final, final

from tenure.persistence.commits.commit import Commit
from tenure.persistence.contracts.access import HostAccess
from tenure.persistence.engines.engine import Statements
from tenure.persistence.engines.proofs import NoProofs
from tenure.persistence.facets.ownership.ownership import MarkLost
from tenure.persistence.writing.host_row import OtherHost, Sightings, lapsed, other_hosts, sight

PROBE_AGAIN_S: Final = 0.25
"""Seconds between two looks whether one host still lives."""


@final
class DeadHosts:
    """What one open store knows of them, and marks. Only in memory."""

    def __init__(self, store: HostAccess) -> None:
        """Nothing was looked at yet."""
        self._store = store
        self._probed: dict[int, float] = {}
        self._sightings: Sightings = {}
        self._sighted_at = -math.inf

    async def bury(self, suspects: Iterable[int]) -> bool:
        """Mark those of these hosts lost that are proven dead; whether there was one.

        Raises as `Store.commit` and `Store.read`. Cancellation: as that of `Store.commit`; what was marked stays so.
        """
        now = self._store.seams.boot_clock()
        recent = {host: at for host, at in self._probed.items() if now - at < PROBE_AGAIN_S}
        due = {*suspects} - {self._store.host} - recent.keys()
        self._probed = recent | dict.fromkeys(due, now)
        if not due:
            return False
        dead = await self._store.read(partial(self._read_dead, due))
        for each in dead:
            await self._store.commit(Commit(changes=(MarkLost(host=each.host, counter=None),)))
            # Not before it is marked: with its file gone, nothing would prove it dead any more.
            self._store.proofs.let_go(each.incarnation)
        return bool(dead)

    async def bury_in_time(self, host: int) -> None:
        """As `bury`, asked again and again for as long as a host is in the way.

        Where no death can be proven, as on a server, one is lost whose counter stood still for a lease.
        """
        if await self.bury((host,)) or not isinstance(self._store.proofs, NoProofs):
            return
        limits, before = self._store.limits, self._store.seams.boot_clock()
        living = await self._store.read(partial(self._read_living, {host}))
        now = self._store.seams.boot_clock()
        slept, self._sighted_at = now - self._sighted_at > limits.renew_s, now
        self._sightings = sight(self._sightings, living, now=now, slept=slept)
        if host in lapsed(self._sightings, now=before, lease_s=limits.lease_s):
            counter = self._sightings[host].counter
            await self._store.commit(Commit(changes=(MarkLost(host=host, counter=counter),)))

    def _read_dead(self, hosts: set[int], statements: Statements) -> list[OtherHost]:
        living = self._read_living(hosts, statements)
        return [each for each in living if self._store.proofs.seize(each.incarnation, each.files)]

    def _read_living(self, hosts: set[int], statements: Statements) -> list[OtherHost]:
        return [each for each in other_hosts(statements, self._store.host).living if each.host in hosts]
