"""Strands: functions that are carried out side by side, in one thread and on one connection.

Each runs in a greenlet. Where it asks the server it stands still, until each of the others has asked as well or has ended;
then one flush carries what all of them ask, and each goes on with its own answers. So all of them together take as many round
trips as the one that asks most.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import final

from greenlet import greenlet

from tenure.persistence.engines.engine import Strand

from .protocol.wire import Answer, Command


@final
class Lane:
    """What a strand has written and not sent yet; or its group, outside of strands.

    Attributes:
        waiting: Commands that wait to be sent.
        rows_written: See `WriteConnection.rows_written`.
    """

    __slots__ = ("_greenlet", "rows_written", "waiting")

    def __init__(self, strand: Strand | None = None) -> None:
        """That of a strand, which is not begun yet; None: of a group."""
        self.waiting: list[Command] = []
        self.rows_written = 0
        self._greenlet = None if strand is None else greenlet(strand)  # whose parent is the one that makes it

    @property
    def is_strand(self) -> bool:
        """Whether it shares its round trips."""
        return self._greenlet is not None

    @property
    def has_ended(self) -> bool:
        """Whether its function has returned."""
        return self._greenlet is not None and self._greenlet.dead

    def go_on(self, answers: Sequence[Answer] | None) -> None:
        """Carry it out until it asks, or ends; None begins it. Raises what its function raises."""
        if self._greenlet is not None:
            self._greenlet.switch(*(() if answers is None else (answers,)))

    def stand_still(self) -> Sequence[Answer]:
        """Called by its own function: the answers to what waits, once all the others have asked too."""
        hub = None if self._greenlet is None else self._greenlet.parent
        answers: Sequence[Answer] = () if hub is None else hub.switch()
        return answers

    def give_up(self) -> None:
        """End it where it stands, and keep nothing of it: greenlets look for who has them when their thread ends."""
        strand, self._greenlet = self._greenlet, None
        if strand is not None and not strand.dead:
            strand.throw()


def carry_out(
    strands: Sequence[Strand],
    group: Lane,
    enter: Callable[[Lane], None],
    exchange: Callable[[Sequence[Command]], Sequence[Answer]],
) -> None:
    """Carry out strands; what they leave unsent waits in the lane of their group then, in their order.

    Args:
        strands: Functions that raise nothing, but what ends the whole group.
        group: Its lane.
        enter: Makes a lane the one into which statements go.
        exchange: Sends commands, and returns their answers. What it raises ends the strands, and is raised.
    """
    lanes = [Lane(each) for each in strands]
    going: list[tuple[Lane, Sequence[Answer] | None]] = [(lane, None) for lane in lanes]
    try:
        while going:
            asking: list[Lane] = []
            for lane, answers in going:
                enter(lane)
                lane.go_on(answers)
                if lane.has_ended:
                    group.waiting += lane.waiting
                    group.rows_written += lane.rows_written
                else:
                    asking.append(lane)
            enter(group)
            going = _ask(group, asking, exchange) if asking else []
    finally:
        for lane in lanes:
            lane.give_up()
        enter(group)


def _ask(
    group: Lane, asking: Sequence[Lane], exchange: Callable[[Sequence[Command]], Sequence[Answer]]
) -> list[tuple[Lane, Sequence[Answer] | None]]:
    """One round trip: every lane that asks, with the answers to its own commands."""
    commands, group.waiting = group.waiting, []
    places: list[slice] = []
    for lane in asking:
        places.append(slice(len(commands), len(commands) + len(lane.waiting)))
        commands += lane.waiting
        lane.waiting = []
    answers = exchange(commands)
    return [(lane, answers[place]) for lane, place in zip(asking, places, strict=True)]
