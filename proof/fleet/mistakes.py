"""Mistakes that a host of the fleet can be started with, so that the proof is seen to find them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Final

from tenure.persistence.engines.postgres import engine, writer
from tenure.persistence.engines.postgres.protocol.translation import translated
from tenure.persistence.writing import group

_GROUP: Final[Any] = group
_WRITER: Final[Any] = writer
_ENGINE: Final[Any] = engine


def no_fence() -> None:
    """A commit is not asked for its token: a host that was judged and wakes writes on."""

    def unchecked(*_: object) -> None:
        pass

    _GROUP.check_fence = unchecked


def no_lock() -> None:
    """A group does not lock the runtimes that it names."""
    statements = {name: sql.replace("FOR NO KEY UPDATE", "") for name, sql in engine.writing_statements().items()}
    _ENGINE.writing_statements = lambda: statements
    _WRITER.LOCK = translated(
        "SELECT runtime FROM runtimes WHERE runtime_id = ANY(CAST(:ids AS text[])) ORDER BY runtime_id"
    )


MISTAKES: Final[Mapping[str, Callable[[], None]]] = {"no_fence": no_fence, "no_lock": no_lock}
