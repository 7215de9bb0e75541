"""Doubts of tickets: ends of inputs that this host has not published, because another one, or a repair, wrote them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from typing import final

import trio

from tenure.errors import Error
from tenure.persistence.engines.engine import Again, Statements, UnknownOutcome
from tenure.persistence.facets.inbox.outcomes import not_open
from tenure.persistence.model.texts import as_defect
from tenure.persistence.model.values import (
    InputId,
    LogicalRuntimeId,
)
from tenure.persistence.reading.patience import NOT_NOW
from tenure.persistence.store import Store

from .tickets import (
    Outcome,
    Tickets,
    stored_outcome,
)

TicketKey = tuple[LogicalRuntimeId, InputId]
Ended = tuple[TicketKey, Outcome | Error]


@final
class Doubts:
    """Reads what has become of the inputs that tickets here wait for."""

    def __init__(
        self, store: Store, tickets: Tickets, start_soon: Callable[[Callable[[], Awaitable[None]]], None]
    ) -> None:
        """Doubt nothing yet."""
        self._store = store
        self._tickets = tickets
        self._start_soon = start_soon
        self._unsure: set[LogicalRuntimeId] = set()

    def doubt(self, runtime_id: LogicalRuntimeId) -> None:
        """What ended of this runtime, elsewhere or in its repair, was not published here: read it."""
        if not self._tickets.any_waiting:
            return
        if not self._unsure:
            self._start_soon(self._clear)
        self._unsure.add(runtime_id)

    def waiting(self) -> list[TicketKey]:
        """The inputs whose end tickets here wait for."""
        return self._tickets.waiting()

    def publish(self, outcomes: Iterable[Ended]) -> None:
        """Settle the tickets with what was read."""
        for (runtime_id, input_id), outcome in outcomes:
            self._tickets.settle(runtime_id, input_id, outcome)

    async def _clear(self) -> None:
        unsure, self._unsure = self._unsure, set()
        waiting = [key for key in self._tickets.waiting() if key[0] in unsure]
        while waiting:
            try:
                self.publish(await self._store.read(partial(ended, waiting=waiting)))
            except NOT_NOW:
                await trio.sleep(self._store.limits.poll_wait_s)
            except Error:
                raise
            except Exception as exc:  # noqa: BLE001 - these waiters hear it, and no one else
                self.publish([(key, as_defect(exc)) for key in waiting])
                break
            else:
                break


def ended(statements: Statements, waiting: list[TicketKey]) -> list[Ended]:
    """Which of these inputs have ended, and how; or why that cannot be read.

    What the connection meets, and not the row, is raised: the read begins anew, and no waiter hears of it.
    """
    found: list[Ended] = []
    for runtime_id, input_id in not_open(statements, waiting):  # most are: a host may wait for thousands at each look
        try:
            outcome = stored_outcome(statements, runtime_id, input_id)
        except (Again, UnknownOutcome, *NOT_NOW):
            raise
        except Error as exc:  # gone, or damaged: this one waiter hears it
            found.append(((runtime_id, input_id), exc))
        except Exception as exc:  # noqa: BLE001 - and so with a mistake of ours
            found.append(((runtime_id, input_id), as_defect(exc)))
        else:
            if outcome is not None:
                found.append(((runtime_id, input_id), outcome))
    return found
