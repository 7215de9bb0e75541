"""Recovery: what a host finds at open and sets to work again (design §4, §6)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, final

import trio
from attrs import frozen

from tenure.persistence.engines.engine import Statements
from tenure.persistence.values import LogicalRuntimeId, RuntimeState

if TYPE_CHECKING:
    from .supervisor import Supervisor

PAGE: Final = 500
"""Runtimes that are read, and taken over, at a time."""

TRIAL_S: Final = 10.0
"""Seconds that a run on trial has for itself before the next one starts."""


@final
@frozen(kw_only=True, slots=True)
class Unfinished:
    """A runtime that waits for an owner.

    Attributes:
        runtime_id: Which runtime.
        kind: Names its behaviour.
        crashes: Crashes in a row that are charged to it so far.
        in_flight: Whether its run was executing when its owner went away.
    """

    runtime_id: LogicalRuntimeId
    kind: str
    crashes: int
    in_flight: bool

    @property
    def goes_alone(self) -> bool:
        """Whether its run may have taken the host down twice in a row, and is now tried by itself."""
        return self.in_flight and self.crashes >= 1


def unfinished(statements: Statements, after: str) -> list[Unfinished]:
    """A page of the runtimes with work and without a living owner, by id."""
    rows = statements.all("ownership.with_work", after=after, count=PAGE)
    return [
        Unfinished(runtime_id=runtime_id, kind=kind, crashes=crashes, in_flight=bool(in_flight))
        for runtime_id, kind, crashes, in_flight in rows
    ]


async def recover(supervisor: Supervisor) -> None:
    """Take over every runtime of a known kind that was left with work; runs on trial start behind, one by one.

    From the second crash in a row on, a run that was in flight is started alone, so that the next crash is charged to the
    one that caused it.
    """
    trials: list[Unfinished] = []
    after = ""
    while page := await supervisor.store.read(partial(unfinished, after=after)):
        after = page[-1].runtime_id
        known = [found for found in page if found.kind in supervisor.behaviours]
        trials += [found for found in known if found.goes_alone]
        async with trio.open_nursery() as nursery:  # owned by this page
            for found in known:
                if not found.goes_alone:
                    nursery.start_soon(supervisor.take_over_quietly, found.runtime_id, found.kind)
    if trials:
        supervisor.start_soon(partial(_try_one_by_one, supervisor, trials))


async def _try_one_by_one(supervisor: Supervisor, trials: list[Unfinished]) -> None:
    for found in trials:
        actor = await supervisor.take_over_quietly(found.runtime_id, found.kind)
        if actor is not None and actor.facts.held is None:
            with trio.move_on_after(TRIAL_S):
                await actor.standing.wait_value(lambda standing: standing.state is RuntimeState.RUNNING)
                await actor.standing.wait_value(lambda standing: standing.state is not RuntimeState.RUNNING)
