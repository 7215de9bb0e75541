"""Batches of many tasks that wait at once are carried out together, in one commit where each alone would take its own."""

from __future__ import annotations

import asyncio
from typing import final

from langgraph.store.base import Result

from .items import Items, Prepared, joined


@final
class _Waiting:
    """A batch that waits for others, and then for its answer.

    Attributes:
        prepared: What is to be done.
        answer: What came of it.
        begun: What carries it out, once it has begun.
    """

    __slots__ = ("answer", "begun", "prepared")

    def __init__(self, prepared: Prepared) -> None:
        self.prepared = prepared
        self.answer: asyncio.Future[list[Result]] = asyncio.get_running_loop().create_future()
        self.begun: asyncio.Task[None] | None = None


@final
class Gathering:
    """Carries out batches on one loop. While one is on its way, those that come meanwhile wait and are the next, together.

    One that comes when none is on its way begins at once; but where the last one had company, it waits for a turn of the loop:
    those who were answered together come again together, and the first would go without the others.
    """

    def __init__(self, items: Items) -> None:
        """Nothing waits yet."""
        self._items = items
        self._busy = False
        self._had_company = False
        self._waiting: list[_Waiting] = []
        self._next: asyncio.Task[None] | None = None

    async def batch(self, prepared: Prepared) -> list[Result]:
        """See `Items.batch`.

        Cancellation: a batch that has not begun is left out; one that has is waited for.
        """
        if not (self._busy or self._had_company):
            self._busy = True
            try:
                return await self._items.batch(prepared)
            finally:
                self._go_on()
        waiting = _Waiting(prepared)
        self._waiting.append(waiting)
        if not self._busy:
            self._go_on()
        try:
            return await waiting.answer
        except asyncio.CancelledError:
            if waiting.begun is not None:
                await asyncio.wait([waiting.begun])
            raise

    def _go_on(self) -> None:
        self._busy = bool(self._waiting)
        if self._busy:
            self._next = asyncio.ensure_future(self._together())

    async def _together(self) -> None:
        taken = [each for each in self._waiting if not each.answer.cancelled()]
        self._waiting = []
        self._had_company = len(taken) > 1 or not taken
        for each in taken:
            each.begun = self._next
        try:
            results = await self._items.batch(joined([each.prepared for each in taken]))
            at = 0
            for each in taken:
                end = at + each.prepared.size
                _answer(each, results[at:end])
                at = end
        except Exception:  # noqa: BLE001 - each hears its own error, and what has none its answer: putting twice is the same
            for each in taken:
                await self._alone(each)
        finally:
            for each in taken:
                each.answer.cancel()
            self._go_on()

    async def _alone(self, waiting: _Waiting) -> None:
        try:
            _answer(waiting, await self._items.batch(waiting.prepared))
        except Exception as exc:  # noqa: BLE001 - raised where it is waited for
            if not waiting.answer.done():
                waiting.answer.set_exception(exc)


def _answer(waiting: _Waiting, results: list[Result]) -> None:
    if not waiting.answer.done():  # else its task was cancelled, and hears nothing of it
        waiting.answer.set_result(results)
