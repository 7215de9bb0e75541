"""Every edit of a program at every place (design §18, "Tests"), and which of them must be held."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, final

from attrs import evolve, frozen

from .programs import (
    FREELY,
    KEYED,
    NEVER,
    Attach,
    Calls,
    Change,
    Checkpoint,
    First,
    Gather,
    Item,
    Map,
    Program,
    Seat,
    Sleep,
    Step,
    Talk,
    at_path,
    seats,
    step,
)

OTHER: Final = {FREELY: NEVER, NEVER: KEYED, KEYED: FREELY}

NOTHING: Final = "nothing"
ARGUMENTS: Final = "other arguments"
SWAP: Final = "swap"
RENAME: Final = "rename"
REMOVE: Final = "remove"


@final
@frozen(kw_only=True, slots=True)
class Edit:
    """An edited program.

    Attributes:
        name: What was done to it.
        seat: Where; None for nothing.
        program: As it is then.
    """

    name: str
    seat: Seat | None
    program: Program

    def __str__(self) -> str:
        return self.name if self.seat is None else f"{self.name} at {self.seat.place or self.seat.path}"


def edits(program: Program) -> Iterator[Edit]:
    """Every edit at every place; first that of nothing."""
    yield Edit(name=NOTHING, seat=None, program=program)
    for seat in seats(program):
        for kind, change in _changes(seat):
            name = kind
            edited = at_path(program, seat.path, change)
            if name == SWAP and isinstance(_neighbour(program, seat), Calls):
                name = "swap with calls"  # which have no order
            if edited != program:
                yield Edit(name=name, seat=seat, program=edited)


def _changes(seat: Seat) -> Iterator[tuple[str, Change]]:
    item = seat.item
    if isinstance(item, Step) and item.call:
        yield "insert a call", _insert(step("extra1", NEVER, call="new"))
        yield "call dropped", _instead(evolve(item, call=f"{item.call} in other words"))
    else:
        yield "insert", _insert(step("extra1"))
        yield "insert what never repeats", _insert(step("extra1", NEVER))
        if len(seat.path) == 1 and not isinstance(item, Checkpoint):
            yield "a checkpoint more", _insert(Checkpoint())
        yield SWAP, _swap
    yield REMOVE, _remove
    match item:
        case Step():
            yield RENAME, _instead(evolve(item, name=f"{item.name} by card"))
            yield "other repeat", _instead(evolve(item, repeat=OTHER[item.repeat]))
            yield ARGUMENTS, _instead(evolve(item, argument=f"{item.argument} in other words"))
            if not item.call:
                yield "into a branch", _instead(Gather(((item,),)))
                yield "by call", _instead(Calls((evolve(item, call="by call"),)))
        case Map():
            yield RENAME, _instead(Map(f"{item.name} by card", item.repeat, item.items))
            yield "other repeat", _instead(Map(item.name, OTHER[item.repeat], item.items))
            yield "an item less", _instead(Map(item.name, item.repeat, item.items[1:]))
            yield "an item more", _instead(Map(item.name, item.repeat, (*item.items, "extra1")))
            yield "items in another order", _instead(Map(item.name, item.repeat, item.items[::-1]))
        case Gather() | First():
            kind = type(item)
            yield "a branch more", _instead(kind((*item.branches, (step("extra1"),))))
            yield "a branch less", _instead(kind(item.branches[:-1]))
            yield "branches swapped", _instead(kind(item.branches[::-1]))
        case Sleep() | Talk() | Attach():
            yield from _simple(item)
        case _:
            pass


def _simple(item: Sleep | Talk | Attach) -> Iterator[tuple[str, Change]]:
    match item:
        case Attach():
            yield ARGUMENTS, _instead(Attach("other bytes"))
        case Sleep():
            yield ARGUMENTS, _instead(Sleep(item.seconds + 1.0))
        case _:
            yield "another move", _instead(Talk("pop" if item.move != "pop" else "rewrite", item.number or 1))
            if item.move != "back":  # which has none
                yield ARGUMENTS, _instead(Talk(item.move, item.number + 1))


def must_be_held(edit: Edit, recorded: frozenset[str], *, same_version: bool) -> bool:
    """Whether an edit touches what is recorded in a way that no version may go on with."""
    seat = edit.seat
    if seat is None or seat.place is None or seat.loses or seat.place not in recorded:
        return False
    if edit.name in ("items in another order", "insert a call", "branches swapped", "swap with calls"):
        return False  # nothing of it is recorded there, or it may be; what follows is judged by what was done
    if edit.name in (ARGUMENTS, "an item less", "an item more"):
        return same_version
    return True


def _neighbour(program: Program, seat: Seat) -> Item | None:
    found: list[Item] = []

    def look(within: Program, at: int) -> Program:
        found.append(within[(at + 1) % len(within)])
        return within

    at_path(program, seat.path, look)
    return found[0]


def _insert(new: Item) -> Change:
    return lambda program, at: (*program[:at], new, *program[at:])


def _instead(new: Item) -> Change:
    return lambda program, at: (*program[:at], new, *program[at + 1 :])


def _remove(program: Program, at: int) -> Program:
    return (*program[:at], *program[at + 1 :])


def _swap(program: Program, at: int) -> Program:
    other = (at + 1) % len(program)
    changed = list(program)
    changed[at], changed[other] = changed[other], changed[at]
    return tuple(changed)
