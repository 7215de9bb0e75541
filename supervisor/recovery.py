"""What a host finds at open: runtimes with unfinished work that nobody owns."""

from __future__ import annotations

from typing import Final, final

from attrs import frozen

from tenure.persistence.engines.engine import Statements
from tenure.persistence.values import LogicalRuntimeId

PAGE: Final = 500
"""Runtimes that are read, and taken over, at a time."""


@final
@frozen(kw_only=True, slots=True)
class Unfinished:
    """A runtime that waits for an owner.

    Attributes:
        runtime_id: Which runtime.
        kind: Names its behaviour.
        crashes: Crashes in a row that are charged to it so far.
        in_flight: Whether its run was executing when its owner went away.
    """

    runtime_id: LogicalRuntimeId
    kind: str
    crashes: int
    in_flight: bool


def unfinished(statements: Statements, after: str) -> list[Unfinished]:
    """A page of the runtimes with work and without a living owner, by id."""
    rows = statements.all("ownership.with_work", after=after, count=PAGE)
    return [
        Unfinished(runtime_id=runtime_id, kind=kind, crashes=crashes, in_flight=bool(in_flight))
        for runtime_id, kind, crashes, in_flight in rows
    ]


def must_go_alone(found: Unfinished) -> bool:
    """Whether its run may have taken the host down twice in a row and is now tried by itself (design §6)."""
    return found.in_flight and found.crashes >= 1
