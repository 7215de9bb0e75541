"""Numbers about a whole store, for whichever host: what waits in it, and who has it open."""

from __future__ import annotations

from typing import final

from attrs import frozen

from tenure.persistence.commits.rows import sound
from tenure.persistence.engines.engine import Statements


@final
@frozen(kw_only=True, slots=True)
class StoreNumbers:
    """What is stored, counted.

    Attributes:
        inputs: Unfinished inputs, those of runs that execute included.
        oldest_at: When the oldest of them was accepted, unix seconds, or None where there are none.
        hosts: Hosts that are written as open; one that died a moment ago is among them.
        held: Runtimes that are held, by kind and reason; None where no one asked for it.
    """

    inputs: int
    oldest_at: float | None
    hosts: int
    held: dict[tuple[str, str], int] | None = None


def read_numbers(statements: Statements, *, held: bool = False) -> StoreNumbers:
    """Count; it walks every unfinished input, and with `held` every runtime."""
    inputs, oldest_at = statements.one("inputs.backlog") or (0, None)
    row = statements.one("numbers.hosts")
    return StoreNumbers(
        inputs=inputs,
        oldest_at=oldest_at if isinstance(oldest_at, int | float) else None,
        hosts=row[0] if row else 0,
        held=_held(statements) if held else None,
    )


def _held(statements: Statements) -> dict[tuple[str, str], int]:
    rows = sound(statements.readable("numbers.held"), (str, str, int))
    return {(kind, reason): count for kind, reason, count in rows}
