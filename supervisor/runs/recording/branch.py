"""One branch of a run in one entering: what it has asked for, what stands on that, and what it gives (design §18, R1)."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any, Final, final

from attrs import frozen

from tenure.errors import InvalidInput
from tenure.persistence.commits.commit import Change
from tenure.persistence.facets.runs.addressed import PLAIN, SendTerms
from tenure.persistence.facets.runs.asking.asks import GiveUpAsks
from tenure.persistence.facets.runs.entries import CatchEntry, RecordEntry
from tenure.persistence.model.entries import EntryKind, place_of_cut
from tenure.persistence.model.values import InputId, LogicalRuntimeId, RunId
from tenure.supervisor.output.saying import VOICE, Saying
from tenure.supervisor.runs.resting.scopes import OpenScope


@final
@frozen(slots=True)
class Message:
    """What a behaviour sends.

    Attributes:
        target: The receiver.
        payload: Encoded.
        terms: On what terms.
    """

    target: LogicalRuntimeId
    payload: bytes
    terms: SendTerms = PLAIN


Kept = tuple[str, object, bool]
"""What a branch keeps for its next entry, the content, and whether the time of a scope around it was over by then."""


@final
class Branch:
    """One branch of a run, in one entering: the behaviour itself, or one side of `gather`, `map` or `first`.

    Attributes:
        path: Its path.
        around: The branch that it stands in; None for the behaviour itself.
        reached: How many things it has asked for by place.
        in_flight: What it has asked for and has not had an answer to; steps with a call id do not count.
        failed: Steps whose error it was given, and that nothing recorded stands on yet.
        late: What the next commit of the branch records beside its own entry: what a scope cut off, and ends that have
            no commit yet.
        appended: Messages, in order; likewise `sent` and `ended`. Those of an inner branch join those of the branch around
            it when it has ended.
        ended: Inputs that it rejected, each with its error, or answered, each with its encoded result.
        attached: Ids of attachments whose bytes are on disk; likewise.
        written: Values that it set in the runtime's own state, encoded, and None for what it deleted; likewise.
        taken: Inputs that steer and that it has taken; likewise. Those of a branch that has lost are given back to this one.
        taken_at: What it had reached when it last took some, or none, and how often it had done so there.
        given_back: What branches in it have given back, for it and for those that it has then.
        writers: Which of the branches beside it has written a name; shared with them, None where there are none.
        drawn: Times that it was given since it last asked for something by place; recorded with what it asks for next.
        open_ended: Whether new entries may stand after its recorded end: an item of a map.
        scopes: Those of its scopes that are open (`Run.move_on_after`), by path; `opened`: how many it has opened that stand in
            no other.
        left: Paths of scopes that a cancellation has left by now, on its way out to the one that it is of.
        cut_at: What it had reached when a scope was last cut off, and how often that was so there.
        past: The scope whose cut it has gone past, and it itself as tasks in that scope see it; None as a rule.
        stands_for: Of what is `past` a cut, the branch itself: nothing lands that is given there. None of others.
        over: Whether it has ended in this entering; it is asked no more then.
    """

    __slots__ = (
        "_kept",
        "_kept_at",
        "appended",
        "around",
        "attached",
        "cut_at",
        "drawn",
        "ended",
        "failed",
        "given_back",
        "in_flight",
        "late",
        "left",
        "open_ended",
        "opened",
        "over",
        "past",
        "path",
        "reached",
        "scopes",
        "sent",
        "stands_for",
        "taken",
        "taken_at",
        "writers",
        "written",
    )

    def __init__(
        self,
        path: str,
        around: Branch | None = None,
        *,
        open_ended: bool = False,
        writers: dict[str, str] | None = None,
    ) -> None:
        """It has asked for nothing. By hand, and not by factories: ``list[bytes]()`` costs twenty times what ``[]`` does."""
        self.path = path
        self.around = around
        self.reached = 0
        self.in_flight: str | None = None
        self.failed: dict[str, None] = {}
        self.late: dict[str, RecordEntry] = {}
        self.appended: list[bytes] = []
        self.sent: list[Message] = []
        self.ended: list[tuple[InputId, str | bytes]] = []
        self.attached: tuple[str, ...] = ()
        self.taken: tuple[Any, ...] = ()
        self.taken_at: tuple[int, int] = (-1, 0)
        self.given_back: tuple[Any, ...] = ()
        self.written: dict[str, bytes | None] = {}
        self.writers = writers
        self.drawn: list[float] = []
        self.open_ended = open_ended
        self.over = False
        self.scopes: dict[str, OpenScope] = {}
        self.opened = 0
        self.left: list[str] = []
        self.cut_at = (-1, 0)
        self.past: tuple[str, Branch] | None = None
        self.stands_for: Branch | None = None
        self._kept: list[Kept] = []
        self._kept_at = (-1, 0)

    def inner(self, path: str, *, open_ended: bool = False, writers: dict[str, str] | None = None) -> Branch:
        """A branch inside this one."""
        return Branch(path, self, open_ended=open_ended, writers=writers)

    @property
    def next_cut(self) -> str:
        """The place of what is recorded where a scope is cut off, as far as the branch has come."""
        reached, before = self.cut_at
        return place_of_cut(self.path, self.reached, before if reached == self.reached else 0)

    def is_cut(self) -> str:
        """A scope was cut off; the place of that."""
        place, (reached, before) = self.next_cut, self.cut_at
        self.cut_at = self.reached, before + 1 if reached == self.reached else 1
        return place

    @property
    def kept(self) -> list[Kept]:
        """What is kept for its next entry, in order, since it reached the last one and a scope was cut off last."""
        reached, before = self.cut_at
        at = self.reached, before if reached == self.reached else 0
        if self._kept_at != at:
            self._kept_at, self._kept = at, []
        return self._kept

    def go_past(self, scope: str) -> Branch:
        """It goes on past the cut of a scope: as what it is seen by tasks in that scope from now on."""
        if self.past is None or self.past[0] != scope:
            found = Branch(self.path, self)
            found.scopes, found.reached, found.cut_at, found.stands_for = self.scopes, self.reached, self.cut_at, self
            self.past = scope, found
        return self.past[1]

    def close_scope(self, path: str) -> None:
        """A scope of it is open no more."""
        del self.scopes[path]
        if self.past is not None and self.past[0] == path:
            self.past = None

    def write(self, name: str, value: bytes | None) -> None:
        """Set a value of the own state. Raises `InvalidInput` where a branch beside this one, or around it, has done so."""
        branch: Branch | None = self if self.stands_for is None else None
        while branch is not None:
            if branch.writers is not None and branch.writers.setdefault(name, branch.path) != branch.path:
                detail = f"{name!r} is written in two branches of one gather, and no order is between them"
                raise InvalidInput(detail=detail, field="name")
            branch = branch.around
        self.written[name] = value

    def take_seen(self, inner: Branch) -> None:
        """What was seen in an inner branch that has ended is seen here: errors, cuts and times that are not on disk yet."""
        self.failed.update(inner.failed)
        self.late.update(inner.late)
        inner.failed, inner.late = {}, {}

    def take_over(self, inner: Branch, *, keeps: bool = True) -> None:
        """An inner branch has ended: what was seen in it is seen here; what it gave lands from here, where it `keeps`."""
        self.take_seen(inner)
        self.given_back += inner.given_back
        if keeps:
            self.appended += inner.appended
            self.sent += inner.sent
            self.ended += inner.ended
            self.attached += inner.attached
            self.taken += inner.taken
            self.written.update(inner.written)
        else:
            self.given_back += inner.taken

    @contextmanager
    def giving_back(self, branches: Sequence[Branch]) -> Generator[None]:
        """What branches in it have taken is given back where they are cut off, or something raises beside them."""
        try:
            yield
        except BaseException:
            for each in branches:
                self.given_back += each.given_back + each.taken
            raise


BRANCH: Final[ContextVar[tuple[object, Branch] | None]] = ContextVar("tenure.branch", default=None)
"""The record and the branch that a task works in."""


@contextmanager
def within(record: object, branch: Branch) -> Generator[None]:
    """What is called here works in this branch of a record."""
    token = BRANCH.set((record, branch))
    try:
        yield
    finally:
        BRANCH.reset(token)


_ASKING: Final = (EntryKind.ASK, EntryKind.GATHER, EntryKind.FIRST)
"""Kinds that wait for an answer, or have branches that do."""


@final
class Standing:
    """What an entry stands on: errors that its branch was given, and what was cut off before it.

    It is on disk with the first commit of that entry.
    """

    def __init__(
        self,
        branch: Branch,
        failed: dict[str, None],
        late: dict[str, RecordEntry],
        late_calls: dict[str, RecordEntry],
        all_calls: dict[str, RecordEntry],
    ) -> None:
        """As it was when the entry was asked for."""
        self._branch = branch
        self._failed = failed
        self._late = late
        self._late_calls = late_calls
        self._all_calls = all_calls

    def changes(self, runtime_id: LogicalRuntimeId, run_id: RunId) -> tuple[Change, ...]:
        """What of it is not on disk yet."""
        caught = [CatchEntry(runtime_id=runtime_id, run_id=run_id, place=place) for place in sorted(self._failed)]
        asked = tuple([place for place, each in self._late.items() if each.kind in _ASKING])
        given_up = [GiveUpAsks(runtime_id=runtime_id, run_id=run_id, branches=asked)] if asked else []
        return (*caught, *self._late.values(), *self._late_calls.values(), *given_up)

    def landed(self) -> None:
        """It is on disk."""
        for place in self._failed:
            self._branch.failed.pop(place, None)
        for place in self._late:
            self._branch.late.pop(place, None)
        for place in self._late_calls:
            self._all_calls.pop(place, None)
        self._failed.clear()
        self._late.clear()
        self._late_calls.clear()


NOTHING: Final = Standing(Branch(""), {}, {}, {}, {})
"""What nearly every entry stands on."""


def check_outside_of_steps(saying: Saying) -> None:
    """Raises `InvalidInput` inside a step of the run that says this."""
    voice = VOICE.get()
    if voice is not None and voice.saying is saying:
        raise in_a_step()


_WAIT_FOR_TASKS: Final = (
    "; a branch waits for the tasks that it starts: in a nursery inside it, or as branches of a gather"
)


def after_its_end(branch: Branch) -> InvalidInput:
    """Why a task gets nothing whose branch has ended: where the run enters again, that stands after the end of the branch."""
    said = f"the branch {branch.path} has ended, and this is asked for by a task that it started"
    return InvalidInput(detail=said + _WAIT_FOR_TASKS, field="run")


def still_in_flight(branch: Branch, what: str) -> InvalidInput:
    """Why a branch, or a behaviour, cannot return yet."""
    return InvalidInput(detail=f"{what} is in flight where {branch.path} returns{_WAIT_FOR_TASKS}", field="run")


def in_a_step() -> InvalidInput:
    """Why a step gets nothing of its run."""
    return InvalidInput(detail="inside a step nothing can be asked of the run; emit is tenure.emit", field="run")
