"""The record of a run against what its behaviour asks for: pure decisions, without clock or I/O (design §18).

Theory of operation. What a run has recorded is a set of entries, each at a place. When the run enters again its behaviour
asks for one thing after another, and each is matched here before anything is done. There are four laws.

- **Order (R1).** Within a branch the n-th thing asked for is the n-th recorded: same kind, name and `repeat`. A step with a
  call id is found by that id, and what a restart carried over by its name and arguments; neither counts in the order.
  A message that a restart carried over is reached when the same is sent or asked; another waits as under G until then.
- **Ends (R2).** A branch that returns has reached all that is recorded of it, and asks for nothing after its recorded end.
- **Guard (G).** What must not be done twice, and is not recorded, waits until every recorded entry is reached: as long as
  one is not, it may be the same work under another name, at another place. Waiting is the caller's part; `unreached` says
  how long.
- **Arguments.** Under the version that recorded it an entry must match. Under another one the arguments of what has ended
  are not compared, unless what is asked for stands recorded at another place: then the order was shifted.

Nothing is changed by an ask that is refused. An entry is reached when it is asked for, also where it is then executed again.
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterable
from typing import Final, final

from tenure.errors import InvalidInput
from tenure.persistence.facets.runs.entries import RecordedEntry
from tenure.persistence.model.codec import decode
from tenure.persistence.model.entries import (
    CARRIED,
    MAIN,
    MARK,
    SETTLED,
    EntryKind,
    EntryStatus,
    Repeat,
    parse_place,
    place_of,
    place_of_call,
    place_of_cut,
    place_of_end,
    stands_in,
)

from .asked import Asked, Differs, Found, asked_by, described, has_ended, is_in_doubt
from .branch import Branch, Message
from .cutting.kept import NO_CUT, Cut, read_cut

COUNTED: Final = frozenset({EntryKind.GATHER, EntryKind.FIRST})
"""Kinds whose number of branches is compared under every version."""

MESSAGES: Final = frozenset({EntryKind.SEND, EntryKind.ASK, EntryKind.SPAWN})
"""Kinds that are there with another runtime."""

TAKEN: Final = "steered"
"""The name of what says what a branch took of what steers."""

FAILING: Final = frozenset({EntryStatus.FAILED, EntryStatus.RETRYING})
"""How far a step has come that has failed and may be executed again."""


@final
class Record:
    """What is recorded of a run, and how much of it this entering has reached.

    Attributes:
        main: The behaviour's own branch.
        unreached: What was recorded and not reached yet, by place.
        marks: Recorded answers of patches, by name; `ends`: what is recorded of the ends of branches and scopes, by place.
        taken: What branches took of what steers, by place, where that is recorded and not reached.
        leaves_doubt: Whether a step that never repeats was cut off after it had begun.
        replays: Whether an entry with a place was recorded: `goes_on` is False else, and is asked for each token.
    """

    def __init__(
        self, entries: Iterable[RecordedEntry], version: str, *, take_recorded: bool = False, replay_s: float = 60.0
    ) -> None:
        """Of these entries, for a behaviour of this version; `take_recorded` compares no arguments of what has ended.

        A scope that was not over before may take so many seconds more until nothing that is recorded comes after it.
        """
        self._replay_s = replay_s
        self.main = Branch(path=MAIN)
        self.unreached: dict[str, RecordedEntry] = {}
        self.marks: dict[str, RecordedEntry] = {}
        self.ends: dict[str, RecordedEntry] = {}
        self.taken: dict[str, list[str]] = {}
        self.asked = 0
        self.leaves_doubt = False
        self._version = version
        self._take_recorded = take_recorded
        self._entries: dict[str, RecordedEntry] = {}
        self._tried: dict[str, RecordedEntry] = {}
        self._carried: dict[tuple[EntryKind, str, bytes], deque[RecordedEntry]] = {}
        self._sent_before: dict[Asked, int] = {}
        self._places: defaultdict[tuple[EntryKind, str, bytes], set[str]] | None = None
        self._given_to_others: dict[tuple[EntryKind, str, bytes], RecordedEntry] = {}
        self._last: dict[str, int] = {}
        self._calls: dict[str, None] = {}
        self._calls_after: dict[str, list[RecordedEntry]] = {}
        for entry in entries:
            self._add(entry)
        self.replays = bool(self._last)

    def _add(self, entry: RecordedEntry) -> None:
        # Cases: a mark, which has no place; a freely step that failed and that nothing stands on, which is not an entry; what
        # was carried over; anything else. A run enters again at the pace of this.
        place, repeat = entry.place, entry.repeat
        if place.startswith(MARK):
            self._add_mark(place, entry)
            return
        if repeat is Repeat.FREELY:
            if entry.status in FAILING:
                self._tried[place] = entry
                return
        elif is_in_doubt(entry):
            self.leaves_doubt = True
        if place.startswith(CARRIED):
            self._carried.setdefault((entry.kind, entry.name, entry.arguments_digest), deque()).append(entry)
        else:
            self._entries[place] = entry
            if (parsed := parse_place(place)) is not None:
                branch, number = parsed
                if number > self._last.get(branch, 0):
                    self._last[branch] = number
            elif entry.asked_after is not None:
                self._calls_after.setdefault(entry.asked_after, []).append(entry)
        self.unreached[place] = entry

    def _add_mark(self, place: str, entry: RecordedEntry) -> None:
        if place[len(MARK) :] == entry.name:
            self.marks[entry.name] = entry
        elif entry.name == TAKEN:
            self.taken[place] = decode(entry.result or b"[]", "steered", place)
        else:
            self.ends[place] = entry

    def ask(self, branch: Branch, asked: Asked) -> Found:
        """Where this stands. What is found there is reached from now on.

        Raises:
            Differs: Something else is recorded there, or its end is.
            InvalidInput: It is asked for beside another of the same branch, or its call id was asked for before.
        """
        if asked.call is not None:
            return self._ask_call(place_of_call(asked.call), asked)
        if branch.in_flight is not None:
            raise InvalidInput(
                detail=(
                    f"{asked.kind} {asked.name} is asked for while {branch.in_flight} is in flight in the same branch; "
                    "use run.map, run.gather, run.first, or run.step(..., call=...)"
                ),
                field="call",
            )
        if (carried := self._take_carried(asked)) is not None:
            return carried
        place = place_of(branch.path, branch.reached + 1)
        entry = self._entries.get(place)
        # What a retry has forgotten of a branch that had ended there is asked for again.
        if entry is None and place not in self._tried and self._has_ended(branch):
            raise Differs(place, "the end of the branch", str(asked))
        found = self._found(place, entry, asked)
        branch.reached += 1
        return found

    def _ask_call(self, place: str, asked: Asked) -> Found:
        if place in self._calls:
            raise InvalidInput(detail=f"call id {place[1:]} was used before in this run", field="call")
        entry = self._entries.get(place)
        found = self._take_carried(asked) if entry is None else None
        found = found or self._found(place, entry, asked)
        self._calls[place] = None
        return found

    def _found(self, place: str, entry: RecordedEntry | None, asked: Asked) -> Found:
        if entry is not None:
            self._compare(place, entry, asked)
            self.unreached.pop(place, None)
        self.asked += 1
        return Found(place, entry)

    def _take_carried(self, asked: Asked) -> Found | None:
        # The n-th of equals, in the order of their first recording.
        waiting = self._carried.get((asked.kind, asked.name, asked.arguments)) if self._carried else None
        if not waiting:
            return None
        if waiting[0].repeat is not asked.repeat:
            raise Differs(waiting[0].place, described(waiting[0]), str(asked))
        entry = waiting.popleft()
        self.unreached.pop(entry.place, None)
        self.asked += 1
        return Found(entry.place, entry)

    def carried_step(self, name: str, arguments: str) -> RecordedEntry | None:
        """The next step that a restart has taken over with this digest of its arguments, in hex; or None."""
        waiting = self._carried.get((EntryKind.STEP, name, bytes.fromhex(arguments))) if self._carried else None
        return waiting[0] if waiting else None

    def addressed(self, message: Message) -> None:
        """A behaviour sends this: where a restart has taken it over, it is reached."""
        if self._carried and self._take_carried(asked := asked_by(message)) is not None:
            self._sent_before[asked] = self._sent_before.get(asked, 0) + 1

    def unsent(self, messages: list[Message]) -> list[Message]:
        """What of the messages of the next boundary is to be sent: what a restart has taken over was, by the run before."""
        if not self._sent_before:
            return messages
        left: list[Message] = []
        for message in messages:
            if self._sent_before.get(asked := asked_by(message)):
                self._sent_before[asked] -= 1
            else:
                left.append(message)
        return left

    def messages_left(self) -> list[RecordedEntry]:
        """Messages that a restart has taken over and that are not reached: another may be one of them in other words."""
        if not self._carried:
            return []
        return [each for each in self.unreached.values() if each.kind in MESSAGES and each.place.startswith(CARRIED)]

    def tried(self, place: str, asked: Asked) -> RecordedEntry | None:
        """The last failed attempt of a freely step that tries again by itself, where the same is asked for again."""
        entry = self._tried.get(place)
        if entry is None or entry.status is not EntryStatus.RETRYING:
            return None
        recorded = entry.kind, entry.name, entry.arguments_digest
        return entry if recorded == (asked.kind, asked.name, asked.arguments) else None

    def drawn_before_next(self, branch: Branch) -> tuple[float, ...]:
        """The times that a branch was given before what it asks for next, as recorded."""
        # Calls that were asked for before the next place leave the times to it, and were recorded earlier; so do cuts.
        entry = self._entries.get(place_of(branch.path, branch.reached + 1)) or self.ends.get(place_of_end(branch.path))
        found = [each.drawn for each in self._calls_after.get(place_of(branch.path, branch.reached), ())]
        found += [each.drawn for each in self.cuts_here(branch)] if self.ends else []
        return max([*found, () if entry is None else entry.drawn], key=len)

    def cuts_here(self, branch: Branch) -> list[RecordedEntry]:
        """The cuts that are recorded after what a branch has asked for last, in order."""
        found = list[RecordedEntry]()
        while (entry := self.ends.get(place_of_cut(branch.path, branch.reached, len(found)))) is not None:
            found.append(entry)
        return found

    # Comparing

    def _compare(self, place: str, entry: RecordedEntry, asked: Asked) -> None:
        if entry.kind is not asked.kind or entry.name != asked.name or entry.repeat is not asked.repeat:
            raise Differs(place, described(entry), str(asked))
        if not asked.compare or entry.arguments_digest == asked.arguments:
            return
        if self.compares(entry) or (has_ended(entry) and not self._take_recorded and self._is_shifted(place, asked)):
            raise Differs(place, described(entry), str(asked))
        self._given_to_others[entry.kind, entry.name, entry.arguments_digest] = entry

    def check_new(self, place: str, asked: Asked) -> None:
        """Raises `Differs` for what is done already: its result was given to one with other arguments, at its place."""
        done = self._given_to_others.get((asked.kind, asked.name, asked.arguments))
        if done is not None and asked.compare:
            raise Differs(place, f"{described(done)} at {done.place}", str(asked))

    def compares(self, entry: RecordedEntry) -> bool:
        """Whether the arguments of an entry must be those that are recorded, wherever else they may stand."""
        if entry.kind in COUNTED or (entry.repeat is not Repeat.FREELY and not has_ended(entry)):
            return True  # a step is done with the arguments of now, and may have been done with the others
        if self._take_recorded:
            return False
        # A person has said that it ran with the arguments of then, perhaps while another was asked for in its place.
        return entry.error == SETTLED or (bool(self._version) and entry.version == self._version)

    def _is_shifted(self, place: str, asked: Asked) -> bool:
        key = asked.kind, asked.name, asked.arguments
        if self._places is None:  # few runs ever ask
            self._places = defaultdict(set)
            for each in self._entries.values():
                self._places[each.kind, each.name, each.arguments_digest].add(each.place)
        return bool(self._places.get(key, set()) - {place})

    def _has_ended(self, branch: Branch) -> bool:
        """Whether the end of a branch is recorded: something stands after it in a branch around it."""
        inner = branch
        while inner.around is not None:
            parsed = parse_place(inner.path.rpartition(".")[0])
            if parsed is not None and self._last.get(inner.around.path, 0) > parsed[1]:
                return not branch.open_ended
            inner = inner.around
        return False

    def end(self, branch: Branch) -> None:
        """The branch returns. Raises `Differs` where something that is recorded of it is not reached."""
        if left := self.left_in(branch):
            raise Differs(left[0].place, "; ".join([described(entry) for entry in left[:3]]), "the end")

    def cut(self, branch: Branch) -> Cut:
        """That of open scopes which is recorded after what a branch has asked for last; `NO_CUT` where there is none."""
        found = self.ends.get(branch.next_cut) if self.ends and branch.scopes else None
        cut = NO_CUT if found is None else read_cut(found)
        return cut if cut.scope in branch.scopes else NO_CUT

    def knows_call(self, place: str) -> bool:
        """Whether a step with a call id is recorded."""
        return place in self._entries or place in self._tried

    def time_scopes(self, branch: Branch, last: RecordedEntry | None = None) -> None:
        """Set the ends of the open scopes of a branch by what is recorded, and by what it was given last."""
        # Cases: one that ended with one around it, whichever is over first now; one whose entry was cut off; one that is over
        # here, once what was kept before is kept again; one that was not over here: it is not now, however long it takes to
        # come past what is recorded, entries and cuts.
        if not branch.scopes:
            return
        ended = self.cut(branch)
        left = len(branch.kept) < ended.waits_for
        goes_on = self.goes_on(branch) or (bool(self.ends) and branch.next_cut in self.ends)
        cut = last is not None and last.status is EntryStatus.CANCELLED
        for path, scope in branch.scopes.items():
            if path in ended.scopes[1:]:
                scope.end_with_another()
            elif not ((left and not cut) if path in ended.scopes else goes_on):
                scope.count(stays=cut)
            else:
                scope.wait_for(self._replay_s)

    def left_in(self, branch: Branch) -> list[RecordedEntry]:
        """What is recorded of a branch and not reached; of the behaviour itself: all that is not reached."""
        if branch.around is None:
            return list(self.unreached.values())
        return [entry for place, entry in self.unreached.items() if stands_in(place, branch.path)]

    def pass_over(self, path: str) -> None:
        """What is recorded of a branch counts as reached."""
        for entry in self.left_inside(path):
            del self.unreached[entry.place]
        if self.taken:
            left = self.taken.items()
            self.taken = {place: each for place, each in left if not stands_in(place[len(MARK) :], path)}

    def left_inside(self, path: str) -> list[RecordedEntry]:
        """What is recorded inside a branch and not reached; with calls, which may be asked for elsewhere, too."""
        return [each for each in self.unreached.values() if stands_in(each.asked_after or each.place, path)]

    def is_replay(self, branch: Branch) -> bool:
        """Whether something that is recorded of this branch, or of one around it, is not reached."""
        return self.goes_on(branch) or any(
            each.place.startswith(CARRIED)
            or (each.asked_after is not None and stands_in(f"{branch.path}/", each.asked_after.rpartition("/")[0]))
            for each in self.unreached.values()
        )

    def goes_on(self, branch: Branch | None) -> bool:
        """Whether something is recorded that stands after what this branch has asked for last."""
        while branch is not None:
            if self._last.get(branch.path, 0) > branch.reached:
                return True
            branch = branch.around
        return False
