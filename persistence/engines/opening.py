"""Opening while another process opens: it has the store for itself for moments, and those are waited for."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, TypeVar

import trio

from tenure.errors import Contended, StoreBroken, StoreLocked
from tenure.persistence.seams.executors import Executor, run_to_the_end

from .engine import Again, UnknownOutcome

T = TypeVar("T")

AGAIN_S: Final = 0.02
"""Seconds until it is tried again."""


async def open_when_free(executor: Executor, opening: Callable[[], T], patience_s: float) -> T:
    """Open on an executor, and again while the store is another's for moments, for at most `patience_s` seconds.

    Raises:
        StoreLocked, Contended: That took longer.
        StoreBroken: An I/O error; nothing is in doubt.
        Error: What `opening` raises else.
    """
    give_up_at = trio.current_time() + patience_s
    while True:
        try:
            return await run_to_the_end(executor, opening)
        except StoreLocked:
            if trio.current_time() >= give_up_at:
                raise
        except Again as exc:
            if trio.current_time() >= give_up_at:
                raise Contended(detail=f"the store could not be opened: {exc}") from exc
        except UnknownOutcome as exc:
            detail = f"it could not be opened: {exc}"
            raise StoreBroken(incarnation="none", group=None, in_doubt=False, detail=detail) from exc
        await trio.sleep(AGAIN_S)
