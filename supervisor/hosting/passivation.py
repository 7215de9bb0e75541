"""Passivation: actors that nobody uses are dropped, and come back when somebody does.

A passivated runtime stays owned under its token, and nothing is written (design §4); what is left of it in memory are its
facts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from trio_util import periodic

if TYPE_CHECKING:
    from tenure.supervisor.supervisor import Supervisor


async def passivate_idle(supervisor: Supervisor) -> None:
    """Look through the actors for as long as the host lives; see `Limits.passivate_s`."""
    idle_s = supervisor.store.limits.passivate_s
    async for _ in periodic(idle_s / 2):
        now = trio.current_time()
        for actor in supervisor.actors:
            with supervisor.mending.net(actor.facts.runtime_id):
                idle_since = actor.idle_since()
                if idle_since is not None and now - idle_since >= idle_s:
                    supervisor.passivate(actor)
