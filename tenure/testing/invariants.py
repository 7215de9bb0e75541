"""Invariants that facets register, and the check that asks them before and after another crash."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Protocol, TypeVar, final

from attrs import frozen

from .drive.disk import Disk
from .drive.images import (
    RANDOM_CUTS,
    Cut,
)
from .history import History
from .machine import Machine

S = TypeVar("S")
S_contra = TypeVar("S_contra", contravariant=True)


class Invariant(Protocol[S_contra]):
    """What one facet promises across crashes."""

    @property
    def name(self) -> str:
        """What it is called in a failure."""
        ...

    async def ask(self, store: S_contra, history: History, /) -> Any:
        """Raise if a promise is broken: what was acknowledged is missing, something is half there.

        Returns:
            What must be the same whenever the store is opened again, compared with ``==``:
            verdicts, counts, digests.
        """
        ...


@final
class AnswerChanged(AssertionError):
    """An invariant gave one answer, and after another crash a different one."""

    def __init__(self, invariant: str, first: Any, then: Any, cut: Cut) -> None:
        """Show both answers."""
        super().__init__(f"{invariant} said {first!r}, and after a crash ({cut.value}) {then!r}")


@final
@frozen(kw_only=True, slots=True)
class Reopening(Generic[S]):
    """A check: open, ask every invariant, crash, open, ask again; no answer may have changed.

    The second crash is drawn from the image. In half of the cases it comes right after the answers, often as the power cut
    that drops all that is unsynced: what was answered must be on disk by then. In the other half it comes at a random
    operation of the reopening itself, when nothing was answered yet: recovery may be cut off anywhere.

    Attributes:
        open_store: Opens the real store on a machine.
        invariants: What to ask of it.
        again: For which share of the images there is a second crash; an image with two openings costs twice as much.
    """

    open_store: Callable[[Machine], AbstractAsyncContextManager[S]]
    invariants: Sequence[Invariant[S]]
    again: float = 1.0

    async def __call__(self, machine: Machine, history: History) -> None:
        """See `Check`."""
        is_second = machine.random.random() < self.again
        answered = machine.random.random() < _AFTER_THE_ANSWERS
        before = machine.record() if is_second and not answered else None
        async with self.open_store(machine) as store:
            answers = await self._ask(store, history)
            cut = machine.random.choice(_SECOND_CUTS)
            if not is_second:
                return
            later = machine.crashed(cut, at=None if before is None else _midway(machine, before))
        async with self.open_store(later) as store:
            again = await self._ask(store, history)
        for name, first in answers.items():
            if answered and again[name] != first:
                raise AnswerChanged(name, first, again[name], cut)

    async def _ask(self, store: S, history: History) -> dict[str, Any]:
        return {invariant.name: await invariant.ask(store, history) for invariant in self.invariants}


_SECOND_CUTS = (Cut.NOTHING, Cut.NOTHING, Cut.KILL, *RANDOM_CUTS)
_AFTER_THE_ANSWERS = 0.5


def _midway(machine: Machine, before: Disk) -> Disk:
    """The machine's disk at a random moment since it was as `before`."""
    recording = machine.recording(before)
    cursor = recording.cursor()
    cursor.advance(machine.random.randrange(len(recording.operations) + 1))
    return cursor.disk
