"""A host with a household, about to be killed: ``python -m proof.household.host PLAN``; `proof.household.kills` starts it.

Whatever it is promised, and whatever its agents do to the world, it says at once on its standard output, one line of JSON each.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final, final

import apsw
import trio
from attrs import frozen

import tenure
from proof.killed.host import Points, arm
from tenure.testing.history import Event, EventKind, History

from .agents import GO, KEEPER, SICK, World, done, told
from .ending import compare
from .person import follow, give, see_through

PACE: Final = 0.02
"""Seconds that a second of the agents takes."""

LOOK_S: Final = 0.03


@final
@frozen(kw_only=True, slots=True)
class Plan:
    """What one life of the host is to do.

    Attributes:
        path: The database.
        point: Where it dies, or ``none``: then it waits until all has ended, and compares.
        passes: At the how-manieth pass of that point.
        tasks: The tasks to give, those that may be there already too.
        keeper: Who is told a secret, and erased.
        said: What was said in earlier lives.
    """

    path: str
    point: str
    passes: int
    tasks: list[int]
    keeper: str
    said: list[list[Any]]


@final
class Life:
    """One life."""

    def __init__(self, plan: Plan) -> None:
        """Arm the point of death."""
        self._plan = plan
        self._points = Points(plan.point, plan.passes)
        arm(self._points)

    def acknowledged(self, subject: str, value: Any = None) -> None:
        """Tell the parent; in the pipe when this returns."""
        self._points.say(subject, value)
        if subject in ("worked", "charged"):
            self._points.passed("step")

    async def live(self) -> None:
        """Host the agents, be their person, and end in order, if it lives so long."""
        history = self._history()
        world = World(done(history), self, pace=PACE)
        async with tenure.open_supervisor(self._plan.path, behaviours=world.behaviours(), drain_s=0) as supervisor:
            self._points.say("open")
            connection = apsw.Connection(self._plan.path, flags=apsw.SQLITE_OPEN_READONLY)
            try:
                await self._see_to_it(supervisor, connection)
                if self._plan.point == "none":
                    await compare(supervisor, _look(connection), world, history)
                    self._points.say("compared")
            finally:
                connection.close()

    async def _see_to_it(self, supervisor: tenure.Supervisor, connection: apsw.Connection) -> None:
        await supervisor.hold(kind=SICK, note="of a person")
        async with trio.open_nursery() as nursery:  # owned by this life
            for task in self._plan.tasks:
                self.acknowledged("given", task)
                await give(supervisor, task)
                self.acknowledged("task", task)
                nursery.start_soon(follow, supervisor, task, self)
            await supervisor.accept(self._plan.keeper, told(self._plan.keeper), kind=KEEPER, idempotency_key=GO)
            await see_through(supervisor, _look(connection), self, LOOK_S)
            nursery.cancel_scope.cancel()

    def _history(self) -> History:
        said = [
            Event(at=0, kind=EventKind.ACKNOWLEDGED, subject=subject, value=value) for subject, value in self._plan.said
        ]
        return History(said)


def _look(connection: apsw.Connection) -> Any:
    def look(sql: str, *given: Any) -> Sequence[tuple[Any, ...]]:
        return connection.execute(sql, given).fetchall()

    return look


def main() -> None:
    """Live the life of the plan."""
    life = Life(Plan(**json.loads(Path(sys.argv[1]).read_bytes())))
    trio.run(life.live)
    life.acknowledged("closed")


if __name__ == "__main__":
    main()
