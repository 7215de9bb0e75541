"""Whose turn it is to have a group on its way: at most one has a number, and is with the disk."""

from __future__ import annotations

from typing import Final, final

_TURN: Final = "turn"


@final
class Turn:
    """The turn of the writer's task, or of a commit that goes by itself. Taken and given back in any thread; never waited for.

    No wake-up is lost: the task asks first and tries then; who gives back does so first, and looks then whether it was asked
    for.
    Who holds it is one entry of a dictionary, set by one call that no other thread and no signal divides.
    """

    def __init__(self) -> None:
        """Free."""
        self._holder: dict[str, object] = {}
        self._is_asked_for = False

    def take(self, taker: object) -> bool:
        """Take it where it is free, and the writer's task does not wait for it. Whether it was taken."""
        return not self._is_asked_for and self._holder.setdefault(_TURN, taker) is taker

    def take_or_ask(self, taker: object) -> bool:
        """For the writer's task: take it where it is free; False where that hears of it when it is given back."""
        self._is_asked_for = True
        if self._holder.setdefault(_TURN, taker) is not taker:
            return False
        self._is_asked_for = False
        return True

    def is_of(self, taker: object) -> bool:
        """Whether this one has it."""
        return self._holder.get(_TURN) is taker

    def give_back(self, taker: object) -> bool:
        """Give it back, where this one has it. Whether the writer's task waits for it."""
        if self._holder.get(_TURN) is taker:
            del self._holder[_TURN]
        return self._is_asked_for
