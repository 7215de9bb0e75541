"""What a facet is: one kind of thing that can be written, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, final

from attrs import frozen

from .commit import Change
from .transaction import Transaction


@final
@frozen(kw_only=True, slots=True)
class Handler:
    """How one type of change is carried out, in the order of checks of design §3.

    Attributes:
        apply: Write, and return the change's answer. Raises an `Error` to refuse the whole commit.
        replay: Before everything but the fence: the stored answer where this change landed earlier, else None. An answer
            ends the commit; nothing of it is written.
        check: Before any write of the commit: expected revisions and claims. Raises to refuse the whole commit.
    """

    apply: Callable[[Transaction, Any], Any]
    replay: Callable[[Transaction, Any], Any] | None = None
    check: Callable[[Transaction, Any], None] | None = None


@final
@frozen(kw_only=True, slots=True)
class Facet:
    """One facet: its name (also of its SQL file) and the handlers of its changes."""

    name: str
    handlers: Mapping[type[Change], Handler]
