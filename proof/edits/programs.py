"""Programs: what a behaviour of the proof of edits does, as values that can be edited (design §18).

A program is a sequence of things that a run asks for. Each piece of work has an id that no edit changes: by it is counted
what was done, under whatever name it is asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final, final

from attrs import frozen

from tenure.persistence.model.entries import branch_of, place_of, place_of_call

FREELY: Final = "freely"
KEYED: Final = "keyed"
NEVER: Final = "never"


@final
@frozen(kw_only=True, slots=True)
class Step:
    """One step.

    Attributes:
        work: What it does, under whatever name.
        name: Under which it is asked for.
        repeat: How it may be repeated.
        argument: What its function is given.
        call: Its call id, or empty.
    """

    work: str
    name: str
    repeat: str
    argument: str
    call: str = ""


@final
@frozen(slots=True)
class Gather:
    """Branches side by side."""

    branches: tuple[Program, ...]


@final
@frozen(slots=True)
class First:
    """Branches side by side, until one has ended: that without an endless sleep."""

    branches: tuple[Program, ...]


@final
@frozen(slots=True)
class Map:
    """One step an item; the work of each is called after its item."""

    name: str
    repeat: str
    items: tuple[str, ...]


@final
@frozen(slots=True)
class Calls:
    """Steps with call ids, side by side."""

    steps: tuple[Step, ...]


@final
@frozen(slots=True)
class Cut:
    """A program that is cut off by its scope after a second; it ends with a long sleep, so that it always is."""

    body: Program


@final
@frozen(slots=True)
class Checkpoint:
    """A boundary."""


@final
@frozen(slots=True)
class Sleep:
    """A durable sleep."""

    seconds: float


@final
@frozen(slots=True)
class Talk:
    """A message, and then a move of the conversation.

    Attributes:
        move: ``pop``, ``rewrite``, ``fork``, or ``back`` for a fork to the branch that was left last.
        number: How many, or where.
    """

    move: str
    number: int


@final
@frozen(slots=True)
class Attach:
    """A file of the session."""

    data: str


FOREVER: Final = Sleep(1e6)
"""A sleep that only ever is cut off; a branch of `First` that has it loses."""

Item = Step | Gather | First | Map | Calls | Cut | Checkpoint | Sleep | Talk | Attach
Program = tuple[Item, ...]

Change = Callable[["Program", int], "Program"]
"""What is done to a sequence at an index."""


def step(work: str, repeat: str = FREELY, *, name: str = "", call: str = "") -> Step:
    """A step that is named after its work, up to the first digit."""
    return Step(work=work, name=name or work.rstrip("0123456789"), repeat=repeat, argument=work, call=call)


PROGRAMS: Final[dict[str, Program]] = {
    "in order": (
        step("look1"),
        step("pay1", NEVER),
        step("mail1", KEYED),
        Checkpoint(),
        step("look2"),
        Sleep(5.0),
        step("pay2", NEVER),
    ),
    "conversation": (
        Talk("fork", 0),
        step("pay1", NEVER),
        Talk("rewrite", 1),
        Attach("report"),
        Checkpoint(),
        Talk("pop", 1),
        step("look1"),
        Talk("back", 0),
        Talk("pop", 2),
        step("pay2", NEVER),
    ),
    "gather": (
        step("look1"),
        Gather(
            (
                (step("pay1", NEVER), step("look2")),
                (step("mail1", KEYED), Gather(((step("pay2", NEVER),), (step("look3"),)))),
            )
        ),
        step("pay3", NEVER),
    ),
    "map": (
        Map("pay", NEVER, ("pay1", "pay2", "pay3")),
        step("mail1", KEYED),
        Map("look", FREELY, ("look1", "look2")),
    ),
    "calls": (
        step("look1"),
        Calls((step("pay1", NEVER, call="c1"), step("mail1", KEYED, call="c2"), step("look2", call="c3"))),
        step("pay2", NEVER),
    ),
    "calls in branches": (
        step("look1"),
        Gather(
            (
                (Calls((step("pay1", NEVER, call="c1"), step("mail1", KEYED, call="c2"))), step("look2")),
                (step("look3"), Calls((step("pay2", NEVER, call="c3"),))),
            )
        ),
        First(((Calls((step("look4", call="c4"), step("pay3", NEVER, call="c5"))),), (step("look5"), FOREVER))),
        step("mail2", KEYED),
    ),
    "first": (
        step("pay1", NEVER),
        First(((step("pay2", NEVER),), (step("look1"), FOREVER))),
        step("mail1", KEYED),
    ),
    "cut off": (
        step("look1"),
        Cut((step("pay1", NEVER), FOREVER)),
        step("pay2", NEVER),
    ),
}
"""What is recorded, and then edited at each of its places."""


@final
@frozen(kw_only=True, slots=True)
class Seat:
    """An item of a program, and where it stands.

    Attributes:
        path: The way to it from the top: indexes of items and branches, in turn.
        item: The item.
        place: Its place in the record; None where it has none.
        loses: Whether it stands in a branch that loses.
    """

    path: tuple[int, ...]
    item: Item
    place: str | None
    loses: bool = False


def seats(program: Program, branch: str = "main", path: tuple[int, ...] = (), *, loses: bool = False) -> Iterator[Seat]:
    """Every item of a program with its place."""
    number = _Counter()
    yield from _seats(program, branch, path, number, loses)


@final
class _Counter:
    def __init__(self) -> None:
        self.count = 0

    def next(self) -> int:
        self.count += 1
        return self.count


def _seats(program: Program, branch: str, path: tuple[int, ...], number: _Counter, loses: bool) -> Iterator[Seat]:  # noqa: FBT001
    for at, item in enumerate(program):
        loses = loses or (at > 0 and program[at - 1] == FOREVER)
        here = (*path, at)
        match item:
            case Cut():
                yield Seat(path=here, item=item, place=None, loses=loses)
                yield from _seats(item.body, branch, (*here, 0), number, loses)
            case Calls():
                yield Seat(path=here, item=item, place=None, loses=loses)
                for which, each in enumerate(item.steps):
                    place = place_of_call(each.call) if each.call else None
                    yield Seat(path=(*here, 0, which), item=each, place=place, loses=loses)
            case Gather() | First():
                place = place_of(branch, number.next())
                yield Seat(path=here, item=item, place=place, loses=loses)
                for which, inner in enumerate(item.branches):
                    lost = loses or (isinstance(item, First) and (FOREVER in inner or not _is_certain(item)))
                    yield from seats(inner, branch_of(place, which + 1), (*here, which), loses=lost)
            case Step(call=call) if call:
                yield Seat(path=here, item=item, place=place_of_call(call), loses=loses)
            case _:
                yield Seat(path=here, item=item, place=place_of(branch, number.next()), loses=loses)


def conversation_of(program: Program) -> list[str]:
    """What is said when a program has ended, from an empty conversation."""
    said, left = list[str](), list[str]()
    for item in program:
        if isinstance(item, Talk):
            said, left = _talked(item, [*said, message_of(item)], left)
    return said


def message_of(item: Talk) -> str:
    """What it says before its move."""
    return f"{item.move} {item.number}"


def _talked(item: Talk, said: list[str], left: list[str]) -> tuple[list[str], list[str]]:
    match item.move:
        case "pop":
            return said[: max(len(said) - item.number, 0)], left
        case "rewrite":
            return [*said[: item.number], "rewritten"], left
        case "fork":
            return said[: item.number], said
        case _:
            return left, said


def _is_certain(item: First) -> bool:
    """Whether one branch alone can win."""
    return len([each for each in item.branches if FOREVER not in each]) == 1


def at_path(program: Program, path: Sequence[int], change: Change) -> Program:
    """The program with the sequence that holds an item changed: `change` is given that sequence and the index of the item."""
    first, *rest = path
    if not rest:
        return change(program, first)
    item, (branch, *deeper) = program[first], rest
    changed: Item
    match item:
        case Gather():
            changed = Gather(_in_branch(item.branches, branch, deeper, change))
        case First():
            changed = First(_in_branch(item.branches, branch, deeper, change))
        case Cut():
            changed = Cut(at_path(item.body, deeper, change))
        case Calls():
            changed = Calls(tuple([each for each in at_path(item.steps, deeper, change) if isinstance(each, Step)]))
        case _:
            message = f"nothing stands inside {item}"
            raise ValueError(message)
    return (*program[:first], changed, *program[first + 1 :])


def _in_branch(branches: tuple[Program, ...], at: int, path: Sequence[int], change: Change) -> tuple[Program, ...]:
    return (*branches[:at], at_path(branches[at], path, change), *branches[at + 1 :])


def work_of(program: Program) -> Iterator[tuple[str, str]]:
    """All work that a program must have done when it has ended, each with its repeat."""
    for seat in seats(program):
        if seat.loses:
            continue
        match seat.item:
            case Step(work=work, repeat=repeat):
                yield work, repeat
            case Map(repeat=repeat, items=items):
                yield from ((item, repeat) for item in items)
            case _:
                pass
