"""What a run emits: where it stands in its record, and what of it a dead attempt has said in vain (design §22).

What the behaviour says stands after what its branch has asked for last. It is *kept* where something is recorded after it: a
run that enters again does not say it again. What a step says is kept with its result. All else is said again, or never was:
so an entering drops it, by entries ``restarted``, before it says anything itself.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from contextvars import ContextVar
from typing import Final, final

from tenure.errors import InvalidInput
from tenure.persistence.commits.commit import Change, CommitResult
from tenure.persistence.facets.output.output import AppendOutput
from tenure.persistence.facets.runs.entries import RecordedEntry
from tenure.persistence.model.codec import encode
from tenure.persistence.model.entries import EntryStatus, Repeat, parse_place
from tenure.persistence.model.output import CHANNEL, IN_STEP, OutputKind, Place, Said, check_channel
from tenure.persistence.writing.group import Outcome

from .speech import DATA, Speech


@final
class Saying:
    """What one entering of a run says.

    Attributes:
        speech: With its first word there is one.
        attempt: See `OutputEntry`.
    """

    __slots__ = ("_lock", "_make", "attempt", "speech")

    def __init__(self, make: Callable[[int], Speech], lock: threading.Lock) -> None:
        """Nothing is said; `make` makes the speech of an attempt, under the lock: several threads may call this."""
        self._make = make
        self._lock = lock
        self.speech: Speech | None = None
        self.attempt = 1

    def speak(self) -> Speech:
        """What is said, from now on at least."""
        if self.speech is None:
            with self._lock:
                return self._made()
        return self.speech

    def _made(self) -> Speech:
        if self.speech is None:
            self.speech = self._make(self.attempt)
        return self.speech

    def drop(self, recorded: Iterable[RecordedEntry], rows: Sequence[tuple[Place, int, Said]]) -> None:
        """Say first what of these is to be dropped: what earlier attempts have said, as it is stored."""
        self.attempt = max([attempt for _, attempt, _ in rows], default=1)
        restarted = in_vain(recorded, [(place, said) for place, attempt, said in rows if attempt == self.attempt])
        if restarted:
            self.attempt += 1
            for each in restarted:
                self.speak().say(each, forced=True)

    def changes(self) -> tuple[Change, ...]:
        """What a commit of the run takes along: it stands before all else, so that an end comes after the last word."""
        change = None if self.speech is None else self.speech.change()
        return () if change is None else (change,)

    def settled(self, outcome: Outcome) -> None:
        """A commit with what `changes` gave has settled."""
        if self.speech is not None and isinstance(outcome, CommitResult):
            for change, _ in outcome.of_kind(AppendOutput):
                self.speech.landed(change)
            self.speech.ended()

    def close(self) -> None:
        """The execution has ended."""
        if self.speech is not None:
            self.speech.close()


@final
class Voice:
    """What a step says, in one of its attempts. Good until that ends.

    Attributes:
        saying: Of its run.
        place: Of the step.
        open: Whether the attempt goes on.
        first: The number of the first entry that it has said, or None.
    """

    __slots__ = ("first", "open", "place", "saying")

    def __init__(self, saying: Saying, place: str) -> None:
        """It has said nothing."""
        self.saying = saying
        self.place = place
        self.open = True
        self.first: int | None = None

    def emit(self, value: bytes, channel: str) -> bool:
        """See `emit`. From any thread."""
        if not self.open:
            return False
        speech = self.saying.speech or self.saying.speak()
        return speech.say(Said(DATA, channel, self.place, IN_STEP, value), self)

    def close(self) -> None:
        """The attempt has ended: from now on nothing is said. What a thread says at this moment is said before."""
        self.open = False
        if self.saying.speech is not None:
            self.saying.speech.wait_for_threads()

    def fail(self) -> None:
        """The attempt has failed, and another one follows: what it has said is to be dropped."""
        if self.first is not None:
            restarted = Said(OutputKind.RESTARTED, place=self.place, reached=IN_STEP, drop=self.first)
            self.saying.speak().say(restarted, forced=True)


VOICE: Final[ContextVar[Voice | None]] = ContextVar("tenure.voice", default=None)
"""The voice of the step that a task or a thread works for."""


def emit(value: object, channel: str = CHANNEL) -> bool:
    """Add an entry to the output of the runtime whose step this is called in: a token of a model, a line of progress.

        def ask_model(question: str) -> str:
            for token in client.stream(question):
                tenure.emit(token)

    For steps that are async functions, run in threads, or are asyncio functions (`tenure.asyncio.on_loop`); a behaviour itself
    has `Run.emit`. Threads that a step starts itself speak in its context (`contextvars.copy_context().run`). It never waits,
    and is on disk with the next commit of the run, within 20 ms where it is followed, else within a second. Where the step
    begins anew, after a crash or a failure, what it has said is followed by ``restarted``.

    Args:
        value: A JSON value, of at most 256 KiB.
        channel: A name of 1 to 200 characters, by which readers choose.

    Returns:
        False where it was dropped: 1 MiB of the run waits to be written, or the step has ended, was given up or cancelled.

    Raises:
        InvalidInput: It is not called in a step; or the value has no JSON form, or the channel no such name.
        PayloadTooLarge: The value is over the limit.
    """
    voice = VOICE.get()
    if voice is None:
        raise InvalidInput(detail="emit is for steps; a behaviour has run.emit", field="value")
    if channel is not CHANNEL:
        channel = check_channel(channel)
    return voice.emit(encode(value, "value"), channel)


def in_vain(recorded: Iterable[RecordedEntry], said: Iterable[tuple[Place, Said]]) -> list[Said]:
    """The entries ``restarted`` that drop what of an attempt is not kept; by its branches and steps where others go between."""
    live: list[tuple[Place, Said]] = []
    for place, each in said:
        if each.kind == OutputKind.DATA:
            live.append((place, each))
        elif each.kind == OutputKind.RESTARTED and isinstance(each.drop, tuple):
            drop, where = each.drop, each.place
            live = [entry for entry in live if entry[0] <= drop or (where and entry[1].place != where)]
    kept = _Kept(recorded)
    lost = [entry for entry in live if not kept.keeps(entry[1])]
    if not lost:
        return []
    first = lost[0][0]
    if len([entry for entry in live if entry[0] >= first]) == len(lost):
        return [Said(OutputKind.RESTARTED, drop=(first[0], first[1] - 1))]
    firsts: dict[str, Place] = {}
    for place, each in lost:
        firsts.setdefault(each.place, place)
    return [Said(OutputKind.RESTARTED, place=where, drop=(at[0], at[1] - 1)) for where, at in firsts.items()]


@final
class _Kept:
    """What a record keeps of what was said: as `Record` has it of a branch that goes on."""

    def __init__(self, recorded: Iterable[RecordedEntry]) -> None:
        self._last: dict[str, int] = {}
        self._over: set[str] = set()
        for entry in recorded:
            if _is_tried(entry):
                continue
            if _is_over(entry):
                self._over.add(entry.place)
            if (parsed := parse_place(entry.place)) is not None:
                self._last[parsed[0]] = max(self._last.get(parsed[0], 0), parsed[1])

    def keeps(self, said: Said) -> bool:
        if said.reached == IN_STEP:
            return said.place in self._over
        path, reached = said.place, said.reached
        while self._last.get(path, 0) <= reached:
            outer = path.rpartition(".")[0]
            parsed = parse_place(outer) if outer else None
            if parsed is None:
                return False
            path, reached = parsed
        return True


def _is_tried(entry: RecordedEntry) -> bool:
    # A freely step that has failed is not an entry until something stands on it.
    return entry.repeat is Repeat.FREELY and entry.status in (EntryStatus.FAILED, EntryStatus.RETRYING)


def _is_over(entry: RecordedEntry) -> bool:
    if entry.status is EntryStatus.FAILED:
        return entry.repeat is Repeat.NEVER
    return entry.status in (EntryStatus.SUCCEEDED, EntryStatus.CAUGHT, EntryStatus.CANCELLED)
