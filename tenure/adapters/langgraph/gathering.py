"""Batches of many tasks that wait at once are carried out together, in one commit where each alone would take its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial
from itertools import islice
from typing import final

from langgraph.store.base import Result

from .items import Items, Prepared, Put, joined

_Answer = asyncio.Future[Sequence[Result]]


@final
class _Round:
    """Batches that wait for one another, each with what its task waits for.

    Attributes:
        waiting: What is to be done, in the order in which it came.
        begun: What carries it out, once it has begun.
    """

    __slots__ = ("begun", "waiting")

    def __init__(self) -> None:
        self.waiting: list[tuple[_Answer, Prepared | Put]] = []
        self.begun: asyncio.Task[None] | None = None


@final
class Gathering:
    """Carries out batches on one loop. While one is on its way, those that come meanwhile wait and are the next, together.

    One that comes when none is on its way begins at once; but where the last one had company, it waits for a turn of the loop:
    those who were answered together come again together, and the first would go without the others.
    """

    def __init__(self, items: Items, loop: asyncio.AbstractEventLoop | None) -> None:
        """Nothing waits yet; without a loop nothing may."""
        self._items = items
        self._loop = loop
        self._busy = False
        self._had_company = False
        self._next = _Round()

    async def batch(self, batch: Prepared | Put) -> Sequence[Result]:
        """See `Items.batch`. Nothing comes of a put that is a batch by itself.

        Cancellation: a batch that has not begun is left out; one that has is waited for.
        """
        if not (self._busy or self._had_company):
            self._busy = True
            try:
                return await self._items.batch(joined((batch,)))
            finally:
                self._go_on()
        answer: _Answer = asyncio.Future(loop=self._loop)
        mine = self._next
        mine.waiting.append((answer, batch))
        if not self._busy:
            self._go_on()
        try:
            return await answer
        except asyncio.CancelledError:
            if mine.begun is not None:
                await asyncio.wait([mine.begun])
            raise

    def _go_on(self) -> None:
        self._busy = bool(self._next.waiting)
        if self._busy:
            self._task = asyncio.ensure_future(self._together())
            self._task.add_done_callback(partial(self._ended, self._next))

    def _ended(self, each: _Round, _: asyncio.Task[None]) -> None:
        if each.begun is None:  # its task was cancelled before the first step, as by who cancels all tasks of a loop
            each.waiting = [(answer, batch) for answer, batch in each.waiting if not answer.cancelled()]
            self._go_on()

    async def _together(self) -> None:
        now, self._next = self._next, _Round()
        now.begun = asyncio.current_task()
        taken = [each for each in now.waiting if not each[0].cancelled()]
        self._had_company = len(taken) > 1 or not taken
        try:
            await self._carry_out(taken)
        except BaseException:  # of the loop that ends, say: none of them hears anything else
            for answer, _ in taken:
                answer.cancel()
            raise
        finally:
            self._go_on()

    async def _carry_out(self, taken: Sequence[tuple[_Answer, Prepared | Put]]) -> None:
        try:
            results = iter(await self._items.batch(joined([batch for _, batch in taken])))
        except Exception:  # noqa: BLE001 - each hears its own error, and what has none its answer: putting twice is the same
            for answer, batch in taken:
                await self._alone(answer, batch)
            return
        for answer, batch in taken:
            found = () if type(batch) is Put else list(islice(results, batch.size))
            if not answer.done():  # else its task was cancelled, and hears nothing of it
                answer.set_result(found)

    async def _alone(self, answer: _Answer, batch: Prepared | Put) -> None:
        try:
            found = await self._items.batch(joined((batch,)))
        except Exception as exc:  # noqa: BLE001 - raised where it is waited for
            if not answer.done():
                answer.set_exception(exc)
        else:
            if not answer.done():
                answer.set_result(found)
