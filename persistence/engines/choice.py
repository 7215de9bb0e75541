"""Which engine a target leads to: the one place where a scheme is looked at."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Final

from tenure.errors import InvalidInput, Unsupported
from tenure.persistence.model.arguments import check_class, check_value
from tenure.persistence.model.numbers import shown
from tenure.persistence.model.texts import text_of
from tenure.persistence.seams.limits import Limits
from tenure.persistence.seams.seams import Seams

from .door import (
    Door,
    MakeDoor,
)
from .sqlite.door import SqliteDoor

NO_SCHEME: Final = ""
"""A path, or ``:memory:``."""


def _postgres(target: str, limits: Limits, seams: Seams) -> Door:
    """The door of PostgreSQL, whose driver an extra brings. Raises `Unsupported` without it."""
    try:
        from .postgres.door import PostgresDoor  # noqa: PLC0415 - not before a target asks for the driver
    except ImportError as exc:
        raise Unsupported(what="postgresql:// without its driver (pip install 'tenure[postgres]')") from exc
    return PostgresDoor(target, limits, seams)


ENGINES: Final[Mapping[str, MakeDoor]] = {
    NO_SCHEME: SqliteDoor,
    "sqlite": SqliteDoor,
    "postgresql": _postgres,
    "postgres": _postgres,
}
"""By the scheme of a URL."""


def door_to(target: str | os.PathLike[str], limits: Limits | None = None, seams: Seams | None = None) -> Door:
    """The door to the store that a target names; nothing is touched. Defaults for None.

    Raises:
        Unsupported: A URL that this version has no engine for.
        InvalidInput: Not a target; or options that the engine does not have.
    """
    text = text_of_target(target)
    limits = Limits() if limits is None else limits
    seams = Seams() if seams is None else seams
    check_class(limits, Limits, "limits")
    check_class(seams, Seams, "seams")
    scheme, separator, _ = text.partition("://")
    make = ENGINES.get(scheme if separator else NO_SCHEME)
    if make is None:
        known = "a path, sqlite:///path, :memory: and postgresql://... are"
        raise Unsupported(what=f"the engine of {shown(scheme)} ({known})")
    return make(text, limits, seams)


def text_of_target(target: str | os.PathLike[str]) -> str:
    """A target as text. Raises `InvalidInput`."""
    try:
        text = os.fspath(target)
    except Exception as exc:  # a class of the caller's says where it leads
        raise InvalidInput(detail=text_of(exc), field="target") from exc
    plain: str = check_value(text, str, "target")
    return plain
