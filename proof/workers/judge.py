"""What has become of each piece of work, and what may not."""

from __future__ import annotations

from typing import Final, final

from attrs import define, frozen

import tenure
from proof.seeded.cases import Broken, wall_clock

from .mortal import Outside

STARTS: Final = 9
PER_S: Final = 30.0
"""The rate that all hosts share."""

MAX_ATTEMPTS: Final = 3


@final
@define(slots=True)
class Piece:
    """A batch, under the name that its payload says.

    Attributes:
        session: Whose work it is.
        due_ms: When it may begin.
        filed: Whether its own turn completes it, and files it; else its handler just returns.
        place: Its place in the queue, once one has heard of it.
        since_ms: Since when it stands there for sure; None while that is not known.
        open: Whether it surely waits or is worked on: no commit that ends it is on its way.
        deaths: How many hosts had died when it was queued, or a person let it stand in the queue again.
        attempts: Attempts that failed.
        returned: How often its handler came to its end.
        cancelled: Whether a cancel won.
    """

    session: str
    due_ms: int
    filed: bool
    place: int | None = None
    since_ms: int | None = None
    open: bool = True
    deaths: int = 0
    attempts: int = 0
    returned: int = 0
    cancelled: bool = False


@final
@frozen(eq=False, slots=True)
class Call:
    """A call of a handler.

    Attributes:
        work: What it got.
        host: Where.
        shut: How often that one had been frozen.
        passed: What stood ahead of it in its session, and since when: the store must say that crashes have left it dead.
    """

    work: tenure.QueuedWork
    host: Outside
    shut: int
    passed: tuple[tuple[str, int | None], ...]


@final
class Judge:
    """Hears of everything, from the handlers and from the one who queues.

    Attributes:
        pieces: By name.
        starts: When work began, unix milliseconds.
    """

    def __init__(self, max_crashes: int) -> None:
        """Nothing was queued; so many crashes leave a piece dead."""
        self._max_crashes = max_crashes
        self.pieces: dict[str, Piece] = {}
        self.starts: list[int] = []
        self._running: list[Call] = []
        self._deaths = 0
        self._broken: list[str] = []

    # Who queues

    def queued(self, name: str, batch: tenure.QueuedWorkBatch) -> None:
        """It was acknowledged."""
        piece = self.pieces[name]
        piece.place = batch.enqueue_seq
        piece.since_ms = batch.enqueued_at_ms
        piece.deaths = self._deaths

    def cancelled(self, name: str) -> None:
        """A cancel won."""
        piece = self.pieces[name]
        piece.cancelled, piece.open = True, False

    def tried_again(self, name: str) -> None:
        """A person let it stand in the queue again, with no failure counted."""
        piece = self.pieces[name]
        piece.open, piece.attempts, piece.since_ms, piece.deaths = True, 0, now_ms(), self._deaths

    # Workers

    def begin(self, work: tenure.QueuedWork, host: Outside) -> Call:
        """A handler was called."""
        at_ms = work.claim.claimed_at_epoch_ms
        names = names_of(work)
        self.starts.append(at_ms)
        for other in self._running:
            if other.work.session_id == work.session_id and not self._may_be_lost(other):
                self._broken.append(f"{names} began beside {names_of(other.work)} in {work.session_id}")
        for name, batch in zip(names, work.batches, strict=True):
            self._begin_one(name, batch, work, at_ms)
        call = Call(work, host, host.gate.ever_shut, self._ahead(work, at_ms))
        self._running.append(call)
        return call

    def _begin_one(self, name: str, batch: tenure.QueuedWorkBatch, work: tenure.QueuedWork, at_ms: int) -> None:
        piece = self.pieces[name]
        piece.place = batch.enqueue_seq
        if piece.cancelled:
            self._broken.append(f"{name} began, and was cancelled")
        if piece.due_ms > at_ms:
            self._broken.append(f"{name} began {piece.due_ms - at_ms} ms early")
        if work.attempt > piece.attempts + 1:
            self._broken.append(f"{name} is in attempt {work.attempt}, and {piece.attempts} have failed")
        if work.crashes > self._deaths - piece.deaths:
            self._broken.append(f"{name} has {work.crashes} crashes, and {self._deaths - piece.deaths} hosts died")

    def _ahead(self, work: tenure.QueuedWork, at_ms: int) -> tuple[tuple[str, int | None], ...]:
        names, last = names_of(work), work.batches[-1].enqueue_seq
        return tuple(
            [
                (name, each.since_ms)
                for name, each in self.pieces.items()
                if each.session == work.session_id
                and each.open
                and name not in names
                and each.place is not None
                and each.place < last
                and each.since_ms is not None
                and max(each.since_ms, each.due_ms) < at_ms
            ]
        )

    def passed(self, call: Call, crashes: dict[str, int]) -> None:
        """What the store says is dead of crashes, and of how many: nothing else that stood ahead may be passed over.

        A host may die between a claim and the call of its handler: of that crash nothing else is heard.
        """
        for name, since_ms in call.passed:
            piece = self.pieces[name]
            if not piece.open or piece.since_ms != since_ms:
                continue  # cancelled, or tried again, since the handler was called
            if self._max_crashes <= crashes.get(name, 0) <= self._deaths - piece.deaths:
                piece.open = False
            else:
                self._broken.append(f"{names_of(call.work)} began, and {name} stood ahead of it in {piece.session}")

    def ending(self, call: Call) -> None:
        """Its work may be done from now on."""
        for name in names_of(call.work):
            self.pieces[name].open = False

    def returned(self, call: Call) -> None:
        """Its handler came to its end."""
        for name in names_of(call.work):
            self.pieces[name].returned += 1
        self.ending(call)

    def failing(self, call: Call) -> None:
        """Its attempt fails; the last one may leave it dead. Of a host that was frozen, another may have done it meanwhile."""
        for name in names_of(call.work):
            piece = self.pieces[name]
            piece.attempts += 1
            if call.work.attempt >= MAX_ATTEMPTS:
                piece.open = False
            elif not self._may_be_lost(call):
                piece.open = True

    def broke(self, what: str) -> None:
        """A promise was broken."""
        self._broken.append(what)

    def over(self, call: Call) -> None:
        """Its handler runs no more."""
        self._running.remove(call)

    def died(self, host: Outside) -> None:
        """A host died, and its handlers with it."""
        self._deaths += 1
        self._running = [call for call in self._running if call.host is not host]

    def _may_be_lost(self, call: Call) -> bool:
        return call.host.gate.ever_shut != call.shut

    # The end

    def judge(self, filed: dict[str, list[str]]) -> None:
        """All has ended; `filed` is what stands in each session. Raises `Broken`."""
        every = [name for names in filed.values() for name in names]
        for name, piece in self.pieces.items():
            times = every.count(name) if piece.filed else piece.returned
            if piece.filed and times > 1:
                self._broken.append(f"{name} was done {times} times")
            if piece.cancelled and piece.filed and times:
                self._broken.append(f"{name} was cancelled, and done")
            if not piece.cancelled and not times:
                self._broken.append(f"{name} is not queued any more, and was never done")
        self.so_far()

    def so_far(self) -> None:
        """Raises `Broken`."""
        self._judge_rate()
        if self._broken:
            raise Broken(self._broken[0])

    def _judge_rate(self) -> None:
        starts = sorted(self.starts)
        for first, later in zip(starts, starts[STARTS:], strict=False):
            if later - first < PER_S * 1000:
                self._broken.append(f"{STARTS + 1} began within {later - first} ms")


def names_of(work: tenure.QueuedWork) -> list[str]:
    """The names of the pieces of one claim."""
    return [batch.items[0].payload.body.decode() for batch in work.batches]


def now_ms() -> int:
    """The wall clock of every host."""
    return int(wall_clock() * 1000)
