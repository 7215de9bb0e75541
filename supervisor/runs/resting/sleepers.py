"""Runs that rest: each that has waited durably for long enough, in all its branches, is put aside (design §20).

From the commit that does so its `Run` is closed and its runtime is let go of: nothing of it is left in memory. Whatever ends
its wait is found by the look of a host at what is due, and the run is entered again from its record. Of the runs that rest one
task knows when the next of them is to be looked at; that one still rests then costs nothing meanwhile.
"""

from __future__ import annotations

import heapq
import itertools
import math
from collections.abc import Callable
from functools import partial
from typing import Final, Protocol, final

import trio

from tenure.actors.runtime_actor import RuntimeActor
from tenure.errors import Closed, Error, Internal, StoreBroken
from tenure.persistence.commits.commit import Change, CommitResult
from tenure.persistence.facets.runs.interrupted import PutAside
from tenure.persistence.model.values import LogicalRuntimeId, RunId
from tenure.persistence.seams.nursery import is_for_others, together
from tenure.persistence.writing.group import Outcome

from .waits import Wait, first_end

PAGE: Final = 500
"""Runs that are put aside at a time."""


class Resting(Protocol):
    """A run that may rest.

    Attributes:
        actor: Of its runtime.
        run_id: Which run.
        looked_for: Whether it is looked at already, at some time.
    """

    actor: RuntimeActor
    runtime_id: LogicalRuntimeId
    run_id: RunId
    looked_for: bool

    @property
    def rests_since(self) -> float | None:
        """Since when all of it waits durably, by the clock of trio; None where some of it does not."""
        ...

    @property
    def waits(self) -> tuple[Wait, ...]:
        """What it waits for."""
        ...

    async def commit(
        self, decide: Callable[[], tuple[Change, ...]], on_settled: Callable[[Outcome], None], /
    ) -> CommitResult:
        """Commit for the run, in its turn."""
        ...


class _GoesOn(Exception):
    """A run does not rest any more."""


@final
class Sleepers:
    """Those of one host."""

    def __init__(
        self,
        put_aside: Callable[[RuntimeActor], None],
        distrust: Callable[[LogicalRuntimeId, BaseException], None],
    ) -> None:
        """None rests. `put_aside` hears of each that is aside; `distrust` of mistakes of ours."""
        self._put_aside = put_aside
        self._distrust = distrust
        self._hears: dict[float, Callable[[Resting], None]] = {}  # one for each of the behaviours
        self._coming: list[tuple[float, int, float, Resting]] = []
        self._count = itertools.count()
        self._earlier = trio.Event()

    def hears(self, after_s: float | None) -> Callable[[Resting], None] | None:
        """What a run calls where all of it waits durably: it is put aside where it still does so after so many seconds.

        None where none ever is.
        """
        if after_s is None:
            return None
        found = self._hears.get(after_s)
        if found is None:
            self._hears[after_s] = found = partial(self._rests, after_s)
        return found

    def _rests(self, after_s: float, run: Resting) -> None:
        if run.looked_for:
            return
        run.looked_for = True
        self._look_for(run, trio.current_time() + after_s, after_s)

    def _look_for(self, run: Resting, at: float, after_s: float) -> None:
        if not self._coming or at < self._coming[0][0]:
            self._earlier.set()
        heapq.heappush(self._coming, (at, next(self._count), after_s, run))

    async def watch(self) -> None:
        """Put aside what rests, for as long as the host lives."""
        while True:
            self._earlier = trio.Event()
            found = [run for run in self._due() if run.rests_since is not None]
            if found:
                await together(*(partial(self._put, run) for run in found))
                continue
            with trio.move_on_at(self._coming[0][0] if self._coming else math.inf):
                await self._earlier.wait()

    async def put_all(self) -> None:
        """Put aside at once all that rests and ever is put aside."""
        found = [run for *_, run in self._coming if run.rests_since is not None and run.actor.executes(run.run_id)]
        for at in range(0, len(found), PAGE):
            await together(*(partial(self._put, run) for run in found[at : at + PAGE]))

    def _due(self) -> list[Resting]:
        """The runs that have rested for long enough; the others are looked for again, where they rest."""
        now, found = trio.current_time(), list[Resting]()
        while self._coming and self._coming[0][0] <= now and len(found) < PAGE:
            _, _, after_s, run = heapq.heappop(self._coming)
            since = run.rests_since
            if since is not None and since + after_s > now:
                self._look_for(run, since + after_s, after_s)
                continue
            run.looked_for = False
            if since is not None and run.actor.executes(run.run_id):
                found.append(run)
        return found

    async def _put(self, run: Resting) -> None:
        """Put one run aside, unless it goes on, or has something in its inbox that only its owner keeps."""

        def decide() -> tuple[Change, ...]:
            if run.rests_since is None:
                raise _GoesOn
            steerable = any(each.steerable for each in run.waits)
            wake_at = first_end(run.waits)
            change = PutAside(runtime_id=run.runtime_id, run_id=run.run_id, wake_at=wake_at, steerable=steerable)
            return (change,)

        def settled(outcome: Outcome) -> None:
            if not isinstance(outcome, CommitResult):
                return
            done: bool
            ((_, done),) = outcome.of_kind(PutAside)
            if done:
                run.actor.publish_aside()
                self._put_aside(run.actor)

        try:
            await run.commit(decide, settled)
        except BaseException as exc:
            if is_for_others(exc) or isinstance(exc, StoreBroken | Closed):
                raise
            # It goes on, was dropped, or is another host's; what cannot be written, its own next commit meets.
            if isinstance(exc, Internal) or not isinstance(exc, _GoesOn | Error):
                self._distrust(run.runtime_id, exc)
