"""The commit channel: the one way in which a runtime's commits reach the writer, in their order, under its token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Final, final

import trio

from tenure.errors import Contended, DiskFull
from tenure.persistence.commits.commit import (
    Change,
    Commit,
    CommitResult,
)
from tenure.persistence.model.values import LogicalRuntimeId
from tenure.persistence.seams.nursery import is_for_others
from tenure.persistence.store import Store, ground_of
from tenure.persistence.writing.group import Outcome
from tenure.persistence.writing.pending import Pending

from .facts import RuntimeFacts

RETRY_S: Final = 0.25
"""First wait after `DiskFull` or `Contended`; doubles up to `RETRY_LIMIT_S`."""

RETRY_LIMIT_S: Final = 5.0

Settled = Callable[[Outcome], None]
Defect = Callable[[LogicalRuntimeId, BaseException], None]


@final
class Turn:
    """A lock that is taken at once where it is free: what follows is a commit, which is the checkpoint.

    It goes from hand to hand, in the order of asking. A `trio.Lock` also notes its owner, for misuse that cannot happen here:
    seven calls more for each commit.
    """

    __slots__ = ("_shared", "_taken", "_waiting")

    def __init__(self) -> None:
        """The turn is free."""
        self._taken = False
        self._shared = False
        self._waiting: trio.lowlevel.ParkingLot | None = None  # made for the first who waits: few ever do

    @property
    def taken(self) -> bool:
        """Whether someone has it."""
        return self._taken

    @property
    def is_waited_for(self) -> bool:
        """Whether someone waits for it."""
        return bool(self._waiting)

    def take(self) -> None:
        """Take it, where it is free, or where who has it has nothing more to do in it: it is free when both have left it."""
        self._shared, self._taken = self._taken, True

    async def wait(self) -> None:
        """Take it, when those who asked before have had it; at once, and without a checkpoint, where it is free."""
        if self._taken:
            if self._waiting is None:
                self._waiting = trio.lowlevel.ParkingLot()
            await self._waiting.park()  # the one before hands it over
        self._taken = True

    async def __aenter__(self) -> None:
        await self.wait()

    async def __aexit__(self, *_: object) -> None:
        self.leave()

    def leave(self) -> None:
        """Hand it over to the next, or leave it free."""
        if self._shared:
            self._shared = False
        elif self._waiting is not None and self._waiting:
            self._waiting.unpark()
        else:
            self._taken = False


@final
class CommitChannel:
    """Sends one runtime's commits to the store.

    Attributes:
        turn: Held while a commit for the run or for a lifecycle event is made: of these one commit is in flight at a time, so
            that each is decided on a state that is already published. Accepts need no turn and share groups.
    """

    __slots__ = ("_defect", "_facts", "_in_turn", "_submit", "turn")

    def __init__(self, store: Store, facts: RuntimeFacts, defect: Defect) -> None:
        """Bind the channel to one ownership; each commit goes under the token that is in force when it is submitted.

        `defect` hears what a callback of a settled commit raised: then what is published is not what is stored.
        """
        self._defect = defect
        self._submit = ground_of(store).submit
        self._facts = facts
        self._in_turn: Pending | None = None
        self.turn = Turn()

    @property
    def is_free(self) -> bool:
        """Whether the turn is free, or has only to be left by a task whose commit has settled."""
        turn = self.turn
        if not turn.taken:
            return True
        return self._in_turn is not None and self._in_turn.outcome is not None and not turn.is_waited_for

    def submit(self, *changes: Change, on_settled: Settled | None = None) -> Pending:
        """Queue one commit after all before it and return at once."""
        return self._submit(self.of(*changes), None if on_settled is None else partial(self.guarded, on_settled))

    def of(self, *changes: Change) -> Commit:
        """A commit of this runtime, under the token that is in force now."""
        return Commit(runtime_id=self._facts.runtime_id, fence_token=self._facts.fence_token, changes=changes)

    def guarded(self, on_settled: Settled, outcome: Outcome) -> None:
        """Call the callback, which costs this runtime its trust where it raises, and no other runtime anything."""
        try:
            on_settled(outcome)
        except BaseException as exc:
            if is_for_others(exc):
                raise
            # Raised from here it would stop the store, and every runtime with it.
            self._defect(self._facts.runtime_id, exc)

    async def commit(self, *changes: Change, on_settled: Settled | None = None) -> CommitResult:
        """Commit and wait; see `Store.commit`."""
        return await self.submit(*changes, on_settled=on_settled).wait()

    async def commit_in_turn(self, *changes: Change, on_settled: Settled | None = None) -> CommitResult:
        """Commit for the run: wait for the turn, and keep the changes over `DiskFull` and `Contended`.

        Both say that nothing landed, so the same commit is tried again while the run waits; neither counts as an attempt
        (design §3). The turn is free between the tries, for a stop.
        """
        return await self.decide_in_turn(lambda: changes, on_settled)

    async def decide_in_turn(
        self, decide: Callable[[], Sequence[Change]], on_settled: Settled | None = None
    ) -> CommitResult:
        """As `commit_in_turn`, of changes that are decided anew in each turn, on what is published then."""
        delay_s, turn = RETRY_S, self.turn
        while True:
            if turn.taken:
                await turn.wait()
            else:
                turn.take()
            try:  # and not `async with`, which is two coroutines more for each commit of a run
                self._in_turn = self.submit(*decide(), on_settled=on_settled)
                return await self._in_turn.wait()
            except (DiskFull, Contended):
                pass  # tried again below, once the turn is free
            finally:
                self._in_turn = None
                turn.leave()
            await trio.sleep(delay_s)
            delay_s = min(delay_s * 2, RETRY_LIMIT_S)


def once_landed(publish: Callable[[tuple[Any, ...]], None]) -> Settled:
    """The callback of a commit that is published, with its answers, where it has landed."""

    def settled(outcome: Outcome) -> None:
        if isinstance(outcome, CommitResult):
            publish(outcome.values)

    return settled
