"""What only a store on a server has."""

from __future__ import annotations

from typing import Any, final

from attrs import Attribute, field, frozen

from tenure.errors import InvalidInput
from tenure.persistence.model.numbers import shown
from tenure.persistence.seams.options import EngineOptions
from tenure.persistence.seams.seams import Seams


def _on_or_off(_: object, attribute: Attribute[Any], value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidInput(detail=f"{shown(value)} is neither True nor False", field=attribute.name)


@final
@frozen(kw_only=True, slots=True)
class PostgresOptions(EngineOptions):
    """Options of a store on a server, for `Seams.engine`. Raises `InvalidInput` for a value that makes no sense.

    Attributes:
        hints: Whether the host gives others hints by NOTIFY, after its commits, and hears theirs. It takes one connection.
            Where `Limits.poll_s` is not set, a host that hears hints looks at the others once a second, and else
            20 times: have them on or off on all hosts of a store alike.
    """

    hints: bool = field(default=True, validator=_on_or_off)


def postgres_options(seams: Seams) -> PostgresOptions:
    """The options that a host was given, or the defaults. Raises `InvalidInput` for those of another engine."""
    given = seams.engine
    if given is None:
        return PostgresOptions()
    if not isinstance(given, PostgresOptions):
        detail = f"a store on a server takes PostgresOptions, and not {type(given).__name__}"
        raise InvalidInput(detail=detail, field="engine")
    return given
