"""What a facet is: one kind of thing that can be written, and how."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, final

from attrs import field, frozen

from tenure.persistence.engines.engine import Statements
from tenure.persistence.model.values import LogicalRuntimeId

from .commit import Change
from .transaction import Transaction
from .upkept import Problem, Pruning, Subject, Walk


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
    """One facet. A walk over all that is stored asks each facet of the catalogue, and names none.

    Attributes:
        name: Its name, also of its SQL file.
        handlers: How its changes are carried out.
        part: Under which name `verify` reports what belongs to no runtime alone.
        verify: What is walked for that part.
        streams: How many streams there are, which `verify` says of their part.
        verify_runtime: What is wrong with its rows of one runtime.
        show: What `show` says of a runtime, by the name it stands under; objects under one name are one object.
        follow: Called at the end of a commit that ended a run or a runtime that others end with (`Transaction.ended`), or
            abandoned inputs (`Transaction.abandoned`); it empties what it looks at.
        settle: Called at the end of a commit of a runtime that others wait for (`Transaction.asked`).
        prune: What of it is over at some time, in the order in which it goes.
    """

    name: str
    handlers: Mapping[type[Change], Handler]
    part: str = ""
    verify: tuple[Walk, ...] = ()
    streams: Callable[[Statements], int] | None = None
    verify_runtime: Callable[[Statements, Subject], Iterator[Problem]] | None = None
    show: Mapping[str, Callable[[Statements, Subject], Any]] = field(factory=dict[str, Any])
    follow: Callable[[Transaction], None] | None = None
    settle: Callable[[Transaction, LogicalRuntimeId], None] | None = None
    prune: tuple[Pruning, ...] = ()
