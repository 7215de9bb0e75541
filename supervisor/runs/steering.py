"""Checkpoints of one run, and what joins it there: inputs that were sent to steer it."""

from __future__ import annotations

import operator
from functools import partial
from typing import final

from tenure.persistence.facets.inbox.batches import BatchMember
from tenure.persistence.facets.runs.interrupted import AcquitRun
from tenure.persistence.facets.runs.runs import ConsumeInput
from tenure.persistence.model.entries import (
    EntryKind,
    EntryStatus,
)
from tenure.persistence.model.values import (
    InputId,
    RunBoundaryReceipt,
)

from .attention import NeedsAttention
from .batch import Batch
from .boundaries import (
    Boundaries,
    asks,
)
from .entering import Entering
from .record import was_cut_before_it_began
from .run_input import RunInput


@final
class Steering:
    """Lets what was sent to steer join one run, and hands it out."""

    def __init__(self, entering: Entering, boundaries: Boundaries, batch: Batch) -> None:
        """Nothing has joined yet."""
        self._entering = entering
        self._boundaries = boundaries
        self._batch = batch
        self._joined: list[RunInput] = []

    @property
    def unseen(self) -> tuple[InputId, ...]:
        """What has joined and was not handed out."""
        return tuple(each.input_id for each in self._joined)

    def take(self) -> tuple[RunInput, ...]:
        """See `Run.steered`."""
        steered, self._joined = tuple(self._joined), []
        self._batch.hand_out(steered)
        return steered

    async def checkpoint(self, consume: tuple[RunInput, ...]) -> RunBoundaryReceipt:
        """See `Run.checkpoint`."""
        entering = self._entering
        entering.only_main("a checkpoint")
        asked = asks(EntryKind.CHECKPOINT)
        branch = entering.branch
        consumed = [
            ConsumeInput(runtime_id=entering.runtime_id, run_id=entering.run_id, input_id=each.input_id)
            for each in consume
            if each.input_id not in self._batch.ended
            and each.input_id not in dict(branch.ended)
            and not self._batch.is_late(each.input_id)
        ]
        branch, found = entering.ask(asked)
        with entering.in_flight(branch, asked, found) as flight:
            if found.entry is not None and was_cut_before_it_began(found.entry):
                await entering.wait_for_scope(asked, found)
            receipt, joined = await self._boundaries.checkpoint(flight, *consumed)
            if found.entry is None:
                self._batch.landed(each.input_id for each in consume)
            elif found.entry.status is EntryStatus.CANCELLED:
                await entering.wait_for_scope(asked, found)
        self._join(joined)
        return receipt

    async def wait(self) -> tuple[RunInput, ...]:
        """See `Run.wait_steered`."""
        entering, actor = self._entering, self._entering.actor
        entering.only_main("a wait for what steers")
        acquit = AcquitRun(runtime_id=entering.runtime_id, run_id=entering.run_id)
        asked = asks(EntryKind.WAIT)
        while not self._joined:
            seen = actor.steered.value
            branch, found = entering.ask(asked)
            with entering.in_flight(branch, asked, found) as flight:
                if found.entry is None or not was_cut_before_it_began(found.entry):
                    _, joined = await self._boundaries.checkpoint(flight, acquit)
                    self._join(joined)
                if found.entry is not None and found.entry.status is EntryStatus.CANCELLED:
                    await entering.wait_for_scope(asked, found)
                # A replayed checkpoint has looked into the inbox of long ago: more may be recorded, or lie there by now.
                if found.entry is None and not self._joined:
                    async with entering.rest():
                        await actor.steered.wait_value(partial(operator.ne, seen))
        return self.take()

    def _join(self, members: tuple[BatchMember, ...]) -> None:
        try:
            self._joined += self._batch.join(members)
        except NeedsAttention as exc:
            self._entering.fault = self._entering.fault or exc  # also where the behaviour swallows it
            raise
