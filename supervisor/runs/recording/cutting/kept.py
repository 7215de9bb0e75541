"""What a branch keeps for its next entry within a scope, and what of it comes past a cut (design §18, "Cut off").

Theory of operation. What is in no record, a wait or a computation, takes another time in each entering. So the record of a
scope that has cut off such a thing says what its branch had kept by then since its last entry: messages, values, times. Where
the run enters again, that is kept again in this scope, which waits for it; and what comes after it is not, for it was not done.
It is given to a branch past the cut, as by the loser of a `first`: seen by the tasks of the scope, and forgotten with it.
"""

from __future__ import annotations

from typing import Final, Protocol, final

from attrs import evolve, frozen

from tenure.errors import StepMismatch
from tenure.persistence.facets.runs.entries import RecordedEntry
from tenure.persistence.model.codec import decode, digest
from tenure.persistence.model.entries import place_of_call
from tenure.supervisor.runs.recording.asked import Asked, Differs, Found
from tenure.supervisor.runs.recording.branch import Branch, Kept
from tenure.supervisor.runs.recording.flight import Flight, Recording, cut_before, mark
from tenure.supervisor.runs.resting.scopes import INSIDE, OpenScope

CUT_OFF: Final = "cut off"
RAISED: Final = "cut off, and raised an error"
"""How the body of a scope has left it whose time was over."""

KEPT: Final = "kept"
"""Stands between the scopes of a cut and what was kept before it; in records of before there was this, neither stands."""

LATE: Final = "~"
"""What was kept when the time of the scope was over begins with this: the scope does not wait for it."""


@final
@frozen(slots=True)
class Cut:
    """A cut, as it is recorded.

    Attributes:
        scopes: The path of the scope that was cut off, and of those in it that ended with it.
        how: `CUT_OFF` or `RAISED`.
        kept: What its branch had kept by then since its last entry, or cut, as texts; None where the record does not say.
    """

    scopes: tuple[str, ...]
    kept: tuple[str, ...] | None
    how: str = CUT_OFF

    @property
    def scope(self) -> str:
        """The path of the scope that was cut off; empty where none was."""
        return self.scopes[0] if self.scopes else ""

    @property
    def waits_for(self) -> int:
        """How much of that the scope waits for."""
        kept = self.kept or ()
        return max([number for number, each in enumerate(kept, 1) if not each.startswith(LATE)], default=0)


NO_CUT: Final = Cut((), None)


class Cuts(Protocol):
    """The record of a run, as far as it knows of cuts."""

    ends: dict[str, RecordedEntry]

    def cut(self, branch: Branch, /) -> Cut:
        """That of the scopes of a branch which is recorded after what it has asked for last, or `NO_CUT`."""
        ...

    def compares(self, entry: RecordedEntry, /) -> bool:
        """Whether what is recorded must be the same."""
        ...

    def knows_call(self, place: str, /) -> bool:
        """Whether a step with a call id is recorded."""
        ...

    def time_scopes(self, branch: Branch, /) -> None:
        """Set the ends of the open scopes of a branch."""
        ...


class Records(Recording, Protocol):
    """The entering that a cut is recorded in."""

    @property
    def record(self) -> Cuts:
        """What is recorded."""
        ...

    @property
    def flights(self) -> dict[str, Flight]:
        """What is in flight, by place."""
        ...

    @property
    def fault(self) -> BaseException | None:
        """What ends the run, where something does."""
        ...

    def mismatch(self, found: Differs, /) -> StepMismatch:
        """The error of a run that does something else than its record says."""
        ...


def read_cut(entry: RecordedEntry) -> Cut:
    """A cut of its entry. Raises `Corrupt`."""
    found: list[str | int] = decode(entry.result or b"[]", "scope", entry.place)
    at = found.index(KEPT) if KEPT in found else len(found)
    kept = tuple([str(each) for each in found[at + 1 :]]) if at < len(found) else None
    return Cut(tuple([str(each) for each in found[:at]]), kept, entry.name)


def as_seen(branch: Branch) -> Branch:
    """A branch with open scopes as the calling task sees it: past the cut, where its scope has gone past that."""
    past = branch.past
    return branch if past is None or not _is_inside(branch, past[0]) else past[1]


def keep(record: Cuts, branch: Branch, what: str, said: object) -> Branch:
    """Keep something for the next entry of a branch with open scopes: the branch that it is given to.

    Args:
        record: Of its run.
        branch: The branch, as the calling task sees it.
        what: What it is.
        said: Its content, whose `repr` is the same in each entering.
    """
    # Cases: the task is in no scope of the branch; a cut is recorded before which so much is kept, or more; none is, or its
    # record does not say, as in the first entering.
    real = branch.stands_for or branch
    around = _scopes_around(real)
    if not around:
        return branch
    cut = record.cut(real) if record.ends else NO_CUT
    given = what, said, any(each.is_over for each in around)
    if cut.kept is not None and cut.scope in [each.path for each in around]:
        at = len(real.kept)
        if at >= len(cut.kept) or not _fits(record, real, cut.kept[at], given):
            return real.go_past(cut.scope)
        real.kept.append(given)
        if at + 1 == cut.waits_for:
            record.time_scopes(real)
        return real
    real.kept.append(given)
    return branch


def mark_cut(entering: Records, branch: Branch, scopes: list[str], how: str = CUT_OFF) -> None:
    """Say with the next commit of a branch that these of its scopes were cut off, how, and what it had kept by then.

    Raises `StepMismatch` where it is recorded that the body raised at that, and it was cut off now.
    """
    # Nothing lands after what ends the run, and what is past the cut of a scope around them is in no record.
    if (
        entering.fault is not None
        or branch.stands_for is not None
        or scopes[0].startswith(f"{entering.record.cut(branch).scope}.")
    ):
        return
    kept = [_text(each) for each in branch.kept]
    place = branch.is_cut()
    recorded = entering.record.ends.get(place)
    if recorded is None:
        cut = mark(entering, place, how, [*scopes, KEPT, *kept])
        branch.late[place] = evolve(cut, drawn=tuple(branch.drawn))
    elif recorded.name == RAISED != how:
        raise entering.mismatch(Differs(place, f"a scope that was {RAISED}", how))
    entering.record.time_scopes(branch)


def ends_early(entering: Records, branch: Branch, scope: str, *, raised: bool) -> bool:
    """Whether a scope was cut off where its body ends now: what is in no record may be quicker.

    A body that had raised at that does so now, as early as it likes. Raises `StepMismatch` where it does not.
    """
    cut = entering.record.cut(branch)
    if cut.how != RAISED or cut.scope != scope:
        return scope in cut.scopes
    if not raised:
        raise entering.mismatch(Differs(branch.next_cut, f"a scope that was {RAISED}", "its end"))
    return False


def found_past(entering: Records, branch: Branch, asked: Asked) -> Found | None:
    """What is asked for past a cut waits for it, and has no place; None for what is not."""
    # In order: nothing is asked for after the cut and before it. A call has no order, and may be of a task beside the scope.
    record, real = entering.record, branch.stands_for or branch
    if branch.next_cut not in record.ends:
        return None
    if asked.call is None:
        return cut_before(branch.next_cut, asked)
    place, cut = place_of_call(asked.call), record.cut(real)
    if not _is_inside(real, cut.scope) or record.knows_call(place) or place in entering.flights:
        return None
    return cut_before(place, asked)


def _is_inside(branch: Branch, path: str) -> bool:
    return any(each.path == path for each in _scopes_around(branch))


def _scopes_around(branch: Branch) -> list[OpenScope]:
    """The open scopes of a branch that the calling task stands in."""
    found, scope = list[OpenScope](), INSIDE.get()
    while scope is not None:
        if branch.scopes.get(scope.path) is scope:
            found.append(scope)
        scope = scope.around
    return found


def _fits(record: Cuts, branch: Branch, recorded: str, given: Kept) -> bool:
    """Whether this is what was kept; under another version than that which has recorded it, something of its kind."""
    text, wanted = _text(given).removeprefix(LATE), recorded.removeprefix(LATE)
    if text == wanted:
        return True
    return not record.compares(record.ends[branch.next_cut]) and text.rpartition(" ")[0] == wanted.rpartition(" ")[0]


def _text(kept: Kept) -> str:
    what, said, late = kept
    return f"{LATE if late else ''}{what} {digest(repr(said).encode(errors='surrogatepass')).hex()[:16]}"
