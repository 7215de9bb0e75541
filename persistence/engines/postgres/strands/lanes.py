"""Strands: functions that are carried out side by side, in one thread and on one connection.

Each runs in a greenlet. Where it asks the server it stands still, until each of the others has asked as well or has ended;
then one flush carries what all of them ask, and each goes on with its own answer. So all of them together take as many round
trips as the one that asks most.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, final

from greenlet import greenlet

from tenure.persistence.engines.engine import Strand
from tenure.persistence.engines.postgres.protocol.wire import Answered

from .alike import Sent

MOST_WAITING: Final = 512
"""Statements of a strand that wait to be sent."""

Ask = Callable[[Sequence[Sequence[Sent]], int], Mapping[int, Answered]]
"""Sends what lanes have written. So many of them, the first, wait for the answer to their last statement: those, by lane."""


@final
class Lane:
    """What a strand has written and not sent yet.

    Attributes:
        waiting: What waits to be sent.
        rows_written: See `WriteConnection.rows_written`.
    """

    __slots__ = ("_greenlet", "rows_written", "waiting")

    def __init__(self, strand: Strand) -> None:
        """That of a strand, which is not begun yet."""
        self.waiting: list[Sent] = []
        self.rows_written = 0
        self._greenlet: greenlet | None = greenlet(strand)  # whose parent is the one that makes it

    @property
    def has_ended(self) -> bool:
        """Whether its function has returned."""
        return self._greenlet is None or self._greenlet.dead

    def go_on(self, answer: Answered | None) -> None:
        """Carry it out until it asks, or ends; None begins it. Raises what its function raises."""
        if self._greenlet is not None:
            self._greenlet.switch(*(() if answer is None else (answer,)))

    def put(self, sent: Sent) -> None:
        """Called by its own function: send this with what it asks next."""
        self.waiting.append(sent)
        if len(self.waiting) >= MOST_WAITING:
            self._stand_still()

    def ask(self, *sent: Sent) -> Answered:
        """Called by its own function: the answer to the last of these, once all the others have asked too."""
        self.waiting += sent
        return self._stand_still()

    def give_up(self) -> None:
        """End it where it stands, and keep nothing of it: greenlets look for who has them when their thread ends."""
        strand, self._greenlet = self._greenlet, None
        if strand is not None and not strand.dead:
            strand.throw()

    def _stand_still(self) -> Answered:
        if self._greenlet is None or self._greenlet.parent is None:
            message = "it is not carried out"
            raise RuntimeError(message)
        answer: Answered = self._greenlet.parent.switch()
        return answer


def carry_out(strands: Sequence[Strand], enter: Callable[[Lane | None], None], ask: Ask) -> Sequence[Lane]:
    """Carry out strands; their lanes, with what each has left unsent.

    Args:
        strands: Functions that raise nothing, but what ends the whole group.
        enter: Makes a lane the one into which statements go; None: that of the group.
        ask: What it raises ends the strands, and is raised.
    """
    lanes = [Lane(each) for each in strands]
    going: list[tuple[Lane, Answered | None]] = [(lane, None) for lane in lanes]
    left: list[Lane] = []
    try:
        while going:
            asking: list[Lane] = []
            for lane, answer in going:
                enter(lane)
                lane.go_on(answer)
                if not lane.has_ended:
                    asking.append(lane)
                elif lane.waiting:
                    left.append(lane)
            enter(None)
            if not asking:
                break
            answers = ask([lane.waiting for lane in (*asking, *left)], len(asking))
            for lane in (*asking, *left):
                lane.waiting = []
            left = []
            going = [(lane, answers[place]) for place, lane in enumerate(asking)]
    finally:
        for lane in lanes:
            lane.give_up()
        enter(None)
    return lanes
