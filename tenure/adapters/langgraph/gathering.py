"""Batches of many tasks that wait at once are carried out together, in one commit where each alone would take its own."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import final

from langgraph.store.base import Op, Result

from .items import Items, Prepared

_Waiting = tuple[Prepared, "asyncio.Future[list[Result]]"]


@final
class Gathering:
    """Carries out batches on one loop. While one is on its way, those that come meanwhile wait and are the next, together."""

    def __init__(self, items: Items) -> None:
        """Nothing waits yet."""
        self._items = items
        self._busy = False
        self._waiting: list[_Waiting] = []
        self._next: asyncio.Task[None] | None = None

    async def batch(self, prepared: Prepared) -> list[Result]:
        """See `Items.batch`.

        Cancellation: a batch that has not begun is left out; one that has is waited for.
        """
        if self._busy:
            return await self._wait(prepared)
        self._busy = True
        try:
            return await self._items.batch(prepared)
        finally:
            self._go_on()

    async def _wait(self, prepared: Prepared) -> list[Result]:
        answer: asyncio.Future[list[Result]] = asyncio.get_running_loop().create_future()
        waiting = (prepared, answer)
        self._waiting.append(waiting)
        try:
            return await asyncio.shield(answer)
        except asyncio.CancelledError:
            if waiting in self._waiting:
                self._waiting.remove(waiting)
            else:
                await asyncio.wait([answer])
            raise

    def _go_on(self) -> None:
        self._busy = bool(self._waiting)
        if self._busy:
            self._next = asyncio.ensure_future(self._together())

    async def _together(self) -> None:
        taken, self._waiting = self._waiting, []
        try:
            results = await self._items.batch(_joined([prepared for prepared, _ in taken]))
            for prepared, answer in taken:
                count = len(prepared.ops)
                answer.set_result(results[:count])
                results = results[count:]
        except Exception:  # noqa: BLE001 - each hears its own error, and what has none its answer: putting twice is the same
            for prepared, answer in taken:
                await self._alone(prepared, answer)
        finally:
            for _, answer in taken:
                if not answer.done():
                    answer.cancel()
            self._go_on()

    async def _alone(self, prepared: Prepared, answer: asyncio.Future[list[Result]]) -> None:
        try:
            answer.set_result(await self._items.batch(prepared))
        except Exception as exc:  # noqa: BLE001 - raised where it is waited for
            answer.set_exception(exc)
            answer.exception()  # heard, also where the one who waits was cancelled


def _joined(batches: Sequence[Prepared]) -> Prepared:
    ops: list[Op] = []
    vectors: dict[int, tuple[bytes, ...]] = {}
    queries: dict[str, Sequence[float]] = {}
    for each in batches:
        vectors |= {len(ops) + place: made for place, made in each.vectors.items()}
        queries |= each.queries
        ops += each.ops
    return Prepared(ops=ops, vectors=vectors, queries=queries)
