"""What has come into inboxes since a mark: how a host hears of inputs that others accepted."""

from __future__ import annotations

from typing import final

from attrs import frozen

from tenure.persistence.commits.rows import sound
from tenure.persistence.engines.engine import SqlValue, Statements
from tenure.persistence.model.values import LogicalRuntimeId


@final
@frozen(kw_only=True, slots=True)
class Mark:
    """A place in the order in which inputs landed. What stands in it is the engine's; it is compared and handed back.

    On SQLite it is the key of the last input, with its id: the one connection that writes gives keys, in the order of its
    commits, and come again when the last inputs are pruned. An engine whose commits land in another order than their keys
    overrides ``arrivals.mark`` and ``arrivals.since``.
    """

    place: SqlValue
    name: SqlValue


NOTHING_YET: Mark = Mark(place=0, name="")
"""Before every input."""


@final
@frozen(kw_only=True, slots=True)
class Arrival:
    """A runtime whose inbox holds something new.

    Attributes:
        runtime_id: Which runtime.
        steers: Whether some of it was sent to steer.
        waits: Whether some of it is in no run yet, and not delayed.
    """

    runtime_id: LogicalRuntimeId
    steers: bool
    waits: bool


def mark(statements: Statements) -> Mark:
    """After everything that has landed."""
    row = statements.one("arrivals.mark")
    return NOTHING_YET if row is None else Mark(place=row[0], name=row[1])


def arrived(statements: Statements, host: int, since: Mark) -> tuple[Arrival, ...]:
    """Runtimes of a host, or of no host that lives, with unfinished inputs that landed after a mark.

    Where the input at the mark was pruned, all are new: keys may have come again.
    """
    rows = sound(statements.readable("arrivals.since", host=host, place=since.place, name=since.name), (str, int, int))
    return tuple([Arrival(runtime_id=name, steers=bool(steers), waits=bool(waits)) for name, steers, waits in rows])
