"""What is written, as values: changes, and commits that hold them.

A **change** says one thing to write; a **commit** is an ordered tuple of changes that lands whole or not at all. Both are
frozen and carry no callbacks, so that a commit can be replayed, recorded and compared (design §3).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar, TypeVar, final

import msgspec
from attrs import frozen

from tenure.errors import InvalidInput
from tenure.persistence.model.values import LogicalRuntimeId, RuntimeState


@frozen(kw_only=True, slots=True)
class Change:
    """One thing to write. Each facet defines its own.

    Attributes:
        ingress: Carries no fence and is checked against its target's stored state instead (accept, send, enqueue).
        may_create: Its runtime need not exist: contract verbs speak of runtimes that were never spawned.
        always_synced: Its group is fsynced in class ``os`` too (tokens, ownership, tombstones).
        moves: Its runtime gets another owner or another token.
    """

    ingress: ClassVar[bool] = False
    may_create: ClassVar[bool] = False
    always_synced: ClassVar[bool] = False
    moves: ClassVar[bool] = False

    @property
    def reaches(self) -> LogicalRuntimeId | None:
        """The runtime that it writes without that one's token, for `Group.reached`; None where it knows none."""
        return getattr(self, "runtime_id", None) if self.ingress else None

    @property
    def row_count(self) -> int:
        """How many rows of one table it may write, for `Group.size`."""
        return 1

    @property
    def weight(self) -> int:
        """Payload bytes, as counted against `Limits.group_bytes`."""
        return 0


C = TypeVar("C", bound=Change)


@final
class Commit(msgspec.Struct, frozen=True, kw_only=True):
    """Changes that land together or not at all. A frozen struct: there is one a commit, and it is made ten times as fast.

    Attributes:
        runtime_id: The runtime whose fence guards this commit; None where every change is ingress or belongs to no runtime.
        fence_token: The token its writer holds; None writes only what no host owns.
        changes: In the order in which they are applied.
    """

    runtime_id: LogicalRuntimeId | None = None
    fence_token: int | None = None
    changes: tuple[Change, ...]

    def __post_init__(self) -> None:
        """Refuse a change of another runtime than the one whose fence is checked: it would get around its own."""
        change: Any
        for change in self.changes:
            if change.ingress:
                continue
            try:
                runtime_id = change.runtime_id
            except AttributeError:  # it is of no runtime; `getattr` would be a call for each of the others
                continue
            if runtime_id != self.runtime_id:
                detail = f"{type(change).__name__} is of another runtime than the commit"
                raise InvalidInput(detail=detail, field="runtime_id")

    @property
    def is_ingress(self) -> bool:
        """Whether no fence is asked of this commit."""
        return False not in [change.ingress for change in self.changes]  # a list: no generator on the hot path

    @property
    def may_create(self) -> bool:
        """Whether the runtime need not exist."""
        return True in [change.may_create for change in self.changes]

    @property
    def always_synced(self) -> bool:
        """Whether the group of this commit is fsynced in every class but ``memory``."""
        return True in [change.always_synced for change in self.changes]

    @property
    def weight(self) -> int:
        """Payload bytes of all changes."""
        weight = 0
        for change in self.changes:
            weight += change.weight
        return weight


@final
class CommitResult(msgspec.Struct, frozen=True, kw_only=True):
    """What a landed commit gives back. A frozen struct, as `Commit`.

    Attributes:
        group: Number of the group it landed in, for `Store.verdict`.
        changes: What was answered: the changes of the commit in order; of a repeat the one that was found to be known.
        values: Their answers, one each; a change's docstring says what its answer is.
        written: False where the commit was an exact repeat and nothing was written.
        past: Runtimes whose state it has written past their owner, each with that state.
    """

    group: int
    changes: tuple[Change, ...]
    values: tuple[Any, ...]
    written: bool = True
    past: tuple[tuple[LogicalRuntimeId, RuntimeState], ...] = ()

    def answer(self, change: Change) -> Any:
        """The answer to this very change, wherever it stands in the commit. Raises `LookupError`: it has none."""
        for each, value in zip(self.changes, self.values, strict=True):
            if each is change:
                return value
        message = f"{type(change).__name__} was not answered"
        raise LookupError(message)

    def only(self, kind: type[Change]) -> Any:
        """The answer to the first change of a kind, of which the commit has one. Raises `LookupError`: it has none."""
        for each, value in zip(self.changes, self.values, strict=True):
            if type(each) is kind:
                return value
        message = f"no {kind.__name__} was answered"
        raise LookupError(message)

    def answers(self, changes: Iterable[Change]) -> tuple[Any, ...]:
        """The answers to these very changes, in their order. Raises as `answer`."""
        return tuple([self.answer(each) for each in changes])

    def of_kind(self, kind: type[C]) -> list[tuple[C, Any]]:
        """Every change of a kind with its answer, in the order of the commit."""
        return [(each, value) for each, value in zip(self.changes, self.values, strict=True) if type(each) is kind]
